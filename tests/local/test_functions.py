"""Functions run the deployed code, see what Lambda would let them see, and act in their role."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.conftest import Proving, until
from tests.local.proving_app import REGION


def invoke(proving: Proving, **event: Any) -> tuple[Any, str | None]:
    answer = proving.cloud.client("lambda").invoke(FunctionName="prover", Payload=json.dumps(event))
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def test_an_error_carries_its_class(proving: Proving) -> None:
    body, error = invoke(proving, do="raise")
    assert error
    assert (body["errorType"], body["errorMessage"]) == ("Flaky", "as asked")


def test_a_vendored_package_is_the_hosts(proving: Proving) -> None:
    """`yaml` is named in the asset's manifest; what the asset holds of vendored packages is never imported."""
    body, error = invoke(proving, do="import", module="yaml")
    assert not error and "site-packages" in body["file"]
    body, error = invoke(proving, do="import", module="vendored_package")
    assert error and body["errorType"] == "ModuleNotFoundError"


@pytest.mark.parametrize("module", ["boto3", "botocore", "urllib3", "dateutil", "json", "sqlite3"])
def test_what_the_runtime_brings_can_be_imported(proving: Proving, module: str) -> None:
    body, error = invoke(proving, do="import", module=module)
    assert not error, body


@pytest.mark.parametrize("module", ["numpy", "labcycle", "labcycle_lambdas", "aws_cdk", "pydantic", "requests"])
def test_nothing_else_of_the_host_can_be_imported(proving: Proving, module: str) -> None:
    body, error = invoke(proving, do="import", module=module)
    assert error and body["errorType"] == "ModuleNotFoundError", body


def test_the_environment_is_the_functions_own(proving: Proving) -> None:
    environment, _ = invoke(proving, do="environment")
    assert environment["VERSION"] == "1"
    assert environment["AWS_REGION"] == REGION
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "prover"
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert not [name for name in environment if name.startswith(("PYTEST", "MINISTACK", "VIRTUAL_ENV"))]


def test_a_function_may_do_what_its_role_may(proving: Proving) -> None:
    who, error = invoke(proving, do="call", service="sts", method="get_caller_identity")
    assert not error and "assumed-role" in who["Arn"]
    body, error = invoke(proving, do="call", service="s3", method="list_buckets")
    assert error and "AccessDenied" in body["errorMessage"] and "s3:ListAllMyBuckets" in body["errorMessage"]


def test_the_report_names_the_swapped_wheels(proving: Proving) -> None:
    (swap,) = proving.report.vendored
    assert {(p["package"], p["locked"]) for p in swap["packages"]} == {("pyyaml", "0.0.1"), ("vendored-package", "1.0")}
    assert any("pyyaml 0.0.1 ->" in line for line in proving.report.lines())


def test_embedded_metrics_become_metrics(proving: Proving) -> None:
    invoke(proving, do="emit")
    metrics = proving.cloud.client("cloudwatch").list_metrics(Namespace="Proving", MetricName="embedded")["Metrics"]
    assert [metric["Dimensions"] for metric in metrics] == [[{"Name": "side", "Value": "live"}]]


def test_logs_arrive_in_the_functions_own_group(proving: Proving) -> None:
    invoke(proving, do="emit")
    assert until(lambda: proving.cloud.logs("/proving/prover", containing="CloudWatchMetrics"))
