"""A version in the shadow of the live one: deployed server, shadow function and life cycle API, with their own roles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cloud.serving.test_life_cycle import LARGE, MODEL, SMALL, actions, decide, score
from tests.cloud.team import Member, Team

AMOUNTS = [-2.0, -1.0, 1.0, 2.0]


@pytest.fixture
def scientist(fraud: Team) -> Member:
    return fraud.member("scientist-1")


@pytest.fixture
def reviewer(fraud: Team) -> Member:
    return fraud.member("reviewer-1")


def shadow(member: Member) -> Any:
    answer = member.call("GET", f"/labcycle/1.0/models/{MODEL}/shadow")
    assert answer.status == 200, str(answer)
    return answer.json()


def test_a_shadow_scores_what_was_answered_and_answers_nothing(
    scientist: Member, reviewer: Member, fraud: Team
) -> None:
    versions = [scientist.log_model(MODEL, rows) for rows in (LARGE, SMALL, LARGE)]
    reviewer.promote(MODEL, versions[0])
    decide(reviewer, "shadow", version=str(versions[1]), reason="the other way round")
    fraud.restart_servers()
    for _ in range(3):
        answer = score(reviewer, *AMOUNTS)
        assert (answer.json(), answer.headers["x-labcycle-model-version"]) == (
            {"predictions": [0, 0, 1, 1]},
            str(versions[0]),
        )
    said = shadow(reviewer)
    assert (said["version"], said["percent"], said["problem"]) == (versions[1], 100, None)
    assert (said["requests"]["seen"], said["requests"]["failed"], said["requests"]["not_arrived"]) == (3, 0, 0)
    assert (said["agreement"]["rows"], said["agreement"]["same"]) == (12, 0), "it says the opposite"
    live, beside = said["sides"]
    assert (live["version"], live["requests"], beside["version"], beside["requests"]) == (
        *versions[:1],
        3,
        versions[1],
        3,
    )
    assert live["p99_ms"] and beside["p99_ms"]
    assert beside["profiled_rows"] == len(AMOUNTS), "those of the first request, with which its window was written"
    decide(reviewer, "shadow/end")
    decide(reviewer, "shadow", version=str(versions[2]))
    fraud.restart_servers()
    score(reviewer, *AMOUNTS)
    assert shadow(scientist)["agreement"]["same_share"] == 1.0
    reviewer.promote(MODEL, versions[2])
    assert shadow(reviewer)["sides"] == [], "what is live has no shadow of its own"
    assert actions(reviewer)[-5:] == ["promoted", "shadow_started", "shadow_ended", "shadow_started", "promoted"]
    assert scientist.call("POST", f"/labcycle/1.0/models/{MODEL}/shadow/end", body={}).status == 403


def test_an_event_that_lambda_brings_twice_is_counted_once(scientist: Member, reviewer: Member, fraud: Team) -> None:
    live, version = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    reviewer.promote(MODEL, live)
    decide(reviewer, "shadow", version=str(version))
    fraud.restart_servers()
    event = {
        "version": version,
        "since": shadow(reviewer)["since"],
        "live_version": live,
        "request_id": "request-1",
        "content_type": "application/json",
        "predictions": [1],
        "milliseconds": 2.0,
        "body": json.dumps({"dataframe_split": {"columns": ["amount", "hour"], "data": [[2.0, 12]]}}),
    }
    function = fraud.output(f"model-{MODEL}", "ShadowFunction")
    for _ in range(2):
        fraud.place.client("lambda").invoke(
            FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode()
        )
        fraud.restart_servers()
    assert shadow(reviewer)["requests"]["seen"] == 1


def test_a_shadow_that_cannot_be_loaded_changes_no_answer_and_is_told(
    scientist: Member, reviewer: Member, fraud: Team
) -> None:
    live, broken = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    reviewer.promote(MODEL, live)
    decide(reviewer, "shadow", version=str(broken))
    (file,) = [
        file
        for file in reviewer.deployment(MODEL)["shadow"]["deployed"]["files"]
        if file["path"].endswith("model.onnx")
    ]
    fraud.place.client("s3").delete_object(Bucket=fraud.bucket, Key=file["key"], VersionId=file["version_id"])
    fraud.restart_servers()
    for _ in range(2):
        assert score(reviewer, *AMOUNTS).json() == {"predictions": [0, 0, 1, 1]}
    said = shadow(reviewer)
    assert (said["requests"]["seen"], said["requests"]["failed"], said["agreement"]["rows"]) == (2, 2, 0)
    assert "cannot be read from the bucket" in said["problem"]


def test_a_model_without_a_place_for_it_says_what_to_add(scientist: Member, reviewer: Member) -> None:
    model = "not-deployed"
    live, version = scientist.log_model(model, LARGE), scientist.log_model(model, SMALL)
    reviewer.promote(model, live)
    answer = reviewer.call("POST", f"/labcycle/1.0/models/{model}/shadow", body={"version": str(version)})
    assert answer.status == 400, str(answer)
    assert "shadow: {concurrency: 2}" in answer.json()["message"]
