"""Read a cloud assembly: which stacks the selectors mean, and what they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labcycle.errors import LabcycleError


class AssemblyError(LabcycleError):
    """The folder is no cloud assembly, or the selectors mean no stack."""


@dataclass(frozen=True)
class Stack:
    """One stack: how the CLI names it (`labcycle-fraud/tracking`), its CloudFormation name, template and dependencies."""

    path: str
    name: str
    template: dict[str, Any]
    artifact: str
    needs: tuple[str, ...]

    @property
    def types(self) -> list[str]:
        """Resource types, one entry a resource."""
        return [resource["Type"] for resource in self.template.get("Resources", {}).values()]


def stacks(folder: Path) -> list[Stack]:
    """All stacks, nested stages included.

    Raises
    ------
    AssemblyError
        If there is no manifest.
    """
    if not (folder / "manifest.json").exists():
        raise AssemblyError(
            f"{folder} is no cloud assembly: it holds no manifest.json. Run `cdk synth --output {folder}` first."
        )
    return list(_stacks(folder))


def _stacks(folder: Path) -> Iterator[Stack]:
    artifacts = json.loads((folder / "manifest.json").read_text()).get("artifacts", {})
    for artifact_id, artifact in artifacts.items():
        properties = artifact.get("properties", {})
        if artifact["type"] == "aws:cloudformation:stack":
            yield Stack(
                path=artifact.get("displayName") or artifact_id,
                name=properties.get("stackName") or artifact_id,
                template=json.loads((folder / properties["templateFile"]).read_text()),
                artifact=artifact_id,
                needs=tuple(artifact.get("dependencies", ())),
            )
        elif artifact["type"] == "cdk:cloud-assembly":
            yield from _stacks(folder / properties["directoryName"])


def select(folder: Path, selectors: Sequence[str]) -> list[Stack]:
    """Stacks that the CLI takes for these selectors: `*` and `**` as in its own patterns, with what they depend on.

    Raises
    ------
    AssemblyError
        If a selector means no stack.
    """
    found = stacks(folder)
    wanted: list[Stack] = []
    for selector in selectors:
        meant = [stack for stack in found if _pattern(selector).fullmatch(stack.path) or stack.name == selector]
        if not meant:
            raise AssemblyError(
                f"No stack is called {selector!r}; there are: {', '.join(stack.path for stack in found)}."
            )
        wanted += meant
    by_artifact = {stack.artifact: stack for stack in found}
    taken: dict[str, Stack] = {}
    while wanted:
        stack = wanted.pop()
        if stack.artifact not in taken:
            taken[stack.artifact] = stack
            wanted += [by_artifact[name] for name in stack.needs if name in by_artifact]
    return [stack for stack in found if stack.artifact in taken]


def _pattern(selector: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", selector)
    translated = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(translated.get(part, re.escape(part)) for part in parts))
