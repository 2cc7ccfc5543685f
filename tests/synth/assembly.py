"""Synthesize and read templates, with the context that the app has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Environment, Stack

from infra.app import settings

ROOT = Path(__file__).parents[2]
ACCOUNT = "111122223333"
REGION = "eu-central-1"
HERE = Environment(account=ACCOUNT, region=REGION)
Template = dict[str, Any]


def alone(build: Callable[[Stack], object], *, env: Environment | None = HERE) -> Template:
    """Template of a foreign app's one stack in which `build` makes its constructs."""
    app = App(analytics_reporting=False, context=settings())
    stack = Stack(app, "Foreign", env=env)
    build(stack)
    assembly = app.synth()
    assert missing(Path(assembly.directory)) == []
    template: Template = assembly.get_stack_by_name("Foreign").template
    return template


def missing(assembly: Path) -> list[Any]:
    """Context that a synth would have to look up, in this assembly and those nested in it."""
    found: list[Any] = []
    for manifest in sorted(assembly.rglob("manifest.json")):
        found += json.loads(manifest.read_text()).get("missing") or []
    return found


def of_type(template: Template, kind: str) -> list[dict[str, Any]]:
    """Properties of all resources of a type, in the order of the template."""
    return [r.get("Properties", {}) for r in template["Resources"].values() if r["Type"] == kind]


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    """Resources of a type, whole."""
    return [r for r in template["Resources"].values() if r["Type"] == kind]


def statements(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every policy statement of the template with the logical id of its resource."""
    for name, resource in template["Resources"].items():
        for document in _documents(resource.get("Properties", {})):
            for statement in document["Statement"]:
                yield name, statement


def _documents(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        if isinstance(node.get("Statement"), list):
            yield node
        else:
            for value in node.values():
                yield from _documents(value)
    elif isinstance(node, list):
        for value in node:
            yield from _documents(value)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
