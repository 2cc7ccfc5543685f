"""What is watched of batches: once, however often an object is scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from labcycle_lambdas.batch.places import Places
from labcycle_lambdas.batch.plan import Plan
from labcycle_lambdas.batch.scoring import Scoring
from labcycle_lambdas.batch.store import Store
from labcycle_lambdas.batch.watching import Watching
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.model_server import prediction_log
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.loading import Loader
from tests.unit.model_server.logged import lines_in
from tests.unit.serving import workshop
from tests.unit.serving.workshop import BUCKET, FEATURES, MODEL, ROWS, World, classifier, reference_table

ALL = Keeping(log=True, sample_percent=100, redact=(FEATURES[1],), cohorts=(FEATURES[0],))
STARTED = "2026-03-01T05:00:00.000Z"
LABELS = classifier().estimator.predict(ROWS).tolist()


@pytest.fixture
def world() -> Iterator[World]:
    with workshop.world() as made:
        yield made


def deployed(world: World, *, reference: bool = True) -> Deployed:
    run = world.run({"reference.json": reference_table()} if reference else {})
    return world.preflight.prepare(MODEL, world.register(classifier(), run_id=run))


def csv(rows: Sequence[Sequence[object]]) -> bytes:
    return "\n".join(",".join(map(str, row)) for row in [FEATURES, *rows]).encode()


class Batch:
    def __init__(self, world: World, version: Deployed, keeping: Keeping = ALL) -> None:
        self.world, self.version = world, version
        self.store, profiles = Store(world.s3, BUCKET), Profiles(world.table)
        self.watching = Watching(profiles, self.store, MODEL, keeping)

    def score(self, run: str, name: str, content: bytes) -> dict[str, Any]:
        places = Places(MODEL)
        self.world.s3.put_object(Bucket=BUCKET, Key=f"{places.incoming}{name}", Body=content)
        plan = Plan(run, run, STARTED, 1, self.version, (name,))
        graph = Loader(self.world.s3, BUCKET)(self.version)
        return Scoring(self.store, places, plan, lambda: graph, self.watching, lambda: datetime.now(UTC))(name)

    def predictions(self, run: str, name: str) -> list[dict[str, Any]]:
        key = Places(MODEL).predictions(run, name)
        body = self.world.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return [json.loads(line) for line in body.splitlines()]

    def docs(self) -> list[dict[str, Any]]:
        since = datetime(2026, 1, 1, tzinfo=UTC)
        return [stored.doc for stored in Profiles(self.world.table).read(MODEL, self.version.version, since)]

    def objects(self) -> dict[str, list[dict[str, Any]]]:
        listed = self.world.s3.list_objects_v2(Bucket=BUCKET, Prefix="predictions/").get("Contents", [])
        found = {one["Key"]: self.world.s3.get_object(Bucket=BUCKET, Key=one["Key"]) for one in listed}
        return {key: lines_in(answer["Body"].read()) for key, answer in found.items()}

    def find(self, prediction_id: str) -> dict[str, Any]:
        version, _, rest = prediction_id.partition("-")
        window, _, row = rest.rpartition("-")
        return self.objects()[f"predictions/{MODEL}/{version}/{window}.jsonl.gz"][int(row)]


def test_each_prediction_has_an_id_and_a_line_and_the_object_a_profile(world: World) -> None:
    batch = Batch(world, deployed(world))
    rows = [*ROWS[:5].tolist(), ["no", "number", "here"], *ROWS[5:8].tolist()]
    result = batch.score("monday", "a.csv", csv(rows))
    assert (result["rows"], result["failed_rows"]) == (9, 1)
    predictions = batch.predictions("monday", "a.csv")
    assert [one["row"] for one in predictions] == [1, 2, 3, 4, 5, 7, 8, 9]
    for one, row, label in zip(predictions, ROWS[:8].tolist(), LABELS, strict=False):
        line = batch.find(one["prediction_id"])
        assert (line["prediction"], line["request"], line["at"]) == (label, "monday/a.csv", STARTED)
        assert line["features"] == {FEATURES[0]: row[0], FEATURES[2]: row[2]}
        assert sum(line["chances"].values()) == pytest.approx(1)
    (doc,) = batch.docs()
    assert (doc["rows"], doc["asked"], doc["confidence"]["rows"]) == (8, 0, 8)


def test_errors_do_not_tell_values_where_some_are_never_kept(world: World) -> None:
    for keeping, told in ((Keeping(), True), (ALL, False)):
        batch = Batch(world, deployed(world), keeping)
        row = [*ROWS[0].tolist()]
        row[1] = "x-ray"
        batch.score("monday", "a.csv", csv([row, ROWS[1].tolist()]))
        body = world.s3.get_object(Bucket=BUCKET, Key=Places(MODEL).errors("monday", "a.csv"))["Body"].read().decode()
        assert ("x-ray" in body, FEATURES[1] in body) == (told, True)


def test_a_run_that_goes_on_replaces_what_it_wrote_and_another_run_adds(world: World) -> None:
    batch = Batch(world, deployed(world))
    batch.score("monday", "a.csv", csv(ROWS[:6].tolist()))
    before = batch.objects()
    batch.score("monday", "a.csv", csv(ROWS[:7].tolist()))  # other bytes: scored again
    assert batch.objects().keys() == before.keys()
    assert [doc["rows"] for doc in batch.docs()] == [7]
    batch.score("monday", "b.csv", csv(ROWS[:2].tolist()))
    batch.score("tuesday", "a.csv", csv(ROWS[:6].tolist()))
    assert sorted(doc["rows"] for doc in batch.docs()) == [2, 6, 7]


def test_an_object_of_many_rows_has_several_objects_of_predictions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "OBJECT_BYTES", 2_000)
    batch = Batch(world, deployed(world))
    batch.score("monday", "a.csv", csv(ROWS[:40].tolist()))
    assert len(batch.objects()) > 3
    ids = [one["prediction_id"] for one in batch.predictions("monday", "a.csv")]
    assert [batch.find(one)["prediction"] for one in ids] == LABELS[:40]
    assert len(set(ids)) == 40 and [doc["rows"] for doc in batch.docs()] == [40]


def test_without_a_log_there_is_a_profile_alone(world: World) -> None:
    batch = Batch(world, deployed(world), Keeping())
    batch.score("monday", "a.csv", csv(ROWS[:3].tolist()))
    assert batch.predictions("monday", "a.csv")[0] == {"row": 1, "prediction": LABELS[0]}
    assert batch.objects() == {} and [doc["rows"] for doc in batch.docs()] == [3]


def test_without_a_reference_there_is_a_log_alone(world: World) -> None:
    batch = Batch(world, deployed(world, reference=False))
    batch.score("monday", "a.csv", csv(ROWS[:3].tolist()))
    assert [len(lines) for lines in batch.objects().values()] == [3] and batch.docs() == []


def test_an_object_that_cannot_be_scored_is_in_no_profile(world: World) -> None:
    batch = Batch(world, deployed(world))
    result = batch.score("monday", "a.csv", csv(ROWS[:3].tolist()) + b'\n"unclosed')
    assert result["status"] == "failed"
    assert batch.docs() == []


def test_the_features_of_a_share_of_the_rows_are_kept(world: World) -> None:
    batch = Batch(world, deployed(world), replace(ALL, sample_percent=30))
    batch.score("monday", "a.csv", csv(ROWS[:100].tolist()))
    (lines,) = batch.objects().values()
    assert 10 <= sum("features" in line for line in lines) <= 50
