"""Scoring over requests, with real models that were registered, promoted and fetched from the bucket."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.live import CACHE_SECONDS
from labcycle_lambdas.model_server.payload import BODY_BYTES
from tests.unit.model_server.bench import LABELS, SPLIT, Bench
from tests.unit.serving.workshop import (
    FEATURES,
    MODEL,
    REVIEWER,
    ROWS,
    classifier,
    mixed,
    reference_table,
    regressor,
    request,
    with_external_weights,
    without_signature,
)


def column_body() -> dict[str, Any]:
    return {name: ROWS[:5, i].tolist() for i, name in enumerate(FEATURES)}


# ---- formats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (SPLIT, "application/json"),
        (SPLIT, "application/json; charset=utf-8"),
        (SPLIT, ""),
        ({"dataframe_split": {"index": [0], **SPLIT["dataframe_split"]}, "params": None}, "application/json"),
        (
            {"dataframe_split": {"columns": FEATURES[::-1], "data": ROWS[:5, ::-1].tolist()}},
            "application/json",
        ),
        ({"dataframe_split": {"data": ROWS[:5].tolist()}}, "application/json"),
        (
            {"dataframe_records": [dict(zip(FEATURES, row, strict=True)) for row in ROWS[:5].tolist()]},
            "application/json",
        ),
        ({"instances": [dict(zip(FEATURES, row, strict=True)) for row in ROWS[:5].tolist()]}, "application/json"),
        ({"instances": ROWS[:5].tolist()}, "application/json"),
        ({"inputs": ROWS[:5].tolist()}, "application/json"),
        ({"inputs": column_body()}, "application/json"),
        (
            "\n".join([",".join(FEATURES), *(",".join(map(repr, row)) for row in ROWS[:5].tolist())]).encode(),
            "text/csv",
        ),
    ],
)
def test_every_format_of_mlflow_gives_a_label_a_row(
    bench: Bench, zipmap: bool, body: object, content_type: str
) -> None:
    bench.serve(classifier(zipmap))
    assert bench.predictions(body, content_type) == LABELS[:5]


@pytest.mark.parametrize("zipmap", [True, False])
def test_all_outputs_on_demand(bench: Bench, zipmap: bool) -> None:
    bench.serve(classifier(zipmap))
    rows = bench.predictions({**SPLIT, "params": {"outputs": "all"}})
    probabilities = classifier().estimator.predict_proba(ROWS[:5])
    for row, label, expected in zip(rows, LABELS[:5], probabilities, strict=True):
        first, second = row.values()
        assert first == label
        given_ = [second["0"], second["1"]] if zipmap else second
        assert given_ == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_regressor_answers_a_number_a_row(bench: Bench) -> None:
    bench.serve(regressor())
    expected = regressor().estimator.predict(ROWS[:4]).tolist()
    for name in ("inputs", "instances"):
        assert bench.predictions({name: ROWS[:4].tolist()}) == pytest.approx(expected, abs=1e-4)
    assert bench.predictions(
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": ROWS[:4].tolist()}}
    ) == pytest.approx(expected, abs=1e-4)
    assert "shape [-1, 3]" in bench.refusal({"inputs": ROWS[:4, :2].tolist()})


def test_numbers_and_strings_side_by_side(bench: Bench) -> None:
    bench.serve(mixed())
    records = [{"amount": float(ROWS[0, 0]), "kind": "shop"}, {"kind": "web", "amount": 1}]
    assert bench.predictions({"dataframe_records": records}) == [1, 0]
    assert bench.predictions(b"kind,amount\nshop,1.0\nweb,2\n", "text/csv") == [1, 0]
    assert "Row 1, column 'kind': expected a string, got 3" in bench.refusal(
        {"dataframe_records": [records[0], {"amount": 1, "kind": 3}]}
    )


def test_without_a_signature_the_graph_itself_decides(bench: Bench) -> None:
    bench.serve(without_signature())
    assert bench.predictions(SPLIT) == LABELS[:5]
    assert bench.predictions({"inputs": {"X": ROWS[:5].tolist()}}) == LABELS[:5]
    assert "has the shape ['any', 3]" in bench.refusal({"inputs": ROWS[:5, :2].tolist()})
    assert "no input 'Y'" in bench.refusal({"inputs": {"Y": [[1, 2, 3]]}})


def test_weights_in_files_of_their_own(bench: Bench) -> None:
    bench.serve(with_external_weights())
    assert bench.predictions({"inputs": [[1, 2, 3]]}) == [[2.0, 4.0, 6.0]]


def test_no_rows_give_no_predictions(bench: Bench) -> None:
    bench.serve(classifier())
    assert bench.predictions({"dataframe_split": {"columns": FEATURES, "data": []}}) == []


def test_a_missing_number_is_nan_to_the_model(bench: Bench) -> None:
    bench.serve(regressor())
    assert bench.predictions({"inputs": [[1.0, None, 2.0], [0.0, 0.0, 0.0]]})[0] is None


def test_a_column_of_doubles_takes_whole_numbers(bench: Bench) -> None:
    bench.serve(classifier())
    assert len(bench.predictions({"dataframe_split": {"columns": FEATURES, "data": [[1, 2, 3], [1.5, None, 2]]}})) == 2


# ---- refusals ---------------------------------------------------------------------------------------------------


def split(*rows: object, columns: object = FEATURES) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": list(rows)}}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "too deeply"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", "not valid JSON"),
        ([], "must be a JSON object"),
        ({}, "exactly one of dataframe_split, dataframe_records, instances, inputs; got none"),
        ({**SPLIT, "inputs": []}, "exactly one of"),
        ({**SPLIT, "extra": 1}, "Unknown key of the request: extra"),
        ({**SPLIT, "params": 3}, "params must be an object"),
        ({**SPLIT, "params": {"beam": 3}}, "Unknown parameter beam"),
        ({**SPLIT, "params": {"outputs": []}}, "params.outputs"),
        ({"dataframe_split": []}, "must be an object with columns and data, got array"),
        ({"dataframe_split": {"columns": FEATURES}}, "data must be an array of rows, got null"),
        ({"dataframe_split": {"columns": "a", "data": []}}, "columns must be an array, got string"),
        (split([1, 2, 3], columns=["a", "a", "b"]), "names 'a' twice"),
        (split([1, 2, 3], columns=["a", None, "b"]), "columns[1] must be a string, got null"),
        (split([1, 2, 3], [1, 2]), "data[1] has 2 values for 3 columns"),
        (split([1, 2, 3], 4), "data[1] must be an array, got number"),
        (split([1, 2], columns=FEATURES[:2]), "missing: 'mean area'"),
        (split([1, 2, 3, 4], columns=[*FEATURES, "odd"]), "not known to the model: 'odd'"),
        (split([1, 2, 3], columns=["x", "y", "z"]), "missing: 'mean radius', 'mean texture', 'mean area'; not known"),
        (split([1, 2, 3], [1, "high", 3]), "Row 1, column 'mean texture': expected a number, got 'high'"),
        (split([1, True, 3]), "Row 0, column 'mean texture': expected a number, got True"),
        (split([1, [2], 3]), "expected a number, got array"),
        (split([1, 10**400, 3]), "Row 0, column 'mean texture': expected a number"),
        (split([1, 1e300, 3]), "32 bits; at least one is too large"),
        ({"dataframe_records": {}}, "must be an array of objects"),
        ({"dataframe_records": [1]}, "dataframe_records[0] must be an object, got number"),
        (
            {"dataframe_records": [dict.fromkeys(FEATURES, 1), {"mean radius": 1}]},
            "dataframe_records[1] has no value for the column 'mean texture'",
        ),
        ({"instances": 3}, "instances must be an array"),
        ({"instances": [[1, 2, 3], [1]]}, "instances[1] has 1 values; the model takes 3"),
        ({"instances": [[1, 2, 3], {"a": 1}]}, "instances[1] has 1 values; the model takes 3"),
        ({"inputs": {}}, "inputs is empty"),
        ({"inputs": "x"}, "must be an object or an array"),
        ({"inputs": {"mean radius": [1, 2], "mean texture": [1], "mean area": 3}}, "different lengths: mean radius 2"),
    ],
)
def test_what_is_wrong_is_said_precisely(bench: Bench, body: object, says: str) -> None:
    bench.serve(classifier())
    assert says in bench.refusal(body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "The CSV is empty"),
        (b"\xff\xff", "not UTF-8"),
        (b'a,"b', "cannot be read"),
        (b"a,a\n1,2\n", "names 'a' twice"),
        (b"mean radius,mean texture,mean area\n1,2\n", "Row 0 of the CSV has 2 values for 3 columns"),
        (b"mean radius,mean texture,mean area\n1,x,3\n", "Row 0, column 'mean texture': expected a number, got 'x'"),
    ],
)
def test_what_is_wrong_with_csv_is_said_precisely(bench: Bench, body: bytes, says: str) -> None:
    bench.serve(classifier())
    assert says in bench.refusal(body, "text/csv")


def test_other_content_types_are_refused(bench: Bench) -> None:
    bench.serve(classifier())
    assert bench.ask(SPLIT, "application/x-parquet").status == 415
    assert bench.ask(SPLIT, "application/json; charset=latin-1").status == 415


def test_more_than_lambda_takes_is_refused_with_the_figure(bench: Bench) -> None:
    bench.serve(classifier())
    answer = bench.ask(b" " * (BODY_BYTES + 1))
    assert answer.status == 413
    assert "send fewer rows" in answer.body["message"]


def test_more_than_lambda_answers_is_refused_with_the_figure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve(classifier())
    answers = {**SPLIT, "params": {"outputs": "all"}}
    size = len(bench.ask(answers).to_event()["body"])
    monkeypatch.setattr("labcycle_lambdas.model_server.server.BODY_BYTES", size)
    refused = bench.ask(answers)  # the quotes are escaped once more on their way
    assert refused.status == 413
    assert "answer to 5 rows" in refused.body["message"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([*FEATURES, "columns", "data", "amount", "kind"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*FEATURES, "columns", "data", "amount", "kind", "X"]), inner, max_size=4)
    ),
    max_leaves=14,
)
cells = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers(), max_size=2)
)
tables = st.builds(
    lambda columns, rows: {"dataframe_split": {"columns": columns, "data": rows}},
    st.just(FEATURES) | st.just(["amount", "kind"]) | json_values,
    st.lists(st.lists(cells, min_size=2, max_size=3), max_size=3),
)
requests = (
    st.builds(
        lambda name, value, params: {name: value, **({"params": params} if params is not None else {})},
        st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "other"]),
        json_values,
        st.none() | st.just({"outputs": "all"}) | json_values,
    )
    | tables
    | json_values
)


@pytest.mark.parametrize("model", [classifier, without_signature, regressor, mixed])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=requests.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=60), csv=st.booleans())
@example(body=b'{"inputs": [[[]]]}', csv=False)
@example(body=b'{"inputs": [[], []]}', csv=False)
@example(body=b'{"inputs": []}', csv=False)
@example(body=b'{"dataframe_split": {"columns": ["amount", "kind"], "data": [[[], []]]}}', csv=False)
@example(body=b'{"inputs": {"X": 1}}', csv=False)
@example(body=b'{"inputs": [["a", 1, null]]}', csv=False)
@example(body=b'{"inputs": [[NaN, Infinity, 1e400]]}', csv=False)
@example(body=b'{"dataframe_split": {"columns": ["amount", "kind"], "data": [[1, "\\ud800"]]}}', csv=False)
@example(body=b'{"dataframe_split": {"columns": ["amount", "kind"], "data": [[1, "\\u0000"]]}}', csv=False)
def test_no_request_makes_the_server_fail(bench: Bench, model: Any, body: bytes, csv: bool) -> None:
    current = bench.world.deployments.current(MODEL)
    if current.live is None:
        bench.serve(model())
    bench.log.clear()
    answer = bench.ask(body, "text/csv" if csv else "application/json")
    sent = answer.to_event()
    assert sent["statusCode"] in (200, 400), bench.log
    assert ("predictions" in json.loads(sent["body"])) == (sent["statusCode"] == 200)
    assert bench.log == []


# ---- which version ----------------------------------------------------------------------------------------------


def test_nothing_live_is_not_found_and_says_what_to_do(bench: Bench) -> None:
    for method, path in (("POST", "/invocations"), ("GET", "/ping"), ("GET", "/version")):
        answer = bench.server.answer(request(method, path, SPLIT))
        assert answer.status == 404
        assert answer.body == {
            "error_code": "RESOURCE_DOES_NOT_EXIST",
            "message": "no version of card-fraud is live; promote one: labcycle models promote card-fraud VERSION",
        }
    bench.world.promote(bench.world.register(classifier()))
    assert bench.ask(SPLIT).status == 200  # at once: that nothing is live is not cached


def test_the_answer_names_version_and_request(bench: Bench) -> None:
    bench.serve(classifier())
    headers = bench.ask(SPLIT).to_event()["headers"]
    assert headers["x-labcycle-model-version"] == "1"
    assert headers["x-labcycle-model"] == MODEL
    assert headers["x-request-id"] == "request-1"
    assert bench.server.answer(request("GET", "/invocations")).status == 404


def test_promotion_and_roll_back_take_a_few_seconds_and_no_deployment(bench: Bench) -> None:
    bench.serve(classifier())
    assert bench.ask(SPLIT).headers["x-labcycle-model-version"] == "1"
    bench.world.promote(bench.world.register(classifier(regularisation=0.01)))
    assert bench.ask(SPLIT).headers["x-labcycle-model-version"] == "1"
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert bench.ask(SPLIT).headers["x-labcycle-model-version"] == "2"
    about = bench.server.answer(request("GET", "/version")).body
    assert (about["version"], about["generation"], about["promoted_by"], about["problem"]) == (
        "2",
        2,
        "reviewer-1",
        None,
    )
    bench.world.deployments.roll_back(MODEL, REVIEWER)
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert bench.ask(SPLIT).headers["x-labcycle-model-version"] == "1"


def test_predictions_change_with_the_version(bench: Bench) -> None:
    bench.serve(regressor())
    first = bench.predictions({"inputs": ROWS[:2].tolist()})
    bench.serve(with_external_weights())
    assert bench.predictions({"inputs": ROWS[:2].tolist()}) == [
        pytest.approx(row) for row in (ROWS[:2].astype(np.float32) * 2).tolist()
    ]
    assert len(first) == 2


def tamper(bench: Bench, version: int) -> None:
    """Change the digest that was promoted, as if the bytes had changed."""
    pk = {"pk": {"S": f"DEPLOYMENT#{MODEL}"}, "sk": {"S": "CURRENT"}}
    item = bench.world.dynamodb.get_item(TableName="ledger", Key=pk)["Item"]
    doc = json.loads(item["doc"]["S"])
    assert doc["live"]["version"] == version
    doc["live"]["model_file"]["sha256"] = "0" * 64
    item["doc"] = {"S": json.dumps(doc)}
    bench.world.dynamodb.put_item(TableName="ledger", Item=item)


def test_other_bytes_than_promoted_are_not_loaded(bench: Bench) -> None:
    bench.serve(classifier())
    tamper(bench, 1)
    answer = bench.ask(SPLIT)
    assert (answer.status, answer.body["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "the bytes of model.onnx have the SHA-256" in answer.body["message"]
    assert bench.server.answer(request("GET", "/ping")).status == 503


def test_what_runs_goes_on_when_the_next_version_has_other_bytes(bench: Bench) -> None:
    bench.serve(classifier())
    assert bench.ask(SPLIT).status == 200
    bench.world.promote(bench.world.register(classifier(regularisation=0.01)))
    tamper(bench, 2)
    for _ in range(3):
        bench.clock.pass_seconds(CACHE_SECONDS)
        assert bench.ask(SPLIT).headers["x-labcycle-model-version"] == "1"
    assert "they are not loaded" in bench.server.answer(request("GET", "/version")).body["problem"]
    assert [line["RefusedVersions"] for line in bench.log] == [1]  # tried once, not with every request
    bench.world.deployments.roll_back(MODEL, REVIEWER)
    bench.clock.pass_seconds(CACHE_SECONDS)
    assert bench.server.answer(request("GET", "/version")).body["problem"] is None


def test_bytes_that_are_no_graph_are_refused(bench: Bench) -> None:
    files = {**classifier().files(), "model.onnx": b"no graph"}
    bench.world.promote(bench.world.register(files))
    answer = bench.ask(SPLIT)
    assert answer.status == 503
    assert "onnxruntime cannot load it" in answer.body["message"]


def test_a_graph_that_does_not_fit_its_signature_is_refused(bench: Bench) -> None:
    files = classifier().files()
    narrow = files["MLmodel"].decode()
    start, end = narrow.index("  inputs: '"), narrow.index("  outputs:")
    files["MLmodel"] = (narrow[:start] + """  inputs: '[{"type": "double", "name": "a"}]'\n""" + narrow[end:]).encode()
    bench.world.promote(bench.world.register(files))
    assert "takes 3 features, the signature names 1 columns" in bench.ask(SPLIT).body["message"]


def test_a_busy_ledger_does_not_stop_what_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve(classifier())

    def busy(*_: object) -> None:
        raise Throttled("busy")

    with monkeypatch.context() as patched:
        patched.setattr(bench.world.table, "get", busy)
        answer = bench.ask(SPLIT)
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert bench.ask(SPLIT).status == 200
    bench.clock.pass_seconds(CACHE_SECONDS)
    monkeypatch.setattr(bench.world.table, "get", busy)
    assert bench.ask(SPLIT).status == 200


# ---- profiles ---------------------------------------------------------------------------------------------------


def test_rows_and_answers_are_profiled(bench: Bench) -> None:
    bench.serve(classifier(), run_id=bench.world.run({"reference.json": reference_table()}))
    assert bench.ask(SPLIT).status == 200
    (stored,) = Profiles(bench.world.table).read(MODEL, 1, bench.clock.start)
    assert stored.doc["rows"] == 5
    *features, prediction = stored.doc["counts"]
    assert all(sum(counts) == 5 for counts in features)
    assert sorted(n for n in prediction if n) == sorted(n for n in np.bincount(LABELS[:5]).tolist() if n)


def test_a_refused_request_is_not_profiled(bench: Bench) -> None:
    bench.serve(classifier(), run_id=bench.world.run({"reference.json": reference_table()}))
    bench.refusal(split([1, "high", 3]))
    assert Profiles(bench.world.table).read(MODEL, 1, bench.clock.start) == []


def test_a_profile_that_cannot_be_written_costs_no_answer_and_no_row(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.serve(classifier(), run_id=bench.world.run({"reference.json": reference_table()}))

    def broken(*_: object) -> None:
        raise RuntimeError("no such table")

    with monkeypatch.context() as patched:
        patched.setattr(bench.world.table, "write", broken)
        assert bench.predictions(SPLIT) == LABELS[:5]
    (line,) = bench.log
    assert line["ProfileWriteFailures"] == 1
    assert line["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "ProfileWriteFailures", "Unit": "Count"}]
    assert "no such table" in line["error"]
    bench.clock.pass_seconds(60)
    bench.predictions(SPLIT)
    stored = Profiles(bench.world.table).read(MODEL, 1, bench.clock.start)
    assert sum(profile.doc["rows"] for profile in stored) == 10


def test_a_failure_of_ours_is_told_by_request(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve(classifier())

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr("labcycle_lambdas.model_server.graph.Graph.predict", broken)
    answer = bench.ask(SPLIT)
    assert (answer.status, answer.body["error_code"]) == (500, "INTERNAL_ERROR")
    assert "oops" not in answer.body["message"]
    assert "oops" in bench.log[0]["trace"]
