"""Records of a model that is served elsewhere: counted and kept once, as a model server's answers are."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.profiles import Profiles, StoredProfile
from labcycle_lambdas.ledger.received import KEPT, Received
from labcycle_lambdas.lifecycle import sent_rows
from labcycle_lambdas.lifecycle.parameters import REMEMBERED_SECONDS, remembered
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.model_server import prediction_log
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.outcomes.prediction_id import parse
from labcycle_lambdas.outcomes.store import Store
from labcycle_lambdas.outcomes.taking_in import take_in
from labcycle_lambdas.profiles import Profile, Reference
from labcycle_lambdas.profiles.reference import PREDICTION
from tests.unit.serving.workshop import (
    BUCKET,
    FEATURES,
    LABELS,
    MODEL,
    REVIEWER,
    ROWS,
    TEAM,
    World,
    classifier,
    reference_table,
    request,
)

PATH = f"/labcycle/1.0/models/{MODEL}/records"
ALL = Keeping(log=True, sample_percent=100, redact=(FEATURES[1],))
GONE = timedelta(days=1)


class Elsewhere:
    """The API of a team whose model is served elsewhere."""

    def __init__(self, world: World, keeping: Keeping | None = ALL) -> None:
        self.world = world
        self.preflight = replace(world.preflight, records=lambda model: keeping)
        self.api = Lifecycle(world.table, self.preflight, Members(TEAM))

    def send(self, rows: Any, version: Any = 1, **more: Any) -> tuple[int, dict[str, Any]]:
        body = {"version": version, "records": rows, **more}
        answer = self.api.answer(request("POST", PATH, body))
        return answer.status, json.loads(answer.content)

    def sent(self, rows: Any, version: int = 1) -> list[str]:
        status, answer = self.send(rows, version)
        assert status == 200, answer
        assert (answer["version"], answer["rows"]) == (version, len(rows))
        ids: list[str] = answer["prediction_ids"]
        return ids

    def goes_live(self, files: Mapping[str, bytes] | None = None, *, reference: bool = True) -> int:
        run = self.world.run({"reference.json": reference_table()} if reference else {})
        version = self.world.register(files or classifier(), run_id=run)
        self.world.deployments.promote(MODEL, self.preflight.prepare(MODEL, version), REVIEWER)
        return version

    def profiles(self, version: int = 1) -> list[StoredProfile]:
        return Profiles(self.world.table).read(MODEL, version, datetime.now(UTC) - GONE)

    def line(self, prediction_id: str) -> dict[str, Any]:
        """What the log has of a prediction."""
        found = parse(prediction_id)
        assert found
        window, row = found
        body = self.world.s3.get_object(Bucket=BUCKET, Key=window.log_key(MODEL))["Body"].read()
        line: dict[str, Any] = json.loads(gzip.decompress(body).splitlines()[row])
        assert line.pop("row") == row
        return line


def rows(count: int = 60, **more: Any) -> list[dict[str, Any]]:
    pairs = zip(ROWS.tolist()[:count], LABELS.tolist()[:count], strict=True)
    return [{"prediction": label, "features": dict(zip(FEATURES, row, strict=True)), **more} for row, label in pairs]


@pytest.fixture
def elsewhere(world: World) -> Elsewhere:
    made = Elsewhere(world)
    made.goes_live()
    return made


def test_records_are_counted_as_a_model_server_counts_rows(elsewhere: Elsewhere) -> None:
    elsewhere.sent(rows())
    (stored,) = elsewhere.profiles()
    live = elsewhere.world.deployments.current(MODEL).live
    assert live and live.reference
    own = Profile(Reference.from_doc(live.reference))
    own.add(FEATURES, ROWS.tolist(), LABELS.tolist())
    assert stored.doc == own.to_doc()


def test_predictions_are_kept_by_the_ids_that_are_answered(elsewhere: Elsewhere) -> None:
    at = "2026-03-01T13:00:00+01:00"
    one = {
        "prediction": 1,
        "features": {FEATURES[0]: 2.5, FEATURES[1]: 7},
        "chances": {"0": 0.25, "1": 0.75},
        "id": "a-7",
        "at": at,
    }
    first, second = elsewhere.sent([one, {"prediction": "yes", "features": {"other": None}}])
    assert elsewhere.line(first) == {
        "request": "a-7",
        "at": "2026-03-01T12:00:00.000Z",
        "prediction": 1,
        "chances": {"0": 0.25, "1": 0.75},
        "features": {FEATURES[0]: 2.5},
    }, "without the redacted feature"
    line = elsewhere.line(second)
    assert (line["prediction"], line["request"], "chances" in line) == ("yes", "", False)
    (stored,) = elsewhere.profiles()
    assert stored.doc["confidence"] == {"sum": 0.75, "rows": 1}


def test_outcomes_are_joined_by_these_ids(elsewhere: Elsewhere) -> None:
    ids = elsewhere.sent(rows(4))
    told = [{"prediction_id": one, "truth": label} for one, label in zip(ids, [1, 1, 0, 0], strict=True)]
    path = f"/labcycle/1.0/models/{MODEL}/outcomes"
    assert elsewhere.api.answer(request("POST", path, {"outcomes": told})).status == 200
    store, now = Store(elsewhere.world.s3, BUCKET, MODEL), datetime.now(UTC)
    taken = take_in(elsewhere.world.table, store, "classes", now=lambda: now, has_time=lambda: True)
    assert taken.counts["new"] == 4, "at once, since they are in the log"


def test_the_same_content_counts_once_whenever_it_comes(elsewhere: Elsewhere) -> None:
    first = elsewhere.sent(rows())
    assert elsewhere.sent(rows()) == first
    assert [one.doc["rows"] for one in elsewhere.profiles()] == [60]
    assert elsewhere.sent(rows(30)) != first[:30], "other content is other predictions"
    assert sum(one.doc["rows"] for one in elsewhere.profiles()) == 90


def test_a_call_that_broke_off_is_finished_by_the_next(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Profiles, "write", lambda *args, **more: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            elsewhere.send(rows())
    assert elsewhere.profiles() == []
    ids = elsewhere.sent(rows())
    assert len(set(ids)) == 60 and [one.doc["rows"] for one in elsewhere.profiles()] == [60]
    listed = elsewhere.world.s3.list_objects_v2(Bucket=BUCKET, Prefix="predictions/")["Contents"]
    assert len(listed) == 1, "what was written before is replaced"


def test_content_is_known_for_some_weeks(world: World) -> None:
    received, now = Received(world.table), datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert received.first(MODEL, "abc", now) == now
    assert received.first(MODEL, "abc", now + timedelta(hours=5)) == now
    assert received.first(MODEL, "other", now + timedelta(hours=5)) == now + timedelta(hours=5)
    assert received.first("another", "abc", now + timedelta(hours=6)) == now + timedelta(hours=6)
    assert timedelta(days=30) < KEPT


def test_many_rows_fill_several_windows(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_log, "OBJECT_BYTES", 2_000)
    ids = elsewhere.sent(rows())
    windows = {one.rpartition("-")[0] for one in ids}
    assert len(windows) > 2
    assert [elsewhere.line(one)["prediction"] for one in ids] == LABELS.tolist()
    (stored,) = elsewhere.profiles()
    assert stored.doc["rows"] == 60


def test_without_capture_there_are_profiles_alone(world: World) -> None:
    made = Elsewhere(world, Keeping())
    made.goes_live()
    assert made.sent(rows()) == []
    assert [one.doc["rows"] for one in made.profiles()] == [60]
    assert "Contents" not in world.s3.list_objects_v2(Bucket=BUCKET, Prefix="predictions/")


def test_without_a_reference_there_are_predictions_alone(world: World) -> None:
    made = Elsewhere(world)
    made.goes_live(reference=False)
    ids = made.sent(rows(3))
    assert [made.line(one)["prediction"] for one in ids] == LABELS.tolist()[:3]
    assert made.profiles() == []


def test_records_name_a_version_that_is_or_was_live(elsewhere: Elsewhere) -> None:
    second = elsewhere.goes_live()
    elsewhere.sent(rows(10), 1)
    elsewhere.sent(rows(20), second)
    assert [sum(p.doc["rows"] for p in elsewhere.profiles(version)) for version in (1, second)] == [10, 20]
    status, answer = elsewhere.send(rows(1), 7)
    assert status == 400
    assert answer["message"] == (
        f"Version 7 of {MODEL} is not live, and was not of late, so that there is nothing to hold its predictions against. Tell when "
        f"it goes live where it is served: labcycle models promote {MODEL} 7."
    )
    assert elsewhere.send(rows(1), "one")[1]["message"].startswith("Parameter 'version' must be an integer")
    without = elsewhere.api.answer(request("POST", PATH, {"records": rows(1)}))
    assert "'version': the one that made these predictions" in without.content


def test_a_dry_run_checks_and_keeps_nothing(elsewhere: Elsewhere) -> None:
    status, answer = elsewhere.send(rows(), dry_run=True)
    assert (status, answer["rows"], answer["prediction_ids"]) == (200, 0, [])
    assert elsewhere.profiles() == []
    assert elsewhere.send([{}], dry_run=True)[0] == 400


def test_a_model_with_servers_of_its_own_takes_none(world: World) -> None:
    made = Elsewhere(world, None)
    made.goes_live()
    status, answer = made.send(rows(1))
    assert status == 400 and "deliver: [{form: external}]" in answer["message"]
    nobody = made.api.answer(request("POST", "/labcycle/1.0/models/nobody/records", {"version": 1, "records": rows(1)}))
    assert nobody.status == 404


def test_who_may_not_log_may_not_send(elsewhere: Elsewhere) -> None:
    members = Members(TEAM, {"reviewer-1": frozenset({"read"})})
    elsewhere.api = replace(elsewhere.api, members=members)
    assert elsewhere.send(rows(1))[0] == 403


GOOD = {"prediction": 1, "features": {"a": 1}}
WRONG: list[tuple[Any, str]] = [
    (7, "It must be an object, got number."),
    ({}, "It has no prediction."),
    ({"prediction": None, "features": {"a": 1}}, "It has no prediction."),
    (
        {**GOOD, "a": 2},
        "It has the field 'a'; allowed: prediction, features, chances, id, at. What the model was given belongs",
    ),
    ({"prediction": 1}, "features: got null; allowed is an object with 1 to 2000 names."),
    ({**GOOD, "features": {}}, "features: got 0 names; allowed"),
    ({**GOOD, "features": {"a" * 251: 1}}, "features: got the name 'aaaa"),
    ({**GOOD, "features": {"a": [1]}}, "features.a: got array; allowed is a text, a number, true or false."),
    ({**GOOD, "features": {"a": "\ud800"}}, "features.a: got half of a character"),
    ({**GOOD, "features": {"a": 2**63}}, "features.a: got a whole number of more than 63 bits"),
    ({**GOOD, "prediction": {}}, "prediction: got object; allowed"),
    ({**GOOD, "chances": {"1": 1.5}}, "chances.1: got 1.5; allowed is a number of 0 to 1."),
    ({**GOOD, "chances": {"1": True}}, "chances.1: got True; allowed"),
    ({**GOOD, "chances": [0.5]}, "chances: got array; allowed"),
    ({**GOOD, "id": ""}, "id: got a text of 0 characters; allowed is a text of 1 to 200 characters."),
    ({**GOOD, "id": 7}, "id: got number; allowed"),
    ({**GOOD, "at": "yesterday"}, "at: got 'yesterday'; allowed is a time in ISO 8601 such as 2026-03-01T12:00:00Z."),
]


@pytest.mark.parametrize(("row", "why"), WRONG, ids=[why[:40] for _, why in WRONG])
def test_rows_that_are_no_records_are_refused_with_their_numbers(elsewhere: Elsewhere, row: Any, why: str) -> None:
    status, answer = elsewhere.send([GOOD, row])
    assert status == 400
    assert answer["message"].startswith(f"1 of 2 rows are no records, and none was taken. Row 2: {why}"), answer
    assert elsewhere.profiles() == []


def test_odd_values_are_no_reason_to_refuse(elsewhere: Elsewhere) -> None:
    features = {FEATURES[0]: float("nan"), FEATURES[1]: "text", FEATURES[2]: None, "unknown": -(2**62)}
    (one,) = elsewhere.sent([{"prediction": float("inf"), "features": features}])
    assert elsewhere.line(one)["prediction"] is None, "which JSON does not have"
    (stored,) = elsewhere.profiles()
    names = [column.name for column in Reference.from_doc(_reference(elsewhere)).columns]
    missing = {name: counts[-1] for name, counts in zip(names, stored.doc["counts"], strict=True)}
    assert missing == {**dict.fromkeys(FEATURES, 1), PREDICTION: 0}


def _reference(elsewhere: Elsewhere) -> dict[str, Any]:
    live = elsewhere.world.deployments.current(MODEL).live
    assert live and live.reference
    return live.reference


def test_as_many_as_a_request_takes(elsewhere: Elsewhere) -> None:
    assert (
        elsewhere.send([])[1]["message"]
        == "records: got 0 rows; allowed is a list of 1 to 5000 rows. Send more in parts."
    )
    assert elsewhere.send(GOOD)[1]["message"].startswith("records: got object")
    assert elsewhere.send([GOOD] * (sent_rows.MOST_ROWS + 1))[0] == 400
    many = elsewhere.send([7] * 30)[1]["message"]
    assert "Row 20:" in many and "Row 21:" not in many and many.endswith("And 10 more.")
    large = b'{"records": "' + b"x" * sent_rows.MOST_BYTES + b'"}'
    answer = elsewhere.api.answer(request("POST", PATH, large))
    assert "at most 5000000 are taken" in answer.content


def test_any_flavour_may_be_live_elsewhere(world: World) -> None:
    files = {"MLmodel": b"flavors:\n  lightgbm:\n    data: model.lgb\n", "model.lgb": b"tree"}
    made = Elsewhere(world)
    made.goes_live(files)
    live = world.deployments.current(MODEL).live
    assert live and live.model_file.path == "MLmodel" and {file.path for file in live.files} == set(files)
    made.sent(rows(2))
    with pytest.raises(Refused, match="has no ONNX flavor"):
        world.preflight.prepare(MODEL, world.register(files))


def test_a_graph_is_known_as_one_that_can_be_compared(elsewhere: Elsewhere) -> None:
    live = elsewhere.world.deployments.current(MODEL).live
    assert live and live.model_file.path == "model.onnx"


def test_what_is_kept_is_asked_of_systems_manager_once_a_minute() -> None:
    """Which answers 40 requests a second of a whole account."""
    now, asked = [0.0], list[str]()

    def ask(model: str) -> int:
        asked.append(model)
        return len(asked)

    read = remembered(ask, lambda: now[0])
    assert [read(MODEL), read(MODEL), read("another"), read(MODEL)] == [1, 1, 2, 1]
    now[0] = REMEMBERED_SECONDS
    assert (read(MODEL), asked) == (3, [MODEL, "another", MODEL])
