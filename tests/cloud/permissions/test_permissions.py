"""Sufficiency and tightness: each role may do what it does, and does what it may."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from labcycle.check.iam.patterns import matches
from tests.cloud.harness.permissions import Use
from tests.cloud.permissions import everybody
from tests.cloud.permissions.exceptions import EXCEPTIONS
from tests.cloud.permissions.page import PAGE, page, placeholders
from tests.cloud.permissions.rights import Exempt, Findings, Role, compare
from tests.cloud.team import Team


@dataclass(frozen=True)
class Lived:
    """What a team did, and with which roles."""

    team: Team
    roles: list[Role]
    uses: frozenset[Use]

    def role(self, name: str) -> Role:
        (found,) = [role for role in self.roles if role.name == name]
        return found


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    with everybody.alone(tmp_path_factory.mktemp("everybody")) as team:
        everybody.live(team)
        assert team.cloud.guard.refused == []
        yield Lived(team, everybody.roles(team), frozenset(team.cloud.guard.used))


@pytest.fixture(scope="module")
def findings(lived: Lived) -> Findings:
    return compare(lived.roles, lived.uses, EXCEPTIONS)


def test_what_roles_do_is_allowed(findings: Findings) -> None:
    assert findings.refused == []


def test_what_roles_may_do_is_used(findings: Findings) -> None:
    assert [str(right) for right in findings.unused] == []


def test_exceptions_are_needed(findings: Findings) -> None:
    assert findings.stale == []


def test_every_role_is_looked_at(lived: Lived) -> None:
    assert len({role.name for role in lived.roles}) == len(lived.roles)
    assert {use.role for use in lived.uses} == {role.deployed_name for role in lived.roles}


def test_exceptions_name_actions_and_say_why() -> None:
    for exempt in EXCEPTIONS:
        assert len(exempt.reason) >= 20, exempt
        assert not [action for action in exempt.actions if "*" in action], exempt


def test_the_page_tells_what_was_found(lived: Lived, findings: Findings) -> None:
    expected = page(lived.roles, findings, placeholders(lived.team, lived.roles))
    assert PAGE.read_text() == expected, "write it anew: python -m tests.cloud.permissions"


def changed(role: Role, change: Callable[[list[dict[str, Any]]], None]) -> Role:
    """The role with a copy of its policies' statements that `change` changed."""
    documents = copy.deepcopy(role.documents)
    for document in documents:
        change(document["Statement"])
    return replace(role, documents=documents)


def without(role: Role, action: str) -> Role:
    def change(statements: list[dict[str, Any]]) -> None:
        for statement in statements:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            statement["Action"] = [one for one in actions if one != action]
        statements[:] = [statement for statement in statements if statement["Action"]]

    return changed(role, change)


def with_more(role: Role, action: str, resource: str, **conditions: Any) -> Role:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": conditions}
    return replace(role, documents=(*role.documents, {"Statement": [statement]}))


def exceptions_of(role: Role) -> list[Exempt]:
    return [exempt for exempt in EXCEPTIONS if matches(exempt.roles, role.name)]


def test_any_action_less_is_missed(lived: Lived) -> None:
    """Whichever action is taken from whichever role: a call is refused, or else an exception has lost its right."""
    taken = 0
    for role in lived.roles:
        for action in sorted({right.action for right in role.rights()}):
            asked = [use for use in lived.uses if use.action == action]
            found = compare([without(role, action)], asked, exceptions_of(role))
            resources = {use.resource for use in asked if use.role == role.deployed_name}
            missed = {line.partition(" with ")[0] for line in found.refused}
            assert missed == {f"{role.name}: {action} on {resource}" for resource in resources}
            assert missed or [line for line in found.stale if line.startswith(f"{role.name}: {action} on ")]
            taken += 1
    assert taken > 100


def test_any_action_more_is_named(lived: Lived) -> None:
    for role in lived.roles:
        more = with_more(role, "dynamodb:DeleteTable", "*")
        uses = [use for use in lived.uses if use.role == role.deployed_name]
        found = compare([more], uses, exceptions_of(role))
        assert [str(right) for right in found.unused] == [f"{role.name}: dynamodb:DeleteTable on *"]


def test_a_resource_or_a_condition_more_is_named(lived: Lived) -> None:
    role = lived.role("function: model_server")
    bucket = f"arn:aws:s3:::{lived.team.bucket}"
    key = {"StringEquals": {"dynamodb:LeadingKeys": ["DEPLOYMENT#another"]}}
    table = f"arn:aws:dynamodb:{lived.team.place.region}:{lived.team.place.account}:table/{lived.team.table}"
    for more, told in (
        (with_more(role, "s3:GetObjectVersion", f"{bucket}/data/*"), f"s3:GetObjectVersion on {bucket}/data/*"),
        (
            with_more(role, "dynamodb:GetItem", table, **key),
            f"dynamodb:GetItem on {table} if StringEquals dynamodb:LeadingKeys DEPLOYMENT#another",
        ),
    ):
        found = compare([more], lived.uses, exceptions_of(role))
        assert [str(right) for right in found.unused] == [f"{role.name}: {told}"]


def test_an_exception_more_is_named(lived: Lived) -> None:
    role = lived.role("function: tracking")
    idle = Exempt(role.name, ("dynamodb:GetItem",), "There was a time when nothing used it.")
    found = compare([role], lived.uses, [*exceptions_of(role), idle])
    assert found.stale == [f"{role.name}: dynamodb:GetItem on *"]
