"""cloudformation-validate: resource schemas of the region, semantic rules and our own Guard rules, in a native library."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError, Finding
from labcycle.check.guard import GuardRule, load
from labcycle.check.template import Template

from .checker import DEFAULT_REGION, OneByOne

_TYPE = re.compile(r"'(AWS::\w+::\w+)'")


class CloudFormationValidate(OneByOne):
    """Findings of the library, and those of our Guard rules with what they say of why and how to mend."""

    def __init__(self) -> None:
        if importlib.util.find_spec("cloudformation_validate") is None:
            raise ImportError("there is no cloudformation_validate", name="cloudformation_validate")
        self.name = f"cloudformation-validate {importlib.metadata.version('cloudformation-validate')}"
        self._guard: dict[str, GuardRule] = {rule.name: rule for rule in load()}
        self._guarded = {kind for rule in self._guard.values() for kind in _TYPE.findall(rule.text)}

    @cached_property
    def _engine(self) -> Any:  # each takes half a second to make, in which the programs of other checkers run already
        from cloudformation_validate import CompositeEngine

        return CompositeEngine()

    @cached_property
    def _guard_engine(self) -> Any:
        from cloudformation_validate import CompositeEngine, CompositeEngineConfig, ExternalRuleSource

        sources = [ExternalRuleSource(name=rule.name, content=rule.text) for rule in self._guard.values()]
        return CompositeEngine(CompositeEngineConfig(guard_rules=sources))

    def check_one(self, template: Template, estate: Estate) -> Iterator[Finding]:
        """Findings of severity WARN and up.

        Raises
        ------
        CheckError
            If the library says that it could not analyse all of the template.
        """
        yield from self._findings(template, self._engine, template.text, built_in=True)
        # Guard's evaluator walks the whole template for each rule, and most of it is policies that no rule asks for.
        guarded = {logical_id: resource for logical_id, resource in template.resources(*self._guarded)}
        if guarded:
            slim = json.dumps(template.body | {"Resources": guarded})
            yield from self._findings(template, self._guard_engine, slim, built_in=False)

    def _findings(self, template: Template, engine: Any, text: str, *, built_in: bool) -> Iterator[Finding]:
        from cloudformation_validate import (
            EntityType,
            PseudoParameterOverrides,
            ReportStatus,
            Severity,
            TemplateContent,
            ValidateConfig,
        )

        config = ValidateConfig(
            severity_level=Severity.WARN,
            disable_builtin_rules=not built_in,
            pseudo_parameter_overrides=PseudoParameterOverrides(region=template.region or DEFAULT_REGION),
        )
        report = engine.validate_template(TemplateContent(text, template.name), config)
        for one in report.diagnostics:
            on_resource = one.entity is not None and one.entity.entity_type == EntityType.RESOURCE
            logical_id = one.entity.logical_id if on_resource else ""
            ours = self._own_rule(one)
            yield template.finding(
                logical_id,
                ours.id if ours else one.rule_id,
                "labcycle" if ours else "cloudformation-validate",
                one.severity.name.lower(),
                one.message,
                property_path=(one.property_path or "").replace("/", "."),
                why=ours.why if ours else "",
                mend=ours.mend if ours else "",
            )
        if report.status == ReportStatus.ANALYSIS_INCOMPLETE:
            raise CheckError("it could not analyse the whole template")

    def _own_rule(self, diagnostic: Any) -> GuardRule | None:
        from cloudformation_validate import RuleOrigin

        return self._guard[diagnostic.rule_id] if diagnostic.source == RuleOrigin.GUARD else None
