"""What is kept of requests over HTTP: each answer names its predictions, whichever version gave it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.live import CACHE_SECONDS
from labcycle_lambdas.model_server.runnable import CannotCompute
from labcycle_lambdas.model_server.server import PREDICTION_HEADER, VERSION_HEADER, WHAT_IF_HEADER
from tests.unit.model_server.bench import LABELS, Bench
from tests.unit.model_server.logged import Bucket
from tests.unit.model_server.test_trial import FAILS_ABOVE, try_out
from tests.unit.serving.workshop import FEATURES, MODEL, ROWS, classifier, failing, reference_table, regressor, request

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ALL = Keeping(log=True, sample_percent=100, redact=("age",))


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def ask(bench: Bench, *numbers: int, request_id: str = "r", **headers: str) -> Response:
    rows = [ROWS[number].tolist() for number in numbers]
    asked = request("POST", "/invocations", {"dataframe_split": {"columns": FEATURES, "data": rows}})
    more = {**asked.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return bench.server.answer(replace(asked, request_id=request_id, headers=more))


def with_reference(bench: Bench) -> Bench:
    return bench.serve(classifier(), run_id=bench.world.run({"reference.json": reference_table()}))


def docs(bench: Bench, version: int = 1) -> list[dict[str, Any]]:
    return [stored.doc for stored in Profiles(bench.world.table).read(MODEL, version, BEGINNING)]


def the_rest(bench: Bench) -> None:
    """Have all that was counted written: by the first request after the windows."""
    bench.clock.pass_seconds(120)
    ask(bench, 0)


@pytest.mark.parametrize("zipmap", [True, False])
def test_an_answer_names_its_predictions_with_their_chances(bench: Bench, bucket: Bucket, zipmap: bool) -> None:
    bench.serve(classifier(zipmap), run_id=bench.world.run({"reference.json": reference_table()})).keep(ALL, bucket)
    answer = ask(bench, 3, 4, request_id="r-1")
    assert json.loads(answer.body)["predictions"] == LABELS[3:5]
    first = answer.headers[PREDICTION_HEADER]
    assert first.startswith("1-20260301T0000") and first.endswith("-sandbox-1-0")
    for number, row in enumerate((3, 4)):
        line = bucket.find(f"{first[:-1]}{number}", MODEL)
        assert line and line["request"] == "r-1" and line["prediction"] == LABELS[row]
        expected = classifier().estimator.predict_proba(ROWS[row : row + 1])[0]
        assert line["chances"] == {"0": pytest.approx(expected[0]), "1": pytest.approx(expected[1])}
        assert line["features"] == dict(zip(FEATURES, ROWS[row].tolist(), strict=True))
    (doc,) = docs(bench)
    best = classifier().estimator.predict_proba(ROWS[3:5]).max(axis=1).sum()
    assert doc["confidence"] == {"sum": pytest.approx(best), "rows": 2}


def test_without_a_log_answers_are_as_they_were(bench: Bench) -> None:
    assert PREDICTION_HEADER not in ask(with_reference(bench), 0).headers
    (doc,) = docs(bench)
    assert "confidence" not in doc and (doc["rows"], doc["requests"], doc["asked"]) == (1, 1, 1)


def test_what_is_tried_refused_or_paused_is_asked_alone(bench: Bench, bucket: Bucket) -> None:
    with_reference(bench).keep(ALL, bucket)
    for answer in (ask(bench, 0, x_labcycle_what_if="1"), bench.ask({"instances": []}), bench.ask(b"{")):
        assert PREDICTION_HEADER not in answer.headers
    for path in ("/app", "/version", "/ping", "/openapi.json", "/nowhere"):
        bench.server.answer(request("GET", path))
    assert bucket.objects == {} and docs(bench) == []
    ask(bench, 0)
    (doc,) = docs(bench)
    assert (doc["rows"], doc["requests"], doc["asked"]) == (1, 1, 9)
    assert WHAT_IF_HEADER == "x-labcycle-what-if"


def test_who_looks_after_a_container_is_not_counted_as_asking(bench: Bench) -> None:
    with_reference(bench)
    bench.server.capture.by_timer = True
    health = request("GET", "/ping")
    bench.server.answer(health)
    bench.server.answer(replace(health, headers={"x-request-id": "request-1"}))  # by the API
    ask(bench, 0)
    bench.server.capture.flush()
    assert [doc["asked"] for doc in docs(bench)] == [2]


def test_each_version_has_windows_of_its_own_while_one_is_tried(bench: Bench, bucket: Bucket) -> None:
    with_reference(bench).keep(ALL, bucket)
    reference = bench.world.run({"reference.json": reference_table()})
    try_out(bench, classifier(regularisation=0.01), 50, run_id=reference)
    answers = {number: ask(bench, number, request_id=f"r-{number}") for number in range(60)}
    the_rest(bench)
    the_rest(bench)
    for number, answer in answers.items():
        said = answer.headers[PREDICTION_HEADER]
        assert said.split("-")[0] == answer.headers[VERSION_HEADER]
        assert ("sandboxcanary" in said) == (answer.headers[VERSION_HEADER] == "2")
        line = bucket.find(said, MODEL)
        assert line and line["request"] == f"r-{number}"
    assert sum(doc["requests"] for version in (1, 2) for doc in docs(bench, version)) == 62
    assert sum(doc["asked"] for version in (1, 2) for doc in docs(bench, version)) == 62


def test_what_the_live_version_answers_for_a_canary_is_kept_once(bench: Bench, bucket: Bucket) -> None:
    with_reference(bench).keep(replace(ALL, redact=("c",)), bucket)
    try_out(bench, failing(FAILS_ABOVE), 99)
    high = int(np.argmax(ROWS[:, 0]))
    said = ask(bench, high).headers[PREDICTION_HEADER]
    assert said.startswith("1-") and len(bucket.objects) == 1
    (failure,) = [line for line in bench.log if "canary" in line["message"]]
    assert failure["error"] == "CannotCompute"  # what it says may have a value in it, of a feature that is never kept


def test_tensors_have_predictions_and_no_features(bench: Bench, bucket: Bucket) -> None:
    bench.serve(regressor()).keep(ALL, bucket)
    answer = bench.ask({"inputs": ROWS[:2].tolist()})
    (lines,) = bucket.lines().values()
    assert answer.headers[PREDICTION_HEADER].endswith("-0") and len(lines) == 2
    assert set(lines[0]) == {"row", "request", "at", "prediction"}
    assert [line["prediction"] for line in lines] == json.loads(answer.body)["predictions"]


def test_a_bucket_that_fails_costs_no_answer_and_no_line(bench: Bench, bucket: Bucket) -> None:
    with_reference(bench).keep(ALL, bucket)
    bucket.broken = True
    answer = ask(bench, 1)
    assert answer.status == 200
    assert [line["ProfileWriteFailures"] for line in bench.log] == [1]
    assert bucket.find(answer.headers[PREDICTION_HEADER], MODEL) is None
    bucket.broken = False
    the_rest(bench)
    assert bucket.find(answer.headers[PREDICTION_HEADER], MODEL)


def test_chances_that_cannot_be_computed_cost_no_answer(bench: Bench, bucket: Bucket) -> None:
    with_reference(bench).keep(ALL, bucket)
    live = bench.server.live.current().live
    assert live
    graph: Any = live.graph
    predict = graph.predict

    def stubborn(data: Any, *, all_outputs: bool = False) -> list[Any]:
        if all_outputs:
            raise CannotCompute("BAD_REQUEST", "not all of them")
        return list(predict(data))

    graph.predict = stubborn
    answer = ask(bench, 1)
    assert json.loads(answer.body)["predictions"] == [LABELS[1]]
    assert "chances" not in (bucket.find(answer.headers[PREDICTION_HEADER], MODEL) or {"chances": 1})


def test_nothing_of_a_redacted_feature_is_told_where_the_server_fails(
    bench: Bench, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_reference(bench).keep(ALL, bucket)

    def broken(asked: Request, graph: Any, **more: Any) -> Any:
        raise ValueError(f"could not read {'x-ray'!r}".replace("ray", "RAY"))

    monkeypatch.setattr("labcycle_lambdas.model_server.server.score", broken)
    assert ask(bench, 1).status == 500
    (line,) = bench.log
    assert "x-RAY" not in json.dumps(line) and "in broken" in line["trace"] and line["trace"].endswith("ValueError")
    bench.clock.pass_seconds(CACHE_SECONDS)
