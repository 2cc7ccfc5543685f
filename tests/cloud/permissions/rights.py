"""What roles may do, held against what they asked for.

A right is the smallest thing that a policy allows: one action on one resource pattern, with one value for each key of
its conditions. It is used where a role's own call is allowed by that right alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labcycle.check.iam.patterns import matches
from tests.cloud.harness import policies
from tests.cloud.harness.permissions import Use

Document = Mapping[str, Any]
# Operators for which a list of values means "one of these".
_ALTERNATIVES = {"StringEquals", "StringLike", "ArnEquals", "ArnLike"}


@dataclass(frozen=True)
class Right:
    """`conditions` are (operator, key, values)."""

    role: str
    action: str
    resource: str
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def covers(self, use: Use) -> bool:
        """Whether this right alone would allow it."""
        return policies.evaluate([{"Statement": [self._statement()]}], use.action, use.resource, _context(use))

    def __str__(self) -> str:
        told = [f"{operator} {key} {', '.join(values)}" for operator, key, values in self.conditions]
        return f"{self.role}: {self.action} on {self.resource}" + (f" if {' and '.join(told)}" if told else "")

    def _statement(self) -> Document:
        conditions: dict[str, dict[str, list[str]]] = {}
        for operator, key, values in self.conditions:
            conditions.setdefault(operator, {})[key] = list(values)
        statement = {"Effect": "Allow", "Action": self.action, "Resource": self.resource}
        return statement | ({"Condition": conditions} if conditions else {})


@dataclass(frozen=True)
class Role:
    """A deployed role: what it is called here and in AWS, and its own policies."""

    name: str
    deployed_name: str
    documents: tuple[Document, ...]

    def rights(self) -> list[Right]:
        """All of them, each once, in the order of action and resource.

        Raises
        ------
        ValueError
            If a policy denies or allows by exception: such a policy is not a list of rights.
        """
        found = {right for document in self.documents for right in _rights(self.name, document)}
        return sorted(found, key=lambda right: (right.action, right.resource, right.conditions))

    def refused(self, uses: Iterable[Use]) -> list[Use]:
        """Which of the uses of this role its policies do not allow."""
        return [
            use
            for use in _in_order(uses)
            if use.role == self.deployed_name
            and not policies.evaluate(self.documents, use.action, use.resource, _context(use))
        ]


@dataclass(frozen=True)
class Exempt:
    """Rights that no call here uses, and why they are needed all the same.

    Parameters
    ----------
    roles
        Pattern of the names of roles; each of them has these rights.
    actions
        Exact actions.
    resource
        Pattern of the resources that the rights name.
    reason
        At least 20 characters.
    source
        Where it says so; empty where the reason stands for itself.
    """

    roles: str
    actions: tuple[str, ...]
    reason: str
    resource: str = "*"
    source: str = ""

    def holds_for(self, right: Right) -> bool:
        return (
            right.action in self.actions and matches(self.roles, right.role) and matches(self.resource, right.resource)
        )


@dataclass(frozen=True)
class Findings:
    """Policies held against uses: `unused` rights have no exception; `stale` exceptions have no such right in a role."""

    refused: list[str]
    unused: list[Right]
    stale: list[str]
    excepted: dict[Right, Exempt]


def compare(roles: Sequence[Role], uses: Iterable[Use], exceptions: Sequence[Exempt]) -> Findings:
    """Sufficiency (nothing refused), tightness (nothing unused), and exceptions that are needed."""
    recorded = list(uses)
    refused = [
        f"{role.name}: {use.action} on {use.resource} with {dict(use.context)}"
        for role in roles
        for use in role.refused(recorded)
    ]
    idle = [right for role in roles for right in unused(role, recorded)]
    excepted = {right: found for right in idle if (found := _exception(right, exceptions))}
    needed = {(exempt, right.role, right.action) for right, exempt in excepted.items()}
    return Findings(
        refused=refused,
        unused=[right for right in idle if right not in excepted],
        stale=[
            f"{name}: {action} on {exempt.resource}"
            for exempt in exceptions
            for name in [role.name for role in roles if matches(exempt.roles, role.name)] or [exempt.roles]
            for action in exempt.actions
            if (exempt, name, action) not in needed
        ],
        excepted=excepted,
    )


def unused(role: Role, uses: Iterable[Use]) -> list[Right]:
    """Rights of the role that none of its uses needed."""
    asked: dict[str, list[Use]] = {}
    for use in uses:
        if use.role == role.deployed_name:
            asked.setdefault(use.action, []).append(use)
    return [right for right in role.rights() if not any(right.covers(use) for use in asked.get(right.action, ()))]


def _exception(right: Right, exceptions: Sequence[Exempt]) -> Exempt | None:
    return next((exempt for exempt in exceptions if exempt.holds_for(right)), None)


def _rights(role: str, document: Document) -> Iterator[Right]:
    for statement in _as_list(document["Statement"]):
        if statement["Effect"] != "Allow" or "NotAction" in statement or "NotResource" in statement:
            raise ValueError(f"{role} is not told by what it may do: {statement}")
        for action in _as_list(statement["Action"]):
            for resource in _as_list(statement["Resource"]):
                for conditions in _conditions(statement.get("Condition") or {}):
                    yield Right(role, action, resource, conditions)


def _conditions(given: Document) -> Iterator[tuple[tuple[str, str, tuple[str, ...]], ...]]:
    """Each way in which the conditions can hold: one value of every list of alternatives."""
    ways: list[list[tuple[str, str, tuple[str, ...]]]] = []
    for operator, keys in sorted(given.items()):
        for key, value in sorted(keys.items()):
            values = [str(one).lower() if isinstance(one, bool) else str(one) for one in _as_list(value)]
            apart = operator.rpartition(":")[2] in _ALTERNATIVES
            ways.append([(operator, key, (one,)) for one in values] if apart else [(operator, key, tuple(values))])
    yield from itertools.product(*ways)


def _context(use: Use) -> dict[str, list[str]]:
    return {key: list(values) for key, values in use.context}


def _in_order(uses: Iterable[Use]) -> list[Use]:
    return sorted(uses, key=lambda use: (use.role, use.action, use.resource, use.context))


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
