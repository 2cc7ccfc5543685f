"""The stack of a model on SageMaker is deployed. Its API is asked; the door asks the endpoint, which is answered by the server as the
container runs it, with what the endpoint's model tells it, from the team's ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from labcycle.config import names
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from tests.cloud.harness import Answer
from tests.cloud.serving.test_life_cycle import LARGE, MODEL, SMALL
from tests.cloud.team import COLUMNS, Team
from tests.unit.model_server.test_process import Process


@pytest.fixture
def process(fraud: Team, tmp_path: Path) -> Iterator[Process]:
    """What an instance of the deployed endpoint runs, asked as SageMaker asks it."""
    sagemaker, name = fraud.place.client("sagemaker"), fraud.output(names.model_stack(MODEL), "ServerEndpoint")
    config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    [variant] = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    container = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    how = ("serve", "--host", "127.0.0.1")
    endpoint = f"http://127.0.0.1:{port}"
    made = Process(endpoint, tmp_path / "log", container["Environment"], fraud.place.region, *how)

    def invocations(headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        status, _, content = made.ask(
            "POST", "/invocations", body, parse=False, **{name.title(): one for name, one in headers.items()}
        )
        return status, content

    fraud.cloud.endpoints.containers[name] = invocations
    try:
        yield made.wait()
    finally:
        if made.popen.poll() is None:
            made.popen.kill()
            made.popen.wait()
        server.stop()


def call(fraud: Team, method: str, path: str, body: Any = None, **how: Any) -> Answer:
    return fraud.model(MODEL).call(method, path, fraud.member("reviewer-1").caller, body=body, **how)


def score(fraud: Team, *amounts: float, **how: Any) -> Answer:
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[amount, 12] for amount in amounts]}}
    return call(fraud, "POST", "/invocations", body, **how)


def test_it_answers_as_on_lambda(fraud: Team, process: Process) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    nothing = score(fraud, 1.0)
    assert (nothing.status, nothing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    first, second = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    assert reviewer.promote(MODEL, first)["notes"] == []
    answer = score(fraud, 2.0, -2.0)
    assert (answer.status, answer.json()) == (200, {"predictions": [1, 0]})
    assert answer.headers["x-labcycle-model-version"] == str(first)
    assert answer.headers["x-labcycle-model"] == MODEL
    assert call(fraud, "GET", "/version").json()["version"] == str(first)
    assert call(fraud, "GET", "/ping").status == 200
    document = call(fraud, "GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1") and "/invocations" in document["paths"]
    page = call(fraud, "GET", "/app")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    csv = call(fraud, "POST", "/invocations", b"amount,hour\n2.0,12\n", headers={"content-type": "text/csv"})
    assert (csv.status, csv.json()) == (200, {"predictions": [1]})
    wrong = call(fraud, "POST", "/invocations", {"rows": []})
    assert (wrong.status, wrong.json()["error_code"]) == (400, "BAD_REQUEST")
    assert wrong.headers["x-request-id"]
    reviewer.promote(MODEL, second)
    assert process.end() == 0, process.log()
    written = Profiles(Table(fraud.place.client("dynamodb"), fraud.table)).read(
        MODEL, first, datetime.now(UTC) - timedelta(hours=1)
    )
    assert [one.doc["rows"] for one in written] == [3]


def test_rows_that_are_only_tried_are_not_counted(fraud: Team, process: Process) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    version = scientist.log_model(MODEL, LARGE)
    reviewer.promote(MODEL, version)
    assert score(fraud, 2.0, headers={"x-labcycle-what-if": "1"}).json() == {"predictions": [1]}
    assert process.end() == 0, process.log()
    table = Table(fraud.place.client("dynamodb"), fraud.table)
    assert not list(Profiles(table).read(MODEL, version, datetime.now(UTC) - timedelta(hours=1)))


@pytest.mark.parametrize(
    ("refusal", "status", "code", "retry_after"),
    [
        ((400, "ThrottlingException", "Rate exceeded"), 429, "REQUEST_LIMIT_EXCEEDED", "1"),
        ((503, "ServiceUnavailable", "busy"), 503, "TEMPORARILY_UNAVAILABLE", "1"),
        ((429, "ModelNotReadyException", "provisioning"), 503, "TEMPORARILY_UNAVAILABLE", "1"),
    ],
)
def test_what_sagemaker_refuses(
    fraud: Team, refusal: tuple[int, str, str], status: int, code: str, retry_after: str
) -> None:
    fraud.cloud.endpoints.refusals.append(refusal)
    answer = score(fraud, 1.0)
    assert (answer.status, answer.json()["error_code"]) == (status, code)
    assert answer.headers["retry-after"] == retry_after


def test_a_server_that_fails(fraud: Team) -> None:
    """The container's own failure, and one that SageMaker tells of: a container that is gone."""
    name = fraud.output(names.model_stack(MODEL), "ServerEndpoint")
    fraud.cloud.endpoints.containers[name] = lambda headers, body: (500, b"Traceback: out of memory")
    answer = score(fraud, 1.0)
    assert (answer.status, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "out of memory" in answer.json()["message"]


def test_an_endpoint_that_is_missing(fraud: Team) -> None:
    from moto.sagemaker.models import sagemaker_backends

    endpoints = sagemaker_backends[fraud.place.account][fraud.place.region].endpoints
    kept = dict(endpoints)
    endpoints.clear()
    try:
        answer = score(fraud, 1.0)
    finally:
        endpoints.update(kept)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "is not there or not ready" in answer.json()["message"]


def test_the_endpoint_is_as_the_team_file_says(fraud: Team) -> None:
    [target] = fraud.place.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert target["ResourceId"] == "endpoint/labcycle-fraud-card-fraud/variant/all"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 3)
    parameter = names.model_server_memory_parameter("fraud", MODEL)
    assert fraud.place.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"] == "8192"
