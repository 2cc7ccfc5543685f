"""The stack of a model that answers later is deployed. Its API is asked; the door keeps the request and lets SageMaker queue it, which
is answered by the server as the container runs it, with the rights of the endpoint's role; the door fetches the answer."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from labcycle.config import names
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from tests.cloud.endpoint.test_endpoint import call, score
from tests.cloud.harness import Answer
from tests.cloud.serving.test_life_cycle import LARGE, MODEL, SMALL
from tests.cloud.team import Team
from tests.unit.model_server.test_process import Process

ID = re.compile("[0-9a-f]{32}")


@pytest.fixture(autouse=True)
def _empty(fraud: Team) -> None:
    fraud.cloud.endpoints.queue.clear()


def asked(answer: Answer) -> str:
    """The path of the answer that is to come."""
    assert (answer.status, answer.headers["retry-after"]) == (202, "5"), answer.json()
    path = answer.headers["location"]
    assert path == f"/answers/{answer.json()['id']}" and ID.fullmatch(answer.json()["id"])
    return str(path)


def test_a_request_waits_and_its_answer_is_the_servers_own(fraud: Team, process: Process) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    first, second = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    nothing = score(fraud, 1.0)
    assert (nothing.status, nothing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert fraud.cloud.endpoints.queue == []
    reviewer.promote(MODEL, first)
    taken = score(fraud, 2.0, -2.0)
    path = asked(taken)
    assert call(fraud, "GET", path).headers["location"] == path  # it waits still
    fraud.cloud.endpoints.work()
    answer = call(fraud, "GET", path)
    assert (answer.status, answer.json()) == (200, {"predictions": [1, 0]})
    assert answer.headers["x-labcycle-model-version"] == str(first)
    assert answer.headers["x-request-id"] == taken.headers["x-request-id"]
    assert call(fraud, "GET", "/version").json()["version"] == str(first)
    assert call(fraud, "GET", "/ping").status == 200
    document = call(fraud, "GET", "/openapi.json").json()
    assert document["info"]["version"] == str(first) and "/answers/{id}" in document["paths"]
    assert call(fraud, "GET", "/app").status == 404
    # Which version answers, is decided when the request's turn has come.
    path = asked(call(fraud, "POST", "/invocations", b"amount,hour\n2.0,12\n", headers={"content-type": "text/csv"}))
    reviewer.promote(MODEL, second)
    assert process.end() == 0, process.log()
    written = Profiles(Table(fraud.place.client("dynamodb"), fraud.table)).read(
        MODEL, first, datetime.now(UTC) - timedelta(hours=1)
    )
    assert [one.doc["rows"] for one in written] == [2]


def test_what_the_live_version_refuses_does_not_wait(fraud: Team) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    reviewer.promote(MODEL, scientist.log_model(MODEL, LARGE))
    wrong = call(fraud, "POST", "/invocations", {"dataframe_split": {"columns": ["amount"], "data": [[1.0]]}})
    assert wrong.status == 400 and "hour" in wrong.json()["message"]
    assert fraud.cloud.endpoints.queue == []


def test_who_asks_again_is_scored_once(fraud: Team) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    reviewer.promote(MODEL, scientist.log_model(MODEL, LARGE))
    key = {"idempotency-key": f"order-{datetime.now(UTC).isoformat()}"}
    once, again = (asked(score(fraud, 2.0, headers=key)) for _ in range(2))
    assert once == again and len(fraud.cloud.endpoints.queue) == 1
    other = score(fraud, 3.0, headers=key)
    assert (other.status, other.json()["error_code"]) == (409, "RESOURCE_CONFLICT")
    assert asked(score(fraud, 2.0)) != once
    [first, second] = fraud.cloud.endpoints.queue
    assert {f"/answers/{first.inference_id}", f"/answers/{second.inference_id}"} >= {once}


def test_what_sagemaker_refuses_is_asked_again(fraud: Team) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    reviewer.promote(MODEL, scientist.log_model(MODEL, LARGE))
    key = {"idempotency-key": f"refused-{datetime.now(UTC).isoformat()}"}
    fraud.cloud.endpoints.refusals.append((400, "ThrottlingException", "Rate exceeded"))
    answer = score(fraud, 1.0, headers=key)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    asked(score(fraud, 1.0, headers=key))
    assert len(fraud.cloud.endpoints.queue) == 1


def test_a_container_that_fails(fraud: Team) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    reviewer.promote(MODEL, scientist.log_model(MODEL, LARGE))
    name = fraud.output(names.model_stack(MODEL), "ServerEndpoint")
    path = asked(score(fraud, 1.0))
    fraud.cloud.endpoints.containers[name] = lambda headers, body: (500, b"Traceback: out of memory")
    fraud.cloud.endpoints.work()
    answer = call(fraud, "GET", path)
    assert (answer.status, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "out of memory" in answer.json()["message"]


@pytest.mark.parametrize("name", ["0" * 32, "x", "../in/card-fraud/1", ""])
def test_what_was_never_asked(fraud: Team, name: str) -> None:
    answer = call(fraud, "GET", f"/answers/{name}")
    assert answer.status == 404


def test_other_roles_do_not_see_what_is_asked(fraud: Team) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    reviewer.promote(MODEL, scientist.log_model(MODEL, LARGE))
    asked(score(fraud, 2.0))
    [waiting] = fraud.cloud.endpoints.queue
    bucket, _, key = waiting.source.removeprefix("s3://").partition("/")
    for role in (names.member_role("fraud", "scientist-1"), names.member_role("fraud", "reviewer-1")):
        with pytest.raises(ClientError, match="AccessDenied"):
            fraud.cloud.client("s3", fraud.place, role).get_object(Bucket=bucket, Key=key)
    fraud.cloud.guard.refused.clear()


def test_the_endpoint_is_as_the_team_file_says(fraud: Team) -> None:
    scaling = fraud.place.client("application-autoscaling")
    [target] = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 3)
    kinds: Any = {
        one["PolicyType"] for one in scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    }
    assert kinds == {"TargetTrackingScaling", "StepScaling"}
    rules = fraud.place.client("s3").get_bucket_lifecycle_configuration(
        Bucket=names.bucket("fraud", "artifacts", fraud.place.account, fraud.place.region)
    )["Rules"]
    assert {rule["ID"]: rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule} == {
        "asynchronous-in": 7,
        "predictions": 92,
        "asynchronous-out": 7,
        "asynchronous-failed": 7,
        "asynchronous-asked": 30,
    }
