"""What holds for every stack of every team."""

from __future__ import annotations

import json
import re

import pytest

from labcycle.config import names
from tests.synth.platform.conftest import SynthesizedStack

Stacks = dict[str, SynthesizedStack]
TAGS = {"labcycle:team", "labcycle:cost-centre", "labcycle:stage"}
TEAMS = {"fraud": "production", "growth": "sandbox"}


def team_of(stack: str) -> str:
    return stack.split("-")[1]


def test_every_stack_comes_after_the_guardrails_and_in_order(team_stacks: Stacks) -> None:
    def before(name: str) -> set[str]:
        direct = team_stacks[name].dependencies
        return set(direct).union(*(before(other) for other in direct))

    order = ["guardrails", "foundation", "tracking", "workspaces", "compute"]
    for name in team_stacks:
        prefix = names.team_stage(team_of(name))
        kind = name.removeprefix(f"{prefix}-")
        earlier = order[: order.index(kind)] if kind in order else order
        assert before(name) == {f"{prefix}-{stack}" for stack in earlier} & set(team_stacks)


def test_the_boundary_is_alone(team_stacks: Stacks) -> None:
    for name, stack in team_stacks.items():
        if name.endswith("-guardrails"):
            assert [r["Type"] for r in stack.resources.values()] == ["AWS::IAM::ManagedPolicy"]


def test_every_role_carries_the_boundary_of_its_team(team_stacks: Stacks) -> None:
    seen = 0
    for name, stack in team_stacks.items():
        for resource in stack.resources.values():
            if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::User"):
                seen += 1
                wanted = f"arn:aws:iam::123456789012:policy/{names.boundary(team_of(name))}"
                assert resource["Properties"]["PermissionsBoundary"] == wanted
    assert seen > 10


def test_stacks_carry_the_teams_tags(team_stacks: Stacks) -> None:
    for name, stack in team_stacks.items():
        assert stack.tags["labcycle:team"] == team_of(name)
        assert stack.tags["labcycle:stage"] == TEAMS[team_of(name)]
        of_a_model = name.partition("-model-")[2]
        assert set(stack.tags) == (TAGS | {"labcycle:model"} if of_a_model else TAGS)
        assert stack.tags.get("labcycle:model", "") == of_a_model


def test_production_is_protected_from_deletion(team_stacks: Stacks) -> None:
    assert {name: s.termination_protection for name, s in team_stacks.items()} == {
        name: TEAMS[team_of(name)] == "production" for name in team_stacks
    }


KEPT = {"production": {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"}, "sandbox": {"AWS::S3::Bucket"}}
DATA = {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup"}


def test_what_is_kept_is_what_the_stage_says(team_stacks: Stacks) -> None:
    for name, stack in team_stacks.items():
        stage = TEAMS[team_of(name)]
        for logical_id, resource in stack.resources.items():
            kind = resource["Type"]
            if kind in KEPT[stage]:
                # A table is protected from deletion all the same; of the others nothing stays of a first deployment that
                # failed, so that their names are free for the next.
                kept = "Retain" if kind == "AWS::DynamoDB::Table" else "RetainExceptOnCreate"
                assert resource["DeletionPolicy"] == kept, f"{name}/{logical_id}"
                assert resource["UpdateReplacePolicy"] == "Retain", f"{name}/{logical_id}"
            elif kind in DATA and stage == "sandbox":
                assert resource["DeletionPolicy"] == "Delete", f"{name}/{logical_id}"
            if kind == "AWS::DynamoDB::Table":
                assert resource["Properties"].get("DeletionProtectionEnabled", False) is (stage != "sandbox")


def test_what_is_retained_is_said(stacks: Stacks) -> None:
    for name, stack in stacks.items():
        retained = [i for i, r in stack.resources.items() if r.get("DeletionPolicy", "").startswith("Retain")]
        output = stack.template.get("Outputs", {}).get("RetainedByDesign")
        assert bool(output) == bool(retained), f"{name}: {retained}"


def test_no_reference_crosses_a_stage(team_stacks: Stacks) -> None:
    for name, stack in team_stacks.items():
        text = json.dumps(stack.template)
        assert "Fn::GetStackOutput" not in text
        own = names.team_stage(team_of(name))
        for imported in re.findall(r'"Fn::ImportValue": "([^"]+)"', text):
            assert imported.startswith(f"{own}-"), f"{name} imports {imported}"
            assert imported.partition(":")[0] in stack.dependencies | {
                d for dep in stack.dependencies for d in team_stacks[dep].dependencies
            } | {f"{own}-foundation"}


def test_only_key_api_and_bucket_are_strong_references(team_stacks: Stacks) -> None:
    """Exports cannot change while they are used; everything else is found by its contract name."""
    exported = set()
    for stack in team_stacks.values():
        for output in stack.template.get("Outputs", {}).values():
            if "Export" in output:
                exported.add(output["Export"]["Name"].partition("ExportsOutput")[2])
    assert {re.sub(r"[0-9A-F]{8}", "", name) for name in exported} == {
        "FnGetAttFoundationKeyArn",
        "FnGetAttTrackingArtifactsArn",
        "RefTrackingApi",
    }


def test_networks_are_read_from_parameters(team_stacks: Stacks) -> None:
    parameters = team_stacks["labcycle-fraud-workspaces"].template["Parameters"]
    assert parameters["VpcId"] == {
        "Type": "AWS::SSM::Parameter::Value<AWS::EC2::VPC::Id>",
        "Default": names.network_parameter("shared", "vpc-id"),
    }
    assert parameters["PrivateSubnetIds"] == {
        "Type": "AWS::SSM::Parameter::Value<List<AWS::EC2::Subnet::Id>>",
        "Default": names.network_parameter("shared", "private-subnet-ids"),
    }


@pytest.mark.parametrize(
    ("stack", "outputs"),
    [
        ("labcycle-fraud-tracking", {"TrackingUrl", "ArtifactBucket"}),
        ("labcycle-growth-tracking", {"TrackingUrl", "ArtifactBucket"}),
        (
            "labcycle-fraud-model-card-fraud",
            {"ModelUrl", "ServerFunction", "EvaluatorFunction", "ReactionStateMachine", "DriftAlarm"},
        ),
    ],
)
def test_outputs_are_the_contracts(stack: str, outputs: set[str], team_stacks: Stacks) -> None:
    assert set(team_stacks[stack].template["Outputs"]) >= outputs


def test_no_custom_resource(stacks: Stacks) -> None:
    kinds = {r["Type"] for stack in stacks.values() for r in stack.resources.values()}
    assert not [k for k in kinds if k.startswith(("Custom::", "AWS::CloudFormation::Custom"))]
