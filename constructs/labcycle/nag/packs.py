"""Include templates in a CDK app, and hold cdk-nag's rule packs against each of their resources."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aws_cdk import App, CfnResource, Stack
from aws_cdk.cloudformation_include import CfnInclude
from cdk_nag import (
    AwsSolutionsChecks,
    HIPAASecurityChecks,
    NagPack,
    NIST80053R5Checks,
    PCIDSS321Checks,
    ServerlessChecks,
)

PACKS: dict[str, type[NagPack]] = {
    "aws-solutions": AwsSolutionsChecks,
    "serverless": ServerlessChecks,
    "hipaa": HIPAASecurityChecks,
    "nist-800-53": NIST80053R5Checks,
    "pci": PCIDSS321Checks,
}
COULD_NOT = "CdkNagValidationFailure"
_THREW = "Rule threw an error during validation. "  # as NagPack.addViolation begins
# The rules look at resources, and an output that refers to nothing keeps nobody from looking at these.
_SECTIONS = ("Resources", "Parameters", "Mappings", "Conditions", "Transform")
# Functions with a value that only AWS knows, and that CfnInclude refuses. An import is such a value too, and one it takes.
_REFUSED_FUNCTIONS = {"Fn::GetStackOutput", "Fn::Length", "Fn::ToJsonString"}


def examine(templates: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The findings in each template.

    Parameters
    ----------
    templates
        Each a mapping with the template as `body`, and the names of its `packs`.
    """
    app = App(analytics_reporting=False)
    packs = {name: PACKS[name](verbose=True) for template in templates for name in template["packs"]}
    answers: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="labcycle-nag-") as folder:
        for number, template in enumerate(templates):
            including = _Including(app, Path(folder), number, template["body"])
            try:
                findings = list(_findings(including, [packs[name] for name in template["packs"]]))
            except _Refused as refused:
                answers.append({"findings": [], "refused": str(refused)})
            else:
                answers.append({"findings": findings, "refused": ""})
    return answers


class _Refused(Exception):
    """CfnInclude cannot take the template."""


class _Including:
    """A template in a stack of its own. Resources that CfnInclude cannot take stay as they are, with the reason noted."""

    def __init__(self, app: App, folder: Path, number: int, body: Mapping[str, Any]) -> None:
        self._app, self._folder, self._number = app, folder, number
        self._body = {section: _readable(body[section]) for section in _SECTIONS if section in body}
        self.logical_ids = list(self._body["Resources"])
        self._attempts = 0

    def include(self) -> tuple[CfnInclude, dict[str, str]]:
        """The template, and the reason for each resource that was refused."""
        try:
            return self._attempt([]), {}
        except _Refused:
            refused = dict(self._refused_alone())
            if not refused:
                raise
            return self._attempt(list(refused)), refused

    def _refused_alone(self) -> Iterator[tuple[str, str]]:
        for logical_id in self.logical_ids:
            try:
                self._attempt([other for other in self.logical_ids if other != logical_id])
            except _Refused as reason:
                yield logical_id, str(reason)

    def _attempt(self, dehydrated: list[str]) -> CfnInclude:
        self._attempts += 1
        file = self._folder / f"{self._number}.json"
        file.write_text(json.dumps(self._body), encoding="utf-8")
        stack = Stack(self._app, f"Template{self._number}Attempt{self._attempts}")
        try:
            return CfnInclude(
                stack,
                "Include",
                template_file=str(file),
                preserve_logical_ids=True,
                allow_cyclical_references=True,
                dehydrated_resources=dehydrated,
            )
        except RuntimeError as error:  # what jsii makes of JavaScript's errors; the rest is a stack trace
            raise _Refused(str(error).partition("\n")[0]) from None


def _readable(value: Any) -> Any:
    if isinstance(value, list):
        return [_readable(one) for one in value]
    if isinstance(value, dict):
        if len(value) == 1 and _REFUSED_FUNCTIONS & set(value):
            return {"Fn::ImportValue": json.dumps(value)}
        return {key: _readable(one) for key, one in value.items()}
    return value


def _findings(including: _Including, packs: Sequence[NagPack]) -> Iterator[dict[str, str]]:
    included, refused = including.include()
    for logical_id in including.logical_ids:
        if logical_id in refused:
            yield _finding(logical_id, f"{COULD_NOT}[CfnInclude]", "error", refused[logical_id])
            continue
        resource = included.get_resource(logical_id)
        for pack in packs:
            yield from _of_resource(logical_id, resource, pack)


def _of_resource(logical_id: str, resource: CfnResource, pack: NagPack) -> Iterator[dict[str, str]]:
    """One resource a call: for several the pack keeps only the first description, and with it who threw."""
    for violation in pack.validate_scope(resource).violations:
        text = str(violation.description)
        rule, level = str(violation.rule_name), str(violation.severity)
        if text.startswith(_THREW):
            yield _finding(logical_id, f"{COULD_NOT}[{rule}]", level, text.removeprefix(_THREW))
        else:
            yield _finding(logical_id, rule, level, text)


def _finding(logical_id: str, rule: str, level: str, message: str) -> dict[str, str]:
    return {"logical_id": logical_id, "rule": rule, "level": level, "message": message}
