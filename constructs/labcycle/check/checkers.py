"""The programs that check a template, each behind the same small interface.

Their own ways to switch rules off (metadata of the template, files in the working or home folder) are not honoured: only
what `acknowledge` reads counts.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from typing import Any, Protocol

from .finding import CheckError, Finding
from .template import Template

_DEFAULT_REGION = "us-east-1"
_NO_FILE = ["--config-file", os.devnull]  # cfn-lint would read .cfnlintrc


class Checker(Protocol):
    """Holds a template against its rules. Any exception that it raises means that it could not."""

    name: str

    def check(self, template: Template) -> Iterator[Finding]:
        """All that is wrong with a template."""
        ...


class CloudFormationValidate:
    """cloudformation-validate: resource schemas of the region and semantic rules, in a native library."""

    def __init__(self) -> None:
        from cloudformation_validate import CompositeEngine

        self.name = f"cloudformation-validate {importlib.metadata.version('cloudformation-validate')}"
        self._engine: Any = CompositeEngine()

    def check(self, template: Template) -> Iterator[Finding]:
        """Findings of severity WARN and up.

        Raises
        ------
        CheckError
            If the library says that it could not analyse all of the template.
        """
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
            pseudo_parameter_overrides=PseudoParameterOverrides(region=template.region or _DEFAULT_REGION),
        )
        report = self._engine.validate_template(TemplateContent(template.text, template.name), config)
        for one in report.diagnostics:
            on_resource = one.entity is not None and one.entity.entity_type == EntityType.RESOURCE
            logical_id = one.entity.logical_id if on_resource else ""
            yield Finding(
                template=template.name,
                logical_id=logical_id,
                rule=one.rule_id,
                checker="cloudformation-validate",
                severity=one.severity.name.lower(),
                message=one.message,
                construct_path=template.construct_path(logical_id),
                property_path=(one.property_path or "").replace("/", "."),
            )
        if report.status == ReportStatus.ANALYSIS_INCOMPLETE:
            raise CheckError("it could not analyse the whole template")


class CfnLint:
    """cfn-lint: errors and warnings of its rules for the region."""

    def __init__(self) -> None:
        from cfnlint.config import ConfigMixIn
        from cfnlint.runner import Runner

        self.name = f"cfn-lint {importlib.metadata.version('cfn-lint')}"
        self._rules: Any = Runner(ConfigMixIn(_NO_FILE)).rules

    def check(self, template: Template) -> Iterator[Finding]:
        """Findings of the levels error and warning; none can be switched off by the template or a .cfnlintrc."""
        from cfnlint.config import ConfigMixIn
        from cfnlint.decode.decode import decode_str
        from cfnlint.runner import run_template_by_data

        config: Any = ConfigMixIn(_NO_FILE, regions=[template.region or _DEFAULT_REGION], mandatory_checks=["E", "W"])
        decoded, errors = decode_str(template.text)
        matches: list[Any] = (
            list(errors) if errors or decoded is None else list(run_template_by_data(decoded, config, self._rules))
        )
        for match in matches:
            if match.rule.id == "E0002":  # "unknown exception while processing a rule"
                raise CheckError(f"a rule failed: {match.message}")
            path = [str(part) for part in getattr(match, "path", None) or ()]
            on_resource = path[:1] == ["Resources"] and len(path) > 1
            logical_id = path[1] if on_resource else ""
            yield Finding(
                template=template.name,
                logical_id=logical_id,
                rule=match.rule.id,
                checker="cfn-lint",
                severity=str(match.rule.severity),
                message=match.message,
                construct_path=template.construct_path(logical_id),
                property_path=".".join(path[2:] if on_resource else path),
            )


def all_checkers() -> list[Checker]:
    """Every checker, ready.

    Raises
    ------
    CheckError
        If one is not installed or cannot be started; the gate never passes without it.
    """
    checkers: list[Checker] = []
    for make in (CloudFormationValidate, CfnLint):
        try:
            checkers.append(make())
        except ImportError as error:
            missing = error.name or "a package"
            raise CheckError(
                f"{make.__name__} needs the Python package {missing}. Install it with: pip install 'labcycle[check]'"
            ) from None
        except (Exception, SystemExit) as error:
            raise CheckError(
                f"{make.__name__} cannot be started: {type(error).__name__}: {error}. Install it anew"
            ) from error
    return checkers
