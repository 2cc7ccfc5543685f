from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle.check.template import Template
from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, stack
from tests.unit.check.rules.policies import allowed, managed, policy_arn, role

RULE = "iam-boundary-comes-first"
ARN = policy_arn("ceiling")
CEILING = managed("ceiling", allowed("s3:GetObject", "*"))
GUARDED = role("r", PermissionsBoundary=ARN)


def test_compliant() -> None:
    guardrails = stack("guardrails", Ceiling=CEILING)
    assert offenders(RULE, guardrails, stack("app", after=frozenset({"guardrails"}), Role=GUARDED)) == []


def test_compliant_by_way_of_another_stack() -> None:
    templates = [
        stack("guardrails", Ceiling=CEILING),
        stack("middle", after=frozenset({"guardrails"})),
        stack("app", after=frozenset({"middle"}), Role=GUARDED),
    ]
    assert offenders(RULE, *templates) == []


@pytest.mark.parametrize(
    "named", [{"Ref": "Ceiling"}, {"Fn::Sub": "${Ceiling}"}, {"Fn::GetAtt": ["Ceiling", "PolicyArn"]}]
)
def test_compliant_by_reference(named: Any) -> None:
    assert offenders(RULE, stack(Ceiling=CEILING, Role=role("r", PermissionsBoundary=named))) == []


def test_compliant_by_depends_on() -> None:
    assert offenders(RULE, stack(Ceiling=CEILING, Role=GUARDED | {"DependsOn": ["Ceiling"]})) == []


def test_compliant_by_import() -> None:
    exporting = {
        "Resources": {"Ceiling": CEILING},
        "Outputs": {"O": {"Value": {"Ref": "Ceiling"}, "Export": {"Name": "c"}}},
    }
    guardrails = Template("guardrails", json.dumps(exporting), REGION, ACCOUNT)
    imported = role("r", PermissionsBoundary={"Fn::ImportValue": "c"})
    assert offenders(RULE, guardrails, stack("app", Role=imported)) == []


def test_non_compliant() -> None:
    assert offenders(RULE, stack("guardrails", Ceiling=CEILING), stack("app", Role=GUARDED)) == ["Role"]
    assert offenders(RULE, stack(Ceiling=CEILING, Role=GUARDED)) == ["Role"]


def test_non_compliant_the_wrong_way_round() -> None:
    late = stack("guardrails", after=frozenset({"app"}), Ceiling=CEILING)
    assert offenders(RULE, late, stack("app", Role=GUARDED)) == ["Role"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Ceiling=CEILING, Role=role("r"))) == []
    assert offenders(RULE, stack(Role=role("r", PermissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess"))) == []
