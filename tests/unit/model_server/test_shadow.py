"""A version that scores what the live one answered: what it sees, how it agrees, and that it never costs an answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from botocore.exceptions import ReadTimeoutError

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.shadows import Comparison, Offered, Shadows
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.comparing import compared
from labcycle_lambdas.model_server.live import CACHE_SECONDS
from labcycle_lambdas.model_server.offering import COUNTED_EVERY_SECONDS, FAILURES_IN_A_ROW, REST_SECONDS
from labcycle_lambdas.model_server.runnable import Runnable
from labcycle_lambdas.model_server.server import VERSION_HEADER, WHAT_IF_HEADER
from labcycle_lambdas.model_server.shadow import RETRY_SECONDS
from labcycle_lambdas.model_server.shown import Shown
from tests.unit.model_server.bench import LABELS, SPLIT, Bench
from tests.unit.model_server.shade import Shade
from tests.unit.serving.workshop import (
    FEATURES,
    MODEL,
    REVIEWER,
    ROWS,
    classifier,
    failing,
    reference_table,
    regressor,
    request,
)

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 30


@pytest.fixture
def shade(bench: Bench) -> Shade:
    bench.serve(classifier())
    return Shade(bench)


def test_it_sees_what_the_live_version_answered_and_agreement_is_measured(shade: Shade) -> None:
    weak = classifier(regularisation=0.001)
    version = shade.begin(weak)
    assert shade.ask(*range(COUNT)) == LABELS[:COUNT]
    shade.bench.clock.pass_seconds(COUNTED_EVERY_SECONDS)
    shade.ask(COUNT)
    assert shade.read()[1].tally.requests == 0, "nothing of it happens in the answer"
    shade.bring()
    offered, seen = shade.read()
    theirs = weak.estimator.predict(ROWS).tolist()
    same = sum(a == b for a, b in zip(LABELS[: COUNT + 1], theirs, strict=False))
    assert 0 < same < COUNT + 1, "else it shows nothing"
    assert (seen.rows, seen.same, seen.numbers) == (COUNT + 1, same, 0)
    assert (seen.tally.requests, seen.tally.failed, seen.live.requests, seen.problem) == (COUNT + 1, 0, COUNT + 1, "")
    assert offered == Offered(COUNT + 1)
    about = shade.bench.server.answer(request("GET", "/version")).body
    assert (about["version"], about["shadow"]) == ("1", {"version": str(version), "percent": 100})


def test_numbers_are_compared_by_their_distance(world_with_numbers: Shade) -> None:
    shade = world_with_numbers
    shade.begin(regressor())
    asked = request("POST", "/invocations", {"inputs": ROWS[:10].tolist()})
    assert shade.bench.server.answer(asked).status == 200
    shade.bring()
    _, seen = shade.read()
    assert (seen.rows, seen.same, seen.difference) == (10, 10, 0.0)


@pytest.fixture
def world_with_numbers(bench: Bench) -> Shade:
    bench.serve(regressor())
    return Shade(bench)


def test_how_predictions_agree() -> None:
    found = compared([1.0, 2.0, 3], [1.0, 2.5, 5.0])
    assert (found.rows, found.same, found.numbers, found.difference) == (3, 1, 3, 2.5)
    found = compared([1, 0, 1, "a", True, None, "1"], [1, 1, 1, "a", True, None, 1])
    assert (found.rows, found.same, found.numbers) == (7, 5, 0)
    found = compared([[0.5, 0.5], [1.0], {"a": 1}], [[0.5, 0.50000001], [1.0, 2.0], {"a": 1}])
    assert (found.rows, found.same, found.numbers) == (3, 2, 0)
    assert compared([1.0], [float(np.float32(1.0) + np.float32(1e-7))]).same == 1


def test_an_event_that_comes_twice_is_counted_once(shade: Shade) -> None:
    shade.begin(classifier(regularisation=0.001))
    shade.ask(1, 2, 3)
    twice = list(shade.aws.events)
    shade.bring()
    for event in reversed(twice):
        shade.function.take(event)
    assert shade.read()[1].tally.requests == 3
    other = Shade(shade.bench)  # another sandbox
    other.function.take(twice[0])
    assert shade.read()[1].tally.requests == 3


def test_events_that_are_lost_are_not_seen(shade: Shade) -> None:
    shade.begin(classifier(regularisation=0.001))
    shade.ask(*range(10))
    del shade.aws.events[3:]
    shade.bring()
    shade.bench.clock.pass_seconds(COUNTED_EVERY_SECONDS)
    shade.ask(10)
    offered, seen = shade.read()
    assert (offered.requests, offered.not_taken, seen.tally.requests) == (11, 0, 3)


def test_it_is_shown_its_share_and_nothing_that_was_not_answered(shade: Shade) -> None:
    shade.begin(classifier(regularisation=0.001), 20)
    shade.ask(*range(400))
    assert 0.12 < len(shade.aws.events) / 400 < 0.28
    shade.deployments.begin_shadow(MODEL, shade.world.preflight.prepare(MODEL, 2), 100, REVIEWER)
    shade.bench.clock.pass_seconds(CACHE_SECONDS)
    shade.aws.events.clear()
    shade.ask(1, headers={WHAT_IF_HEADER: "1"})
    assert shade.bench.ask({"dataframe_split": {"columns": ["a"], "data": [[1]]}}).status == 400
    assert shade.aws.events == []
    shade.deployments.pause(MODEL, 1, REVIEWER)
    shade.bench.clock.pass_seconds(CACHE_SECONDS)
    shade.ask(2)
    assert shade.aws.events == []
    shade.deployments.resume(MODEL, REVIEWER)
    shade.deployments.end_shadow(MODEL, REVIEWER)
    shade.bench.clock.pass_seconds(CACHE_SECONDS)
    shade.ask(3)
    assert shade.aws.events == []


def test_what_the_canary_answered_is_not_compared(shade: Shade) -> None:
    shade.begin(classifier(regularisation=0.001))
    canary = shade.world.register(classifier(regularisation=0.01))
    shade.deployments.try_out(MODEL, shade.world.preflight.prepare(MODEL, canary), 50, REVIEWER)
    shade.bench.clock.pass_seconds(CACHE_SECONDS)
    by_live = 0
    for number in range(40):
        asked = request("POST", "/invocations", SPLIT)
        answer = shade.bench.server.answer(replace(asked, request_id=f"request-{number}"))
        by_live += answer.headers[VERSION_HEADER] == "1"
    assert 5 < by_live < 35
    assert len(shade.aws.events) == by_live


def test_what_is_larger_than_an_event_is_not_shown(shade: Shade) -> None:
    shade.begin(classifier(regularisation=0.001))
    for rows in (4_000, 9_000):  # of which the second is larger than an event before it is written as one
        body = {"dataframe_split": {"columns": FEATURES, "data": np.tile(ROWS, (rows // 60, 1)).tolist()}}
        assert len(shade.bench.predictions(body)) == rows // 60 * 60
    assert shade.aws.calls == 0
    shade.bench.clock.pass_seconds(COUNTED_EVERY_SECONDS)
    shade.ask(1)
    assert shade.read()[0] == Offered(3, too_large=2)


def test_a_call_that_fails_costs_no_answer_and_many_are_given_up_for_a_while(shade: Shade) -> None:
    shade.begin(classifier(regularisation=0.001))
    shade.aws.broken = ReadTimeoutError(endpoint_url="lambda")
    assert shade.ask(*range(20)) == LABELS[:20]
    assert shade.aws.calls == FAILURES_IN_A_ROW, "a broken shadow is not waited for with each request"
    assert [line["why"][:16] for line in shade.bench.log if "not shown" in line["message"]] == ["ReadTimeoutError"] * 3
    shade.aws.broken = None
    shade.bench.clock.pass_seconds(REST_SECONDS)
    assert shade.ask(*range(20, 30)) == LABELS[20:30]
    shade.bring()
    offered, seen = shade.read()
    assert (offered.not_taken, seen.tally.requests) == (20, 10)


def test_counting_costs_no_answer_and_is_made_up_for(shade: Shade, monkeypatch: pytest.MonkeyPatch) -> None:
    shade.begin(classifier(regularisation=0.001))
    shade.ask(1)
    shade.bench.clock.pass_seconds(COUNTED_EVERY_SECONDS)

    def busy(*_: object) -> None:
        raise Throttled("busy")

    with monkeypatch.context() as patched:
        patched.setattr(shade.world.table, "write", busy)
        assert shade.ask(2, 3) == LABELS[2:4]
    assert any("could not be counted" in line["message"] for line in shade.bench.log)
    shade.ask(4)
    assert shade.read()[0] == Offered(4)


def test_it_is_not_loaded_again_where_another_version_goes_live(shade: Shade, monkeypatch: pytest.MonkeyPatch) -> None:
    shade.begin(classifier(regularisation=0.001))
    shade.ask(1)
    shade.bring()
    loads: list[int] = []
    monkeypatch.setattr(shade.function.shadow, "_load", lambda deployed: loads.append(deployed.version))
    shade.world.promote(shade.world.register(classifier(regularisation=0.5)))
    shade.bench.clock.pass_seconds(CACHE_SECONDS)
    shade.ask(2)
    shade.bring()
    assert loads == [] and shade.read()[1].tally.requests == 1, "seen, and apart from what was seen before"


def test_a_version_that_cannot_be_loaded_is_told_and_not_tried_with_each_request(shade: Shade) -> None:
    shade.begin({**classifier().files(), "model.onnx": b"none"})
    assert shade.ask(*range(5)) == LABELS[:5]
    shade.bring()
    _, seen = shade.read()
    assert (seen.tally.requests, seen.tally.failed, seen.rows) == (5, 5, 0)
    assert "onnxruntime cannot load it" in seen.problem
    assert shade.bench.server.answer(request("GET", "/version")).body["problem"] is None, "the live one is as it was"


def test_it_is_loaded_again_after_a_while(shade: Shade, monkeypatch: pytest.MonkeyPatch) -> None:
    version = shade.begin(classifier(regularisation=0.001))
    shadow = shade.deployments.current(MODEL).shadow
    assert shadow
    file = shadow.deployed.model_file
    shade.world.s3.delete_object(Bucket="artifacts", Key=file.key, VersionId=file.version_id)
    shade.ask(1, 2)
    shade.bring()
    assert f"version {version}: the file model.onnx cannot be read" in shade.read()[1].problem
    shade.ask(3)
    loads: list[int] = []
    original = shade.function.shadow._load

    def load(deployed: Deployed) -> Runnable:
        loads.append(deployed.version)
        return original(deployed)

    monkeypatch.setattr(shade.function.shadow, "_load", load)
    shade.bring()
    assert loads == []
    shade.bench.clock.pass_seconds(RETRY_SECONDS)
    shade.ask(4)
    shade.bring()
    assert loads == [version]


def test_what_it_cannot_score_is_counted_as_failed(shade: Shade) -> None:
    shade.begin(failing(float(np.quantile(ROWS[:, 0], 0.7))))
    assert shade.ask(*range(len(ROWS))) == LABELS
    shade.bring()
    _, seen = shade.read()
    fails = int((ROWS[:, 0].astype(np.float32) > np.float32(np.quantile(ROWS[:, 0], 0.7))).sum())
    assert 0 < seen.tally.failed == fails < len(ROWS) == seen.tally.requests
    assert seen.rows == len(ROWS) - fails
    assert seen.problem


def test_what_was_meant_for_a_shadow_that_ended_is_not_counted(shade: Shade) -> None:
    shade.begin(classifier(regularisation=0.001))
    shade.ask(1)
    shade.bring()
    before = shade.deployments.current(MODEL).shadow
    assert before
    shade.deployments.end_shadow(MODEL, REVIEWER)
    shade.ask(2)
    late = list(shade.aws.events)
    assert len(late) == 1
    shade.bench.clock.pass_seconds(60)
    shade.deployments.begin_shadow(MODEL, before.deployed, 100, REVIEWER)
    Shade(shade.bench).function.take(late[0])
    assert shade.read()[1].tally.requests == 0, "another comparison has begun"
    ended = Comparison(before.deployed.version, before.deployed.promoted_at, 1)
    assert Shadows(shade.world.table).read(MODEL, ended)[1].tally.requests == 1, "and this one is over"


def test_each_live_version_has_a_comparison_of_its_own(shade: Shade, monkeypatch: pytest.MonkeyPatch) -> None:
    shade.begin(classifier(regularisation=0.001))
    shade.ask(1, 2)
    shade.bring()
    monkeypatch.setattr(shade.function.shadow, "_load", None)  # it is loaded, whichever version is live
    shade.world.promote(shade.world.register(classifier(regularisation=0.01)))
    shade.bench.clock.pass_seconds(CACHE_SECONDS)
    assert shade.read()[1].tally.requests == 0
    shade.ask(3)
    shade.bring()
    assert shade.read()[1].tally.requests == 1
    shade.deployments.roll_back(MODEL, REVIEWER)
    assert shade.read()[1].tally.requests == 2


def test_its_profile_is_kept_apart_from_that_of_versions_that_answer(bench: Bench) -> None:
    run_id = bench.world.run({"reference.json": reference_table()})
    bench.serve(classifier(), run_id=run_id)
    shade = Shade(bench)
    version = shade.begin(classifier(regularisation=0.001), run_id=run_id)
    shade.ask(*range(40))
    shade.bring()
    bench.clock.pass_seconds(61)
    shade.ask(*range(40, 50))
    shade.bring()
    (first, *_) = Profiles(bench.world.table, "SHADOWPROFILE").read(MODEL, version, BEGINNING)
    assert first.doc["rows"] == 40
    assert Profiles(bench.world.table).read(MODEL, version, BEGINNING) == []


@pytest.mark.parametrize("body", [json.dumps(SPLIT).encode(), '{"ü": 1}'.encode(), b"\xff\x00csv"])
def test_a_request_comes_as_it_was_sent(body: bytes) -> None:
    shown = Shown(Comparison(2, "2026-03-01", 1), "request-1", "text/csv", body, [1, "a", None, 0.1], 1.25)
    assert Shown.from_event(json.loads(shown.to_json())) == shown
    assert (shown.request.body, shown.request.user_arn) == (body, "")
