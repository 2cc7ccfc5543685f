"""What stands in an account of a model that is served elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack

from labcycle.config import Monitor, Performance, RawCapture
from labcycle.serving import ServedElsewhere
from labcycle_lambdas.model_server.keeping import Keeping
from tests.one_team import synthesized
from tests.synth.assembly import alone, as_list, of_type

TEAM: dict[str, Any] = {
    "team": "lab",
    "owner": "lab@example.com",
    "cost_centre": "cc-1",
    "target": "somewhere",
    "stage": "staging",
    "members": [{"name": "ann", "principal": {"iam_user": "ann"}, "roles": ["data_scientist"]}],
}
TARGET: dict[str, Any] = {
    "target": "somewhere",
    "account": "123456789012",
    "region": "eu-west-1",
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "lab", "cidr": "10.9.0.0/20", "egress": "none"},
}


def parameter(monitor: Monitor | None) -> dict[str, Any]:
    def build(stack: Stack) -> None:
        ServedElsewhere(stack, "Elsewhere", team="lab", model="risk", monitor=monitor)

    (found,) = of_type(alone(build), "AWS::SSM::Parameter")
    return found


def test_the_api_is_told_what_to_keep_of_records() -> None:
    capture = RawCapture(percent=5, redact=("iban", "größe"))
    watched = Monitor(cohorts=("country",), capture=capture, performance=Performance(metric="log_loss", limit=0.5))
    found = parameter(watched)
    assert found["Name"] == "/labcycle/team/lab/model/risk/records"
    assert found["Tier"] == "Intelligent-Tiering", "names of columns may be more than 4 KB"
    assert Keeping.of(found["Value"]) == Keeping(True, 5, ("iban", "größe"), ("country",), True)
    assert "größe" in found["Value"]


@pytest.mark.parametrize("monitor", [None, Monitor()])
def test_of_a_model_whose_predictions_are_not_kept_it_keeps_profiles(monitor: Monitor | None) -> None:
    assert Keeping.of(parameter(monitor)["Value"]) == Keeping()


@pytest.mark.parametrize(("monitor", "kept"), [({"capture": {}}, True), ({}, False), (None, False)])
def test_the_api_may_keep_predictions_of_this_model_alone(tmp_path: Path, monitor: Any, kept: bool) -> None:
    model = {
        "name": "risk",
        "business_owner": "head@example.com",
        "deliver": [{"form": "external"}],
        "monitor": monitor,
    }
    other = {"name": "served", "business_owner": "head@example.com", "deliver": [{"form": "batch"}]}
    if monitor is None:
        del model["monitor"]
    assembly = synthesized(tmp_path, {**TEAM, "models": [model, other]}, TARGET)
    (template,) = (
        json.loads(path.read_text())
        for path in Path(assembly.directory).rglob("*.template.json")
        if "tracking" in path.name
    )
    puts = [
        json.dumps(resource)
        for policy in template["Resources"].values()
        if policy["Type"] == "AWS::IAM::Policy" and "LifeCycle" in json.dumps(policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "s3:PutObject" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]
    assert [one for one in puts if "predictions" in one] == [one for one in puts if "/predictions/risk/*" in one]
    assert any("predictions" in one for one in puts) == kept
