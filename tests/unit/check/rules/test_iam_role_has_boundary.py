from __future__ import annotations

from tests.unit.check.rules.cases import offenders, stack
from tests.unit.check.rules.policies import allowed, managed, policy_arn, role

RULE = "iam-role-has-boundary"
CEILING = managed("x-boundary", allowed("s3:GetObject", "*"))
ARN = policy_arn("x-boundary")


def test_compliant() -> None:
    one, two = role("one", PermissionsBoundary=ARN), role("two", PermissionsBoundary=ARN)
    assert offenders(RULE, stack(Ceiling=CEILING, One=one, Two=two)) == []


def test_non_compliant() -> None:
    assert offenders(RULE, stack(One=role("one", PermissionsBoundary=ARN), Two=role("two"))) == ["Two"]


def test_non_compliant_in_another_stack_of_the_team() -> None:
    first = stack("first", team="a", One=role("one", PermissionsBoundary=ARN))
    assert offenders(RULE, first, stack("second", team="a", Two=role("two"))) == ["Two"]
    assert offenders(RULE, first, stack("second", team="b", Two=role("two"))) == []
    assert offenders(RULE, first, stack("second", Two=role("two"))) == []


def test_a_boundary_of_the_team_that_no_role_names() -> None:
    guardrails = stack("guardrails", team="a", Ceiling=CEILING)
    assert offenders(RULE, guardrails, stack("second", team="a", Two=role("two"))) == ["Two"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Ceiling=CEILING, One=role("one"))) == []
    assert (
        offenders(RULE, stack(One=role("one"), Two=role("two"), Policy=managed("m", allowed("s3:GetObject", "*"))))
        == []
    )
