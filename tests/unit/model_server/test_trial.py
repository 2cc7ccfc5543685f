"""A version that is tried beside the live one, and a model that is paused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.ledger.traffic import Tally, Traffic
from labcycle_lambdas.model_server.counting import FAILURES_AT_ONCE
from labcycle_lambdas.model_server.live import CACHE_SECONDS
from labcycle_lambdas.model_server.server import KEY_HEADER, PAUSED_HEADER, VERSION_HEADER
from tests.unit.model_server.bench import LABELS, SPLIT, Bench
from tests.unit.serving.workshop import (
    FEATURES,
    MODEL,
    REVIEWER,
    ROWS,
    Trained,
    classifier,
    failing,
    reference_table,
    request,
)

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
FAILS_ABOVE = float(np.quantile(ROWS[:, 0], 0.7))


def try_out(bench: Bench, model: Trained, percent: int, *, run_id: str = "") -> int:
    version = bench.world.register(model, run_id=run_id)
    change(bench, version, percent)
    return version


def change(bench: Bench, version: int, percent: int) -> None:
    bench.world.deployments.try_out(MODEL, bench.world.preflight.prepare(MODEL, version), percent, REVIEWER)
    bench.clock.pass_seconds(CACHE_SECONDS)


def ask(bench: Bench, number: int, key: str = "") -> Response:
    """One row in a request of its own."""
    row = ROWS[number % len(ROWS)].tolist()
    asked = request("POST", "/invocations", {"dataframe_split": {"columns": FEATURES, "data": [row]}})
    headers = {**asked.headers, **({KEY_HEADER: key} if key else {})}
    return bench.server.answer(replace(asked, request_id=f"request-{number}", headers=headers))


def versions(bench: Bench, count: int, key: str = "") -> list[str]:
    answers = [ask(bench, number, key and f"{key} {number}") for number in range(count)]
    assert {answer.status for answer in answers} == {200}
    return [answer.headers[VERSION_HEADER] for answer in answers]


def tally(bench: Bench, version: int) -> Tally:
    return Traffic(bench.world.table).since(MODEL, version, BEGINNING)


def about(bench: Bench) -> dict[str, Any]:
    return dict(bench.server.answer(request("GET", "/version")).body)


def test_a_canary_answers_its_share_and_keeps_its_callers(bench: Bench) -> None:
    bench.serve(classifier())
    assert set(versions(bench, 20)) == {"1"}
    version = try_out(bench, classifier(regularisation=0.01), 20)
    few = versions(bench, 400)
    assert 0.12 < few.count("2") / 400 < 0.28
    assert versions(bench, 400) == few
    change(bench, version, 50)
    more = versions(bench, 400)
    assert 0.4 < more.count("2") / 400 < 0.6
    assert all(now == "2" for before, now in zip(few, more, strict=True) if before == "2"), "nobody goes to and fro"
    assert len({ask(bench, number, "customer 7").headers[VERSION_HEADER] for number in range(20)}) == 1
    assert about(bench)["canary"] == {"version": "2", "percent": 50, "loaded": True}


def test_both_sides_are_counted_while_a_version_is_tried_and_only_then(bench: Bench) -> None:
    bench.serve(classifier())
    versions(bench, 20)
    assert tally(bench, 1).requests == 0
    try_out(bench, classifier(regularisation=0.01), 50)
    given = versions(bench, 60)
    bench.clock.pass_seconds(1)
    given += [ask(bench, number).headers[VERSION_HEADER] for number in range(60, 100)]
    bench.clock.pass_seconds(1)
    given += [ask(bench, number).headers[VERSION_HEADER] for number in range(100, 120)]
    bench.world.deployments.roll_back(MODEL, REVIEWER)
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert set(versions(bench, 20)) == {"1"}
    for version in (1, 2):
        assert 40 < tally(bench, version).requests <= given.count(str(version))
        assert tally(bench, version).failed == 0


def test_windows_are_closed_whole(bench: Bench) -> None:
    bench.serve(classifier())
    try_out(bench, classifier(regularisation=0.01), 50)
    given = versions(bench, 50)
    bench.clock.pass_seconds(61)
    given += [ask(bench, number).headers[VERSION_HEADER] for number in range(50, 70)]
    bench.clock.pass_seconds(61)
    last = [ask(bench, number).headers[VERSION_HEADER] for number in range(70, 100)]
    assert {"1", "2"} == set(last)
    for version in (1, 2):
        assert tally(bench, version).requests == given.count(str(version)) + 1


def test_what_the_canary_cannot_answer_the_live_version_does(bench: Bench) -> None:
    bench.serve(classifier())
    version = try_out(bench, failing(FAILS_ABOVE), 50)
    answers = []
    for number in range(len(ROWS)):
        answers.append(ask(bench, number))
        bench.clock.pass_seconds(1)
    assert {answer.status for answer in answers} == {200}
    failed = 0
    for number, answer in enumerate(answers):
        (prediction,) = json.loads(answer.body)["predictions"]
        if answer.headers[VERSION_HEADER] == "1":
            assert prediction == LABELS[number]
            failed += bench_side(bench, version, number) == "2"
        else:
            assert prediction == 0
    assert failed > 0
    assert tally(bench, version).failed == failed == len([line for line in bench.log if "CanaryFailures" in line])
    assert tally(bench, 1).failed == 0


def test_a_version_that_fails_always_is_written_of_seldom(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve(classifier())
    version = try_out(bench, failing(-1e9), 99)
    versions(bench, 40)
    assert tally(bench, version).failed == FAILURES_AT_ONCE
    bench.clock.pass_seconds(1)
    versions(bench, 20)
    assert tally(bench, version).failed > 35


def test_what_is_counted_belongs_to_one_trial(bench: Bench) -> None:
    bench.serve(classifier())
    version = try_out(bench, classifier(regularisation=0.01), 50)
    versions(bench, 20)
    bench.world.deployments.roll_back(MODEL, REVIEWER)
    bench.clock.pass_seconds(CACHE_SECONDS)
    versions(bench, 5)
    began = bench.clock.now()
    change(bench, version, 50)
    given = versions(bench, 1) + versions(bench, 20)
    bench.clock.pass_seconds(1)
    given += versions(bench, 20)
    for number in (1, version):
        counted = Traffic(bench.world.table).since(MODEL, number, began).requests
        assert 5 < counted <= given.count(str(number)), "in windows that began with this trial, and not before"


def bench_side(bench: Bench, version: int, number: int) -> str:
    canary = bench.server.live.current().canary
    assert canary
    return str(version) if canary.takes(f"request-{number}") else "1"


def test_a_canary_that_cannot_be_loaded_answers_nothing_and_is_counted(bench: Bench) -> None:
    bench.serve(classifier())
    bench.world.deployments.try_out(
        MODEL, bench.world.preflight.prepare(MODEL, bench.world.register({**classifier().files(), "model.onnx": b"none"})), 50, REVIEWER
    )  # fmt: skip
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert set(versions(bench, 40)) == {"1"}
    assert tally(bench, 2).failed == tally(bench, 2).requests > 5
    assert "onnxruntime cannot load it" in about(bench)["problem"]
    assert about(bench)["canary"] == {"version": "2", "percent": 50, "loaded": False}
    bench.clock.pass_seconds(CACHE_SECONDS)
    versions(bench, 1)
    assert len([line for line in bench.log if "RefusedVersions" in line]) == 1, "not tried with each request"


def test_mistakes_of_callers_count_for_neither(bench: Bench) -> None:
    bench.serve(classifier())
    try_out(bench, classifier(regularisation=0.01), 50)
    for number in range(20):
        asked = request("POST", "/invocations", {"dataframe_split": {"columns": ["a"], "data": [[1]]}})
        assert bench.server.answer(replace(asked, request_id=f"request-{number}")).status == 400
    assert (tally(bench, 1).requests, tally(bench, 2).requests) == (0, 0)


def test_a_promoted_canary_is_loaded_already(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve(classifier())
    version = try_out(bench, classifier(regularisation=0.01), 50)
    versions(bench, 10)
    monkeypatch.setattr(bench.world.s3, "get_object", None)
    bench.world.deployments.promote(MODEL, replace_promotion(bench, version), REVIEWER)
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert set(versions(bench, 10)) == {"2"}
    assert about(bench)["problem"] is None


def replace_promotion(bench: Bench, version: int) -> Any:
    canary = bench.world.deployments.current(MODEL).canary
    assert canary
    assert canary.deployed.version == version
    return canary.deployed


def test_the_profiles_of_the_sides_are_kept_apart(bench: Bench) -> None:
    run_id = bench.world.run({"reference.json": reference_table()})
    bench.serve(classifier(), run_id=run_id)
    try_out(bench, classifier(regularisation=0.01), 50, run_id=run_id)
    given = versions(bench, 30)
    bench.clock.pass_seconds(61)
    given += [ask(bench, number).headers[VERSION_HEADER] for number in range(30, 60)]
    for version in (1, 2):
        profiles = Profiles(bench.world.table).read(MODEL, version, BEGINNING)
        assert 0 < sum(profile.doc["rows"] for profile in profiles) <= given.count(str(version))
        assert sum(profile.doc["rows"] for profile in profiles) > given[:30].count(str(version))


def test_counting_costs_nobody_an_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve(classifier())
    try_out(bench, classifier(regularisation=0.01), 50)
    versions(bench, 2)

    def busy(*_: object) -> None:
        raise Throttled("busy")

    bench.clock.pass_seconds(2)
    with monkeypatch.context() as patched:
        patched.setattr(bench.world.table, "write", busy)
        given = versions(bench, 20)
    assert any("the tally of the answers could not be written" in line["message"] for line in bench.log)
    bench.clock.pass_seconds(2)
    given += versions(bench, 20)
    assert tally(bench, 1).requests + tally(bench, 2).requests > 22, "what was not written is written with the next"


@pytest.mark.parametrize("answer", [0, "no", {"approve": False}, [1, 2]])
def test_a_paused_model_gives_the_declared_answer(bench: Bench, answer: object) -> None:
    bench.serve(classifier())
    bench.predictions(SPLIT)
    bench.world.deployments.pause(MODEL, answer, REVIEWER, reason="wrong data")
    assert bench.predictions(SPLIT) == LABELS[:5], "the record is looked at every few seconds"
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert bench.predictions(SPLIT) == [answer] * 5
    assert bench.ask(SPLIT).headers[PAUSED_HEADER] == "true"
    assert bench.predictions({"inputs": ROWS[:2].tolist()}) == [answer] * 2
    assert bench.server.answer(request("GET", "/ping")).status == 200
    assert about(bench)["paused"] | {"at": ""} == {
        "at": "",
        "by": "reviewer-1",
        "reason": "wrong data",
        "answer": answer,
    }
    assert VERSION_HEADER not in bench.ask(SPLIT).headers, "no version gave that"
    assert "must have exactly one of" in bench.refusal({})
    bench.world.deployments.resume(MODEL, REVIEWER)
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert bench.predictions(SPLIT) == LABELS[:5]


def test_a_pause_without_an_answer_says_so(bench: Bench) -> None:
    bench.serve(classifier())
    bench.world.deployments.pause(MODEL, None, REVIEWER, reason="wrong data")
    bench.clock.pass_seconds(CACHE_SECONDS)
    answer = bench.ask(SPLIT)
    assert (answer.status, answer.body["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "by reviewer-1: wrong data. It makes no predictions." in answer.body["message"]


def test_a_sandbox_that_starts_while_the_model_is_paused_loads_nothing(bench: Bench) -> None:
    bench.world.promote(bench.world.register({**classifier().files(), "model.onnx": b"none"}))
    bench.world.deployments.pause(MODEL, 1, REVIEWER)
    assert bench.predictions({"inputs": ROWS[:2].tolist()}) == [1, 1]
    assert VERSION_HEADER not in bench.ask({"inputs": ROWS[:2].tolist()}).headers
    bench.world.deployments.resume(MODEL, REVIEWER)
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert bench.ask(SPLIT).status == 503
