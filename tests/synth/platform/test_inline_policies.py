"""A member's role holds what IAM allows: 10,240 characters of inline policies, summed over all stacks of the team."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aws_cdk import App

from infra.app import settings
from labcycle.config import ConfigError, Team, load_target, load_team, names
from labcycle.platform import TeamPlatform
from labcycle.platform.inline_policies import SIZE_LIMIT, sizes
from tests.synth.assembly import ROOT
from tests.synth.physical import Physical
from tests.synth.platform.conftest import read

TARGET = load_target(ROOT / "infra" / "targets" / "eu-production.yaml")
FRAUD = load_team(ROOT / "infra" / "teams" / "fraud.yaml")


def with_models(count: int) -> Team:
    """The team with so many models like its first one."""
    model = FRAUD.models[0]
    models = [model.model_copy(update={"name": f"{model.name}-{n}"}) for n in range(count)]
    return FRAUD.model_copy(update={"models": models})


def test_what_is_counted_is_no_less_than_what_iam_counts(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path), context=settings(), analytics_reporting=False)
    platform = TeamPlatform(app, team=with_models(2), target=TARGET)
    counted = sizes([*platform.shared_stacks, *platform.models.values()])
    app.synth()
    stacks = read(tmp_path)
    physical = Physical({name: stack.template for name, stack in stacks.items()}, TARGET.account, TARGET.region)
    real = dict.fromkeys(counted, 0)
    for name, stack in stacks.items():
        for resource in stack.resources.values():
            if resource["Type"] == "AWS::IAM::Policy":
                for role in (physical.text(name, role) for role in resource["Properties"]["Roles"]):
                    if role in real:
                        real[role] += _length(physical, name, resource["Properties"]["PolicyDocument"])
    assert set(real) == {names.member_role("fraud", m.name) for m in FRAUD.members} | {
        names.workspace_role("fraud", "scientist-1")
    }
    for role, characters in real.items():
        assert 0.6 * counted[role] < characters <= counted[role], role


def _length(physical: Physical, stack: str, document: object) -> int:
    def filled(value: object) -> object:
        if isinstance(value, list):
            return [filled(one) for one in value]
        if isinstance(value, dict):
            if len(value) == 1 and next(iter(value)).split("::")[0] in ("Ref", "Fn"):
                return physical.text(stack, value)
            return {key: filled(one) for key, one in value.items()}
        return value

    return len(json.dumps(filled(document), separators=(",", ":")).replace(" ", ""))


def test_one_model_more_costs_a_scientist_little() -> None:
    app = App(context=settings(), analytics_reporting=False)
    (stack,) = TeamPlatform(app, team=with_models(1), target=TARGET).models.values()
    assert 100 < sizes([stack])[names.member_role("fraud", "scientist-1")] < 200


def test_a_member_whose_role_would_hold_too_much_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        TeamPlatform(App(context=settings()), team=with_models(12), target=TARGET)
    (problem,) = refused.value.problems
    assert problem.path == "members[2].name"
    assert problem.message.startswith("got operator-1, whose role labcycle-fraud-operator-1 would hold")
    assert f"IAM allows {SIZE_LIMIT:,}" in problem.message
