"""What a request leaves behind: an answer, one line of log without payload, and a metric where it was throttled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto import mock_aws

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.mlflow_error import REQUEST_LIMIT_EXCEEDED, MlflowError
from labcycle_lambdas.responding import client, respond

ARN = "arn:aws:sts::123456789012:assumed-role/labcycle-fraud-ada/ada"


def event(path: str = "/api/2.0/mlflow/runs/create") -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "secret=1",
        "headers": {"authorization": "secret"},
        "body": "secret",
        "requestContext": {"http": {"method": "POST"}, "authorizer": {"iam": {"userArn": ARN}}, "requestId": "r-1"},
    }


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    text = capsys.readouterr().out
    assert "secret" not in text
    return [json.loads(line) for line in text.splitlines()]


def test_a_request_leaves_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        queues = client("sqs")

        def answer(request: Request) -> Response:
            queues.list_queues()
            queues.list_queues()
            return Response(body={"run_id": "secret"})

        assert respond(event(), "function", lambda: "fraud", answer)["statusCode"] == 200
    (line,) = lines(capsys)
    assert line.pop("milliseconds") > 0
    assert line == {
        "level": "INFO",
        "method": "POST",
        "path": "/api/2.0/mlflow/runs/create",
        "status": 200,
        "caller": ARN,
        "aws_calls": 2,
        "request_id": "r-1",
    }


def test_names_of_files_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/api/2.0/mlflow-artifacts/artifacts/7/secret/file.csv"
    respond(event(path), "function", lambda: "fraud", lambda request: Response())
    assert lines(capsys)[0]["path"] == "/api/2.0/mlflow-artifacts/artifacts/7"


def test_a_throttled_answer_is_a_metric_too(capsys: pytest.CaptureFixture[str]) -> None:
    refused = MlflowError(REQUEST_LIMIT_EXCEEDED, "busy").response()
    assert respond(event(), "function", lambda: "fraud", lambda request: refused)["statusCode"] == 429
    line, metric = lines(capsys)
    assert (line["status"], metric["Throttled"], metric["team"]) == (429, 1, "fraud")
    assert metric["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "labcycle/fraud"


def test_a_failure_is_told_in_shape_and_its_cause_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: Request) -> Response:
        raise ValueError("what went wrong")

    said = respond(event(), "tracking function", lambda: "fraud", answer)
    assert said["statusCode"] == 500
    assert json.loads(said["body"])["message"].startswith("The tracking function failed")
    error, line = lines(capsys)
    assert "what went wrong" in error["trace"]
    assert line["status"] == 500
