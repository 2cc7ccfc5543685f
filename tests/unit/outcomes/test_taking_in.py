"""Outcomes that arrive as files, joined with a prediction log of the contract's format."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.outcomes import taking_in
from labcycle_lambdas.outcomes.measures import figures
from labcycle_lambdas.outcomes.sums import Row
from tests.unit.outcomes.place import NOW, START, Place, summed, window

CHANCES = {"0": 0.2, "1": 0.8}


def test_truth_and_value_are_joined_and_summed_up(place: Place) -> None:
    line = {"prediction": 1, "chances": CHANCES, "cohort": {"kind": "shop"}, "features": {"amount": 3}}
    of = place.log(3, window(), [line, {**line, "cohort": {"kind": "web"}}, {"prediction": 0}])
    late = place.log(3, window(START + timedelta(hours=20)), [{"prediction": 0}])
    place.send([{"prediction_id": f"{of}-0", "truth": 1, "value": 12.5}, {"prediction_id": f"{of}-1", "truth": "0"}])
    place.put("more.csv", f"prediction_id,truth,value,at\n{of}-2,1.0,,2026-03-05T00:00:00+01:00\n{late}-0,0,-2.5,\n")
    taken = place.take_in()
    assert taken.to_doc() == {
        "objects": 2,
        "waiting": 0,
        "rows": 4,
        "new": 4,
        "duplicates": 0,
        "contradictory": 0,
        "unknown": 0,
        "invalid": 0,
        "rejected": [],
    }
    shop, web = (Row(1, chances=CHANCES, cohort={"kind": kind}) for kind in ("shop", "web"))
    first = summed(
        [
            Row(1, 1, 12.5, chances=CHANCES, cohort=shop.cohort),
            Row(1, "0", chances=CHANCES, cohort=web.cohort),
            Row(0, 1),
        ]
    )
    assert place.sums(3) == {"2026-03-01": first, "2026-03-02": summed([Row(0, 0, -2.5)])}
    assert figures(first.total())["accuracy"] == 1 / 3
    assert (place.outcomes.versions(place.model), place.keys("in"), place.keys("rejected")) == ([3], [], [])
    joined = place.lines(f"joined/3/{window()}.jsonl.gz")
    assert [(row["row"], row["prediction"], row["truth"], row.get("value")) for row in joined] == [
        (0, 1, 1, 12.5),
        (1, 1, "0", None),
        (2, 0, 1.0, None),
    ]
    assert joined[0]["cohort"] == {"kind": "shop"}
    assert joined[2]["claims"][0]["at"] == "2026-03-04T23:00:00.000Z"
    assert place.take_in().objects == 0


def test_what_was_known_changes_nothing(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}] * 3)
    rows = [{"prediction_id": f"{of}-{row}", "truth": 1, "value": 2} for row in range(3)]
    place.send(rows)
    place.take_in()
    before = place.days()
    for _ in range(2):
        place.send([*rows[:2], {"prediction_id": f"{of}-2", "truth": "1"}], "again.jsonl")
        taken = place.take_in()
        assert (taken.counts["rows"], taken.counts["duplicates"], taken.counts["new"]) == (3, 3, 0)
    assert place.days() == before


def test_what_became_known_later_counts(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}, {"prediction": 1}, {"prediction": 1}])

    def say(row: int, **said: Any) -> Any:
        place.send([{"prediction_id": f"{of}-{row}", **said}])
        return place.take_in()

    say(0, truth=1, at="2026-03-02T00:00:00Z")
    assert say(0, truth=0, at="2026-03-04T00:00:00Z").counts["contradictory"] == 1
    assert say(0, truth=1, at="2026-03-03T00:00:00Z").counts["contradictory"] == 1
    assert say(0, truth=1).counts["contradictory"] == 1
    assert place.sums()["2026-03-01"] == summed([Row(1, 0, contradicted=True)])
    say(1, truth=1)
    say(1, truth=0)  # without a time the first stays
    say(1, value=3)  # of the rest it is no contradiction
    say(2, truth=1, value=5)
    say(2, value=6, at="2026-03-04")
    told = [Row(1, 0, contradicted=True), Row(1, 1, 3, contradicted=True), Row(1, 1, 6, contradicted=True)]
    assert place.sums()["2026-03-01"] == summed(told)
    rejected = place.lines("rejected/0005.jsonl.jsonl")
    assert [(row["row"], row["kind"], row["prediction_id"]) for row in rejected] == [(1, "contradictory", f"{of}-1")]
    assert rejected[0]["reason"] == "Something else is said of this prediction as well; what counts is truth 1."


def test_a_contradiction_within_a_file_is_told(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}])
    place.send([{"prediction_id": f"{of}-0", "truth": truth} for truth in (1, 0, 1)])
    taken = place.take_in()
    assert (taken.counts["new"], taken.counts["duplicates"], taken.counts["contradictory"]) == (2, 1, 3)
    assert place.sums()["2026-03-01"] == summed([Row(1, 1, contradicted=True)])


def test_rows_that_come_to_nothing_are_told_by_their_numbers(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}])
    gone = f"1-{window(number=9)}"
    place.send(
        [
            {"prediction_id": f"{gone}-0", "truth": 1},
            {"prediction_id": f"{of}-0", "truth": 1},
            {"prediction_id": f"{of}-1", "truth": 1},
            {"prediction_id": "1-2026", "truth": 1},
            {"prediction_id": f"{of}-0"},
            {"prediction_id": f"{of}-0", "value": "much"},
            {"prediction_id": f"{of}-0", "truth": 1, "at": "yesterday"},
            {"prediction_id": f"{of}-0", "label": 1},
        ],
        "january.jsonl",
    )
    taken = place.take_in()
    assert {name: taken.counts[name] for name in ("rows", "new", "unknown", "invalid")} == {
        "rows": 8,
        "new": 1,
        "unknown": 2,
        "invalid": 5,
    }
    told = place.lines("rejected/january.jsonl.jsonl")
    assert [(row["row"], row["reason"]) for row in told] == [
        (1, "There is no such prediction: its window is not in the prediction log, or no longer."),
        (3, "There is no such prediction: its window has 1 rows."),
        (
            4,
            "prediction_id: got '1-2026'; allowed is the id that an answer carried, VERSION-YYYYMMDDTHHMMSSZ-SANDBOX-NUMBER-ROW.",
        ),
        (5, "It has neither truth nor value; give one of them at least."),
        (6, "value: got 'much'; allowed is a number."),
        (7, "at: got 'yesterday'; allowed is a time in ISO 8601 such as 2026-03-01T12:00:00Z."),
        (8, "It has the field 'label'; allowed: prediction_id, truth, value, at."),
    ]
    report = place.outcomes.last_objects(place.model, 5)[0]
    assert taken.rejected == [report]
    assert (report["object"], report["first"]["row"], report["unknown"]) == ("january.jsonl", 1, 2)
    assert report["rejected"] == f"outcomes/{place.model}/rejected/january.jsonl.jsonl"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("outcomes.xlsx", "PK", "its name ends with none of .csv, .jsonl, .ndjson"),
        ("empty.csv", "", "it is empty"),
        ("latin.jsonl", "\udce9", "it is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(place: Place, name: str, text: str, why: str) -> None:
    body = text.encode(errors="surrogateescape")
    place.s3.put_object(Bucket="artifacts", Key=f"outcomes/{place.model}/in/{name}", Body=body)
    assert place.take_in().counts["invalid"] == 1
    assert why in place.lines(f"rejected/{name}.jsonl")[0]["reason"]
    assert place.keys("in") == []


def test_what_is_too_large_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    of = place.log(1, window(), [{"prediction": 1}] * 4)
    monkeypatch.setattr(taking_in, "MOST_ROWS", 3)
    place.send([{"prediction_id": f"{of}-{row}", "truth": 1} for row in range(4)])
    monkeypatch.setattr(taking_in, "MOST_BYTES", 1000)
    place.put("large.csv", "x" * 1001)
    taken = place.take_in()
    assert (taken.objects, place.days()) == (2, [])
    assert [report["first"]["reason"] for report in taken.rejected] == [
        "The object has more than 3 rows: split it.",
        "The object has 1001 bytes; at most 1000 are taken: split it.",
    ]


def test_an_object_waits_until_the_log_is_written(place: Place) -> None:
    start = NOW.replace(microsecond=0) - timedelta(minutes=30)
    of = f"1-{window(start)}"
    place.send([{"prediction_id": f"{of}-0", "truth": 1}])
    future = f"1-{window(NOW + timedelta(days=1))}"
    place.send([{"prediction_id": f"{future}-0", "truth": 1}])
    taken = place.take_in()
    assert (taken.objects, taken.waiting, taken.counts["unknown"]) == (1, 1, 1)
    place.log(1, window(start), [{"prediction": 1}])
    place.send([{"prediction_id": f"{of}-1", "truth": 1}])
    taken = place.take_in()
    assert (taken.objects, taken.waiting, taken.counts["new"]) == (1, 1, 1)
    taken = place.take_in(now=NOW + timedelta(minutes=31))
    assert (taken.objects, taken.waiting, taken.counts["unknown"]) == (1, 0, 1)


def test_a_log_that_is_gone_is_needed_for_new_rows_only(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}, {"prediction": 1}])
    place.send([{"prediction_id": f"{of}-0", "truth": 1}])
    place.take_in()
    place.s3.delete_object(Bucket="artifacts", Key=f"predictions/{place.model}/1/{window()}.jsonl.gz")
    place.send([{"prediction_id": f"{of}-{row}", "truth": 0, "at": "2026-04-01"} for row in (0, 1)])
    taken = place.take_in()
    assert (taken.counts["new"], taken.counts["unknown"]) == (1, 1)
    assert place.sums()["2026-03-01"] == summed([Row(1, 0, contradicted=True)])


def test_rows_of_the_log_that_are_missing_shift_nothing(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 0, "row": row} for row in (0, 1, 3, 4)])
    place.send([{"prediction_id": f"{of}-{row}", "truth": 0} for row in (2, 3, 4)])
    assert place.take_in().counts["unknown"] == 1
    assert [row["row"] for row in place.lines(f"joined/1/{window()}.jsonl.gz")] == [3, 4]


def test_what_there_is_no_time_for_is_taken_in_the_next_time(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}] * 3)
    for row in range(3):
        place.send([{"prediction_id": f"{of}-{row}", "truth": 1}])
    looks = iter([True, True, True, False])
    taken = place.take_in(has_time=lambda: next(looks))
    assert (taken.objects, taken.waiting) == (0, 3)
    assert place.take_in().counts["new"] == 3


def test_an_object_that_is_overwritten_meanwhile_is_another_one(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}] * 2)
    place.send([{"prediction_id": f"{of}-0", "truth": 1}], "same.jsonl")
    place.faults.before("DeleteObject", 0, lambda: _overwrite(place, of))
    assert place.take_in().objects == 1
    assert place.keys("in") == ["same.jsonl"]
    assert place.take_in().counts["new"] == 1
    assert place.sums()["2026-03-01"] == summed([Row(1, 1), Row(1, 0)])


def _overwrite(place: Place, of: str) -> None:
    place.send([{"prediction_id": f"{of}-1", "truth": 0}], "same.jsonl")


def test_a_throttled_call_is_told_as_such(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}] * 2)
    place.send([{"prediction_id": f"{of}-0", "truth": 1}])
    place.faults.refuse("TransactWriteItems", "ProvisionedThroughputExceededException", *range(10))
    with pytest.raises(Throttled):
        place.take_in()
    place.faults.clear()
    assert place.take_in().counts["new"] == 1


def test_without_a_metric_values_alone_are_summed_up(place: Place) -> None:
    of = place.log(1, window(), [{"prediction": 1}] * 2)
    place.send([{"prediction_id": f"{of}-0", "truth": 1, "value": 5}, {"prediction_id": f"{of}-1", "truth": 1}])
    place.take_in("none")
    assert place.sums()["2026-03-01"] == summed([Row(1, value=5)], "none")
    place.send([{"prediction_id": f"{of}-0", "value": 7, "at": "2026-03-03"}])
    place.take_in("classes")
    assert place.sums()["2026-03-01"] == summed([Row(1, value=7, contradicted=True)], "none"), "a day keeps its kind"
