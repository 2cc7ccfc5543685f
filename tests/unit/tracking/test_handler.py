"""The function as Lambda starts it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from labcycle_lambdas.tracking import handler
from labcycle_lambdas.tracking.environment import Environment
from tests.unit.ledger.conftest import NAME
from tests.unit.tracking.conftest import BUCKET, Api
from tests.unit.tracking.server import event, member


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(RuntimeError, match="ARTIFACT_BUCKET, TEAM"):
        Environment.read({"LEDGER_TABLE": "t"})


def test_it_answers_an_event(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LEDGER_TABLE", NAME), ("ARTIFACT_BUCKET", BUCKET), ("TEAM", "fraud")):
        monkeypatch.setenv(name, value)
    handler.ledgers.cache_clear()
    body = b'{"name": "gr\\u00f6\\u00dfer"}'
    said = handler.handle(event("POST", "/api/2.0/mlflow/experiments/create", body=body, arn=member()), None)
    assert said["statusCode"] == 200
    found = handler.handle(
        event("GET", "/api/2.0/mlflow/experiments/get-by-name", "experiment_name=gr%C3%B6%C3%9Fer"), None
    )
    assert json.loads(found["body"])["experiment"]["experiment_id"] == json.loads(said["body"])["experiment_id"]
    handler.ledgers.cache_clear()


def test_it_is_told_of_members_and_of_the_limit_of_calls(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "LEDGER_TABLE": NAME,
        "ARTIFACT_BUCKET": BUCKET,
        "TEAM": "fraud",
        "MEMBERS": '{"rights": {"read": ["scientist-1"]}, "subjects": {}}',
        "REQUESTS_PER_SECOND": "10",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    handler.ledgers.cache_clear()
    said = handler.handle(event("POST", "/api/2.0/mlflow/experiments/create", body=b"{}", arn=member()), None)
    assert (said["statusCode"], json.loads(said["body"])["error_code"]) == (403, "PERMISSION_DENIED")
    monkeypatch.setattr(handler.ledgers().shedding, "_clock", lambda: 1_000_000.0)
    search = event("POST", "/api/2.0/mlflow/experiments/search", body=b'{"max_results": 1}', arn=member())
    statuses = [handler.handle(search, None)["statusCode"] for _ in range(25)]
    assert statuses == [200] * 25
    assert api.dynamodb.get_item(TableName=NAME, Key={"pk": {"S": "LOAD"}, "sk": {"S": "HEADER"}})["Item"]
    handler.ledgers.cache_clear()


def test_our_own_failure_is_told_in_shape_and_its_cause_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LEDGER_TABLE", raising=False)
    handler.ledgers.cache_clear()
    said = handler.handle(event("GET", "/health"), None)
    assert said["statusCode"] == 500
    assert json.loads(said["body"])["error_code"] == "INTERNAL_ERROR"
    logged, line = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (line["status"], line["path"], line["method"]) == (500, "/health", "GET")
    assert logged["request_id"] == "r-1"
    assert "LEDGER_TABLE" in logged["trace"]
    assert "LEDGER_TABLE" not in said["body"]


def test_a_cold_start_imports_little() -> None:
    """MLflow's server needs seconds and a gigabyte; this function must not grow into that."""
    code = "import sys, labcycle_lambdas.tracking.handler; print(' '.join(sorted(m.partition('.')[0] for m in sys.modules)))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert loaded.isdisjoint(
        {"mlflow", "numpy", "pandas", "yaml", "onnxruntime", "pydantic", "labcycle", "aws_cdk", "boto3"}
    )
