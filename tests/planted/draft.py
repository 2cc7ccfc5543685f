"""A copy of a clean template that a fault is planted into, and what a fault is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labcycle.check.template import Template


class Draft:
    """A copy of a template, to be changed at will.

    Attributes
    ----------
    body
        The template as plain data.
    region
        Where it goes.
    after
        Names of the stacks that are deployed before it.
    """

    def __init__(self, template: Template, others: Sequence[Template], folder: Path) -> None:
        self._clean = template
        self._others = others
        self._folder = folder
        self.body: dict[str, Any] = copy.deepcopy(template.body)
        self.region = template.region
        self.after = set(template.after)
        self._file = Path()

    def find(self, kind: str, path: str = "", stack: str = "") -> str:
        """Logical id of the only resource of a type whose construct path contains `path`, here or in another stack."""
        where = next(one for one in self._others if one.name == stack) if stack else self._clean
        found = [logical_id for logical_id, _ in where.resources(kind) if path in where.construct_path(logical_id)]
        assert len(found) == 1, f"{kind} {path}: {found}"
        return found[0]

    def resource(self, logical_id: str) -> dict[str, Any]:
        """A resource, to be changed."""
        resource: dict[str, Any] = self.body["Resources"][logical_id]
        return resource

    def properties(self, logical_id: str) -> dict[str, Any]:
        """Properties of a resource, to be changed."""
        properties: dict[str, Any] = self.resource(logical_id)["Properties"]
        return properties

    def add(self, logical_id: str, kind: str, **properties: Any) -> str:
        """Add a resource."""
        self.body["Resources"][logical_id] = {"Type": kind, "Properties": properties}
        return logical_id

    def tags(self) -> list[dict[str, str]]:
        """What the stack's resources are tagged with."""
        return [{"Key": key, "Value": value} for key, value in sorted(self._clean.tags.items())]

    def asset(self, logical_id: str) -> Path:
        """A copy of the files that are uploaded for a resource, to be changed."""
        original: Path = self._clean.file.parent / self._clean.resource(logical_id)["Metadata"]["aws:asset:path"]
        copied = self._folder / original.name
        copied.mkdir(parents=True)
        self._file = self._folder / "planted.template.json"
        listing = {"files": {original.name: {"source": {"path": copied.name}}}}
        (self._folder / "planted.assets.json").write_text(json.dumps(listing))
        return copied

    def template(self) -> Template:
        """The template with the fault."""
        return replace(
            self._clean,
            text=json.dumps(self.body),
            region=self.region,
            after=frozenset(self.after),
            file=self._file,
        )


Plant = Callable[[Draft], str]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    name
        What to call it.
    done
        What was done, in a sentence.
    stack
        Into whose template it is planted.
    rule
        Id of the rule that names it.
    onto
        What is added to the clean template first, without fault.
    plant
        Plants the fault, and returns the logical id of the resource where it is to be found; empty for the template.
    seen_in
        The stack of that resource, where it is another one.
    """

    name: str
    done: str
    stack: str
    rule: str
    onto: Plant | None
    plant: Plant
    seen_in: str


FAULTS: list[Fault] = []


def fault(stack: str, rule: str, *, onto: Plant | None = None, seen_in: str = "") -> Callable[[Plant], Plant]:
    """The function plants a fault: its name is the fault's, and its docstring says what it does."""

    def register(plant: Plant) -> Plant:
        done = (plant.__doc__ or "").strip()
        name = plant.__name__.replace("_", " ")
        FAULTS.append(Fault(name, done, stack, rule, onto, plant, seen_in or stack))
        return plant

    return register
