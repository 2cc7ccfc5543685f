"""The real teams of infra/, synthesized once a session and deployed once a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# aws-cdk-lib's own validation costs 9 seconds a process; the gate does it.
os.environ.setdefault("CDK_VALIDATION", "false")

from tests.cloud.harness import Cloud, cloud
from tests.cloud.harness.place import Place
from tests.cloud.team import Team

# The example targets are in one account and region.
PLACE = Place("123456789012", "eu-west-1")


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/app.py, all targets and teams."""
    from aws_cdk import App

    from infra.app import build, settings

    app = App(context=settings(), outdir=str(tmp_path_factory.mktemp("assembly")), analytics_reporting=False)
    build(app)
    return Path(app.synth().directory)


@dataclass(frozen=True)
class Platform:
    """Both example teams, deployed."""

    cloud: Cloud
    stacks: list[str]


@pytest.fixture(scope="module")
def platform(assembly: Path) -> Iterator[Platform]:
    """The stacks of the targets, then of the teams, as a user would deploy them."""
    with cloud() as made:
        stacks = made.deploy(assembly, PLACE, lambda name: name.startswith("labcycle-target-"))
        stacks += made.deploy(assembly, PLACE, lambda name: not name.startswith("labcycle-target-"))
        yield Platform(made, stacks)


@pytest.fixture
def fraud(platform: Platform) -> Iterator[Team]:
    yield from _team(platform, "fraud")


@pytest.fixture
def growth(platform: Platform) -> Iterator[Team]:
    yield from _team(platform, "growth")


def _team(platform: Platform, name: str) -> Iterator[Team]:
    """The team as on its first day; a call that a role might not make fails the test that did not expect it."""
    platform.cloud.guard.refused.clear()
    platform.cloud.functions.failures.clear()
    team = Team(platform.cloud, PLACE, name)
    team.wipe()
    platform.cloud.training.reset()
    yield team
    platform.cloud.faults.clear()
    platform.cloud.steering.clear()
    assert platform.cloud.guard.refused == []
    assert platform.cloud.functions.failures == []
