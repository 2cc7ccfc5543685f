"""The app's assembly, synthesized once a session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra.app import build, settings
from tests.synth.assembly import Template


@dataclass(frozen=True)
class SynthesizedStack:
    """One stack of an assembly."""

    name: str
    template: Template
    dependencies: frozenset[str]
    termination_protection: bool
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.template["Resources"]
        return found


def read(assembly: Path) -> dict[str, SynthesizedStack]:
    """All stacks by their CloudFormation names, in the order in which the CLI sees them."""
    return {stack.name: stack for stack in _read(assembly)}


def _read(assembly: Path) -> Iterator[SynthesizedStack]:
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    for artifact_id, artifact in artifacts.items():
        properties = artifact.get("properties", {})
        if artifact["type"] == "cdk:cloud-assembly":
            yield from _read(assembly / properties["directoryName"])
        elif artifact["type"] == "aws:cloudformation:stack":
            yield SynthesizedStack(
                name=properties.get("stackName", artifact_id),
                template=json.loads((assembly / properties["templateFile"]).read_text()),
                dependencies=frozenset(
                    _name(artifacts, other) for other in artifact.get("dependencies", []) if _is_stack(artifacts, other)
                ),
                termination_protection=properties.get("terminationProtection", False),
                tags=properties.get("tags", {}),
            )


def _is_stack(artifacts: Mapping[str, Any], artifact_id: str) -> bool:
    return bool(artifacts[artifact_id]["type"] == "aws:cloudformation:stack")


def _name(artifacts: Mapping[str, Any], artifact_id: str) -> str:
    return str(artifacts[artifact_id]["properties"].get("stackName", artifact_id))


Synthesize = Callable[..., Path]


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Synthesize the app in this process, with this context."""

    def run(**asked: str) -> Path:
        out = tmp_path_factory.mktemp("assembly")
        app = App(outdir=str(out), context=settings() | asked, analytics_reporting=False)
        build(app)
        app.synth()
        return out

    return run


@pytest.fixture(scope="session")
def assembly(synthesize: Synthesize) -> Path:
    """All teams and targets of infra/."""
    return synthesize()


@pytest.fixture(scope="session")
def stacks(assembly: Path) -> dict[str, SynthesizedStack]:
    return read(assembly)


@pytest.fixture(scope="session")
def team_stacks(stacks: dict[str, SynthesizedStack]) -> dict[str, SynthesizedStack]:
    return {name: stack for name, stack in stacks.items() if not name.startswith("labcycle-target-")}
