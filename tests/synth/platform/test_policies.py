"""What the roles of the teams may do, and that the boundary lets them do what they must."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from labcycle.config import Role, names
from labcycle.platform.personas import PERSONAS, RIGHTS, page, rights_of
from tests.synth.assembly import ROOT, as_list
from tests.synth.physical import Physical
from tests.synth.platform.conftest import SynthesizedStack

ACCOUNT, REGION = "123456789012", "eu-west-1"
Stacks = dict[str, SynthesizedStack]


@pytest.fixture(scope="session")
def physical(stacks: Stacks) -> Physical:
    return Physical({name: stack.template for name, stack in stacks.items()}, ACCOUNT, REGION)


def identity_statements(stacks: Stacks) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Stack, logical id and statement of everything that is attached to a role."""
    for name, stack in stacks.items():
        for logical_id, resource in stack.resources.items():
            # A managed policy without roles is the boundary.
            if (
                resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
                and "Roles" in resource["Properties"]
            ):
                for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                    yield name, logical_id, statement
            if resource["Type"] == "AWS::IAM::Role":
                assert "ManagedPolicyArns" not in resource["Properties"], (
                    f"{name}/{logical_id}: AWS's policies are wide"
                )
                for policy in resource["Properties"].get("Policies", []):
                    for statement in policy["PolicyDocument"]["Statement"]:
                        yield name, logical_id, statement


def test_the_boundary_lets_every_role_do_what_its_policies_allow(team_stacks: Stacks, physical: Physical) -> None:
    refused = []
    for name, logical_id, statement in identity_statements(team_stacks):
        team = name.split("-")[1]
        ceiling = team_stacks[f"{names.team_stage(team)}-guardrails"].resources
        (policy,) = (r["Properties"]["PolicyDocument"] for r in ceiling.values())
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                arn = physical.text(name, resource)
                if not allowed(policy, action, arn):
                    refused.append(f"{name}/{logical_id}: {action} on {arn}")
    assert refused == []


def allowed(policy: dict[str, Any], action: str, arn: str) -> bool:
    """Whether some statement covers the action on the resource (which may be a pattern itself), and none denies it."""
    matching = [
        s
        for s in policy["Statement"]
        if any(fnmatchcase(action, p) for p in as_list(s["Action"]))
        and any(fnmatchcase(arn, p) for p in as_list(s["Resource"]))
    ]
    denied = any(s["Effect"] == "Deny" and "Condition" not in s for s in matching)
    return not denied and any(s["Effect"] == "Allow" for s in matching)


def test_no_policy_of_one_stack_overwrites_that_of_another(team_stacks: Stacks, physical: Physical) -> None:
    """Two inline policies of one name on one role are one: the stack deployed last would win."""
    seen: dict[tuple[str, str], str] = {}
    for name, stack in team_stacks.items():
        for logical_id, resource in stack.resources.items():
            if resource["Type"] == "AWS::IAM::Policy":
                for role in resource["Properties"]["Roles"]:
                    key = physical.text(name, role), resource["Properties"]["PolicyName"]
                    assert key not in seen, f"{name}/{logical_id} and {seen[key]} are both {key}"
                    seen[key] = f"{name}/{logical_id}"
    assert len(seen) > 5


def test_imported_roles_exist(team_stacks: Stacks, physical: Physical) -> None:
    made = {
        physical.name(name, logical_id)
        for name, stack in team_stacks.items()
        for logical_id, resource in stack.resources.items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    for name, stack in team_stacks.items():
        for resource in stack.resources.values():
            if resource["Type"] == "AWS::IAM::Policy":
                assert {physical.text(name, role) for role in resource["Properties"]["Roles"]} <= made


def invocable(team_stacks: Stacks, physical: Physical, role: str, stack: str) -> list[str]:
    """`METHOD/path` patterns of a stack's API that a role may call."""
    found = []
    for name, logical_id, statement in identity_statements({stack: team_stacks[stack]}):
        roles = team_stacks[name].resources[logical_id]["Properties"]["Roles"]
        if role in [physical.text(name, r) for r in roles] and "execute-api:Invoke" in as_list(statement["Action"]):
            found += [physical.text(name, r).partition("$default/")[2] for r in as_list(statement["Resource"])]
    return found


def may(routes: list[str], request: str) -> bool:
    return any(fnmatchcase(request, route) for route in routes)


PROMOTE = "POST/labcycle/1.0/models/card-fraud/promote"
LOG = "POST/api/2.0/mlflow/runs/create"
READ = "GET/api/2.0/mlflow/runs/get"


@pytest.mark.parametrize(
    ("member", "rights"),
    [("scientist-1", {LOG, READ}), ("reviewer-1", {PROMOTE, READ}), ("operator-1", {READ})],
)
def test_members_may_call_what_their_roles_say(
    member: str, rights: set[str], team_stacks: Stacks, physical: Physical
) -> None:
    routes = invocable(team_stacks, physical, names.member_role("fraud", member), "labcycle-fraud-tracking")
    assert {request for request in (LOG, READ, PROMOTE) if may(routes, request)} == rights


def test_no_name_of_a_model_lets_a_scientist_promote(team_stacks: Stacks, physical: Physical) -> None:
    """`*` in a route stands for slashes too, so that a model could be named like a part of another route."""
    routes = invocable(team_stacks, physical, names.member_role("fraud", "scientist-1"), "labcycle-fraud-tracking")
    for model in ("api", "ajax-api", "x/api/y", "api/2.0/mlflow/runs/search"):
        assert not may(routes, f"POST/labcycle/1.0/models/{model}/promote")


def test_a_workspace_logs_and_scores_in_its_members_name(team_stacks: Stacks, physical: Physical) -> None:
    role = names.workspace_role("fraud", "scientist-1")
    routes = invocable(team_stacks, physical, role, "labcycle-fraud-workspaces")
    assert may(routes, LOG)
    assert not may(routes, PROMOTE)
    assert invocable(team_stacks, physical, role, "labcycle-fraud-model-card-fraud")


def test_operators_run_the_check_and_the_reaction(team_stacks: Stacks, physical: Physical) -> None:
    stack = "labcycle-fraud-model-card-fraud"
    actions: dict[str, list[str]] = {}
    for name, logical_id, statement in identity_statements({stack: team_stacks[stack]}):
        for role in team_stacks[name].resources[logical_id]["Properties"]["Roles"]:
            actions.setdefault(physical.text(name, role), []).extend(as_list(statement["Action"]))
    operator = actions[names.member_role("fraud", "operator-1")]
    assert {"lambda:InvokeFunction", "states:StartExecution", "states:StopExecution"} <= set(operator)
    assert "states:StartExecution" not in actions[names.member_role("fraud", "scientist-1")]
    assert "lambda:InvokeFunction" not in actions[names.member_role("fraud", "reviewer-1")]


def test_the_page_of_personas_is_made_from_the_table() -> None:
    assert (ROOT / "docs" / "personas.md").read_text() == page(), "labcycle.platform.personas says how to write it anew"


def test_every_role_and_every_right_is_in_the_table() -> None:
    assert [p.role for p in PERSONAS] == list(Role.__args__)  # type: ignore[attr-defined]
    assert frozenset().union(*(p.rights for p in PERSONAS)) == frozenset(RIGHTS)


def test_roles_add_up() -> None:
    assert rights_of(["lead", "data_scientist"]) == rights_of(["lead"]) | rights_of(["data_scientist"])
    assert rights_of(["stakeholder"]) == {"read"}
