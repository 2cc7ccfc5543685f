"""Outcomes over the API: what is sent is what is taken in, and what is known of it is told."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle_lambdas.lifecycle import sent_rows
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.outcomes.store import Store
from labcycle_lambdas.outcomes.taking_in import take_in
from tests.unit.serving.workshop import BUCKET, MODEL, TEAM, World, classifier, request

PATH = f"/labcycle/1.0/models/{MODEL}/outcomes"
YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
WINDOW = f"{YESTERDAY:%Y%m%dT%H%M%SZ}-a1b2-3"


@pytest.fixture
def api(world: World) -> Lifecycle:
    world.register(classifier())
    lines = "".join(json.dumps({"row": row, "prediction": 1}) + "\n" for row in range(4))
    world.s3.put_object(
        Bucket=BUCKET, Key=f"predictions/{MODEL}/1/{WINDOW}.jsonl.gz", Body=gzip.compress(lines.encode())
    )
    return Lifecycle(world.table, world.preflight, Members(TEAM))


def said(api: Lifecycle, method: str, body: object = b"", path: str = PATH, **query: str) -> tuple[int, dict[str, Any]]:
    answer = api.answer(replace(request(method, path, body), query=list(query.items())))
    return answer.status, json.loads(answer.content)


def send(api: Lifecycle, *rows: Any) -> tuple[int, dict[str, Any]]:
    return said(api, "POST", {"outcomes": list(rows)})


def taken(world: World) -> dict[str, Any]:
    return take_in(
        world.table, Store(world.s3, BUCKET, MODEL), "classes", now=lambda: datetime.now(UTC), has_time=lambda: True
    ).to_doc()


def test_what_is_sent_is_taken_in_and_told(world: World, api: Lifecycle) -> None:
    rows = [{"prediction_id": f"1-{WINDOW}-{row}", "truth": int(row > 0), "value": 2.5} for row in range(3)]
    rows.append({"prediction_id": f"1-{WINDOW}-9", "truth": 1})
    first = send(api, *rows)
    assert first[0] == 200
    assert (first[1]["model"], first[1]["rows"]) == (MODEL, 4)
    assert send(api, *rows) == first, "the same content is the same object"
    kept = world.s3.head_object(Bucket=BUCKET, Key=first[1]["object"])
    assert "reviewer-1" in kept["Metadata"]["sent-by"]
    assert said(api, "GET")[1] | {"since": ""} == {
        "model": MODEL, "since": "", "versions": [], "waiting": 1, "objects": []
    }  # fmt: skip
    assert taken(world)["new"] == 3
    assert send(api, *rows) == first
    assert [taken(world)["objects"] for _ in range(2)] == [1, 0]
    status, found = said(api, "GET", days="7")
    assert (status, found["waiting"]) == (200, 0)
    [version] = found["versions"]
    assert (version["version"], version["rows"], version["metrics"]["accuracy"]) == (1, 3, 2 / 3)
    assert version["value"] == {"rows": 3, "sum": 7.5, "standard_error": 0.0, "mean": 2.5}
    assert [(day["day"], day["rows"]) for day in version["days"]] == [(f"{YESTERDAY:%Y-%m-%d}", 3)]
    assert [(one["new"], one["unknown"], one["first"]["row"]) for one in found["objects"]][:1] == [(3, 1, 4)]


def test_days_before_are_left_out(world: World, api: Lifecycle) -> None:
    send(api, {"prediction_id": f"1-{WINDOW}-0", "truth": 1})
    taken(world)
    assert said(api, "GET", days="1")[1]["versions"] == []
    for days in ("0", "93", "many"):
        status, answer = said(api, "GET", days=days)
        assert (status, answer["message"]) == (400, f"Parameter 'days' must be a number from 1 to 92, got {days!r}.")


def test_rows_that_are_no_outcomes_are_refused_with_their_numbers(world: World, api: Lifecycle) -> None:
    good = {"prediction_id": f"1-{WINDOW}-0", "truth": 1}
    status, answer = send(api, good, {"prediction_id": "x", "truth": 1}, 7, {**good, "value": True})
    told = (
        "3 of 4 rows are no outcomes, and none was taken. Row 2: prediction_id: got 'x'; allowed is the id that an answer carried, "
        "VERSION-YYYYMMDDTHHMMSSZ-SANDBOX-NUMBER-ROW. Row 3: It must be an object, got number. Row 4: value: got boolean; allowed "
        "is a number."
    )
    assert (status, answer["message"]) == (400, told)
    assert said(api, "GET")[1]["waiting"] == 0
    assert send(api)[1]["message"].startswith("outcomes: got 0 rows; allowed is a list of 1 to 5000 rows.")
    assert send(api, *[good] * (sent_rows.MOST_ROWS + 1))[0] == 400
    assert said(api, "POST", {"outcomes": good})[1]["message"].startswith("outcomes: got object")
    large = b'{"outcomes": "' + b"x" * sent_rows.MOST_BYTES + b'"}'
    assert "at most 5000000 are taken" in said(api, "POST", large)[1]["message"]


def test_who_may_not_log_may_not_send(world: World, api: Lifecycle) -> None:
    reader = Lifecycle(world.table, world.preflight, Members(TEAM, {"reviewer-1": frozenset({"read"})}))
    row = {"prediction_id": f"1-{WINDOW}-0", "truth": 1}
    assert send(reader, row)[0] == 403
    assert said(reader, "GET")[0] == 200


def test_a_model_that_is_not_registered_has_none(api: Lifecycle) -> None:
    path = "/labcycle/1.0/models/nobody/outcomes"
    body = {"outcomes": [{"prediction_id": f"1-{WINDOW}-0", "truth": 1}]}
    assert (said(api, "GET", path=path)[0], said(api, "POST", body, path)[0]) == (404, 404)
