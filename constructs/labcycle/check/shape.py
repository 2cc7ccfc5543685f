"""Templates that are alike but for their names: what a schema or a linter says of one, it says of all.

Names are replaced by marks, the same name always by the same mark, and so are the logical ids that CDK makes of them. What
a name may look like is no matter of shape: lengths and characters are for rules that look at every template.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from .finding import Finding
from .template import Template

# What our stacks say of themselves; the stage is not among them, since rules depend on it.
_NAMING_TAGS = ("labcycle:team", "labcycle:cost-centre", "labcycle:model", "labcycle:member", "labcycle:target")
_NAMING_PROPERTIES = (
    "RoleName",
    "LaunchTemplateName",
    "AlarmName",
    "FunctionName",
    "TopicName",
    "TableName",
    "QueueName",
)
_MAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+")
_PRINCIPAL = re.compile(r"(:(?:user|saml-provider|oidc-provider)/)[\w+=,.@/-]+")
_ASSET = re.compile(r"\b[0-9a-f]{64}\b")
_SHORTEST = 3  # a shorter name stands in too many other words
# What these say is never a name.
_WORDS = frozenset({"Type", "Effect", "Action", "Runtime", "Version", "DeletionPolicy", "UpdateReplacePolicy"})


def shape(template: Template) -> str:
    """A digest that templates share which differ in names, addresses, assets and construct paths alone."""
    marks = _Marks(_names(template), template.body["Resources"])
    body = {key: part for key, part in template.body.items() if key != "Metadata"}
    metadata = template.body.get("Metadata")
    if isinstance(metadata, Mapping):  # settings of checkers, and CDK's own notes
        body["Metadata"] = {key: part for key, part in metadata.items() if str(key).startswith("labcycle:")}
    return hashlib.sha256(json.dumps([template.region, marks.replace(body)]).encode()).hexdigest()


def distinct(templates: Iterable[Template]) -> tuple[list[Template], list[tuple[Template, Template]]]:
    """The templates without those of the shape of an earlier one; and these, each with that one."""
    first: dict[str, Template] = {}
    same = []
    for template in templates:
        earlier = first.setdefault(shape(template), template)
        if earlier is not template:
            same.append((template, earlier))
    return list(first.values()), same


def repeated(findings: Iterable[Finding], same: Iterable[tuple[Template, Template]]) -> Iterator[Finding]:
    """The findings, and each again for every template of the same shape, about the resource in its place."""
    alike: dict[tuple[str, str], list[tuple[Template, dict[str, str]]]] = defaultdict(list)
    for template, first in same:
        ids = dict(zip(first.body["Resources"], template.body["Resources"], strict=True))
        alike[first.identity].append((template, ids))
    for finding in findings:
        yield finding
        for template, ids in alike.get((finding.template, finding.file), ()):
            logical_id = ids.get(finding.logical_id, finding.logical_id)
            path = template.construct_path(logical_id)
            name, file = template.identity
            yield replace(finding, template=name, logical_id=logical_id, construct_path=path, file=file)


def _names(template: Template) -> set[str]:
    """The stack's name, and what its tags and its resources' names call things, each part that is not the stack's own."""
    found = {template.name, template.account} | {template.tags[tag] for tag in _NAMING_TAGS if tag in template.tags}
    team = template.tags.get("labcycle:team", "")
    for logical_id, _ in template.resources():
        properties = template.properties(logical_id)
        roles = properties.get("Roles")  # of a policy, which may name those of another stack
        for name in (*map(properties.get, _NAMING_PROPERTIES), *(roles if isinstance(roles, list) else ())):
            if isinstance(name, str):
                found |= {name, name.removeprefix(f"labcycle-{team}-").removesuffix("-workspace")}
    words = {value for key, value in template.tags.items() if key not in _NAMING_TAGS}
    return {name for name in found - words if len(name) >= _SHORTEST}


class _Marks:
    """Replaces names and logical ids, numbered as they come up."""

    def __init__(self, names: set[str], resources: Mapping[str, Any]) -> None:
        longest_first = sorted(names, key=lambda name: (-len(name), name))
        alternatives = "|".join(map(re.escape, longest_first)) or r"(?!)"
        self._names = re.compile(rf"(?<![A-Za-z0-9])(?:{alternatives})(?![A-Za-z0-9])")
        self._numbers: dict[str, int] = {}
        self._ids = {logical_id: f"Resource{n}" for n, logical_id in enumerate(resources)}

    def replace(self, value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping):
            kept = value.items() if key != "Metadata" else _settings(value)
            return {self._ids.get(name, name): self.replace(part, name) for name, part in kept}
        if isinstance(value, list):
            return [self.replace(part, key) for part in value]
        if key == "Sid":
            return ""
        if not isinstance(value, str) or key in _WORDS:
            return value
        if value in self._ids:
            return self._ids[value]
        text = _PRINCIPAL.sub(r"\1(name)", _MAIL.sub("(mail)", _ASSET.sub("(asset)", value)))
        return self._names.sub(lambda found: f"(name {self._numbers.setdefault(found[0], len(self._numbers))})", text)


def _settings(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All but CDK's notes: construct paths and assets."""
    return ((key, part) for key, part in metadata.items() if not str(key).startswith("aws:"))
