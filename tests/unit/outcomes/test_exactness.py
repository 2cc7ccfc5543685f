"""Whatever fails in between: the sums are those of the set of files, each counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.outcomes import taking_in
from labcycle_lambdas.outcomes.store import Incoming, Store
from labcycle_lambdas.outcomes.sums import Row, Sums
from tests.unit.outcomes.place import BUCKET, NOW, START, Crash, Place, summed, window

WINDOWS = [window(), window(number=2), window(START + timedelta(days=1))]
LINES: list[dict[str, Any]] = [
    {"prediction": 1, "chances": {"0": 0.25, "1": 0.75}, "cohort": {"kind": "shop"}},
    {"prediction": 0, "chances": {"0": 0.5, "1": 0.5}},
]
# What the function calls while it takes in, in whatever order.
CALLS = (
    "ListObjectsV2",
    "GetObject",
    "PutObject",
    "DeleteObject",
    "GetItem",
    "PutItem",
    "BatchGetItem",
    "TransactWriteItems",
)
TIMES = [None, "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"]
says = st.fixed_dictionaries(
    {
        "window": st.integers(0, len(WINDOWS) - 1),
        "row": st.integers(0, len(LINES) - 1),
        "truth": st.sampled_from([None, 0, 1]),
        "value": st.sampled_from([None, 1, 2.5]),
        "at": st.sampled_from(TIMES),
    }
).filter(lambda said: said["truth"] is not None or said["value"] is not None)
files = st.lists(st.lists(says, min_size=1, max_size=4), min_size=1, max_size=4)
faults_planned = st.lists(
    st.tuples(st.sampled_from(["crash", "crash_after", "lose", "throttle"]), st.sampled_from(CALLS), st.integers(0, 4)),
    max_size=3,
)


def expected(place: Place, sent: dict[str, list[dict[str, Any]]]) -> dict[str, Sums]:
    """The rule, from all that was ever sent at once: of each prediction the claims in the order of their files' arrival."""
    claims: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for said in (said for name in sent for said in sent[name]):
        claims.setdefault((said["window"], said["row"]), []).append(said)
    days: dict[str, list[Row]] = {}
    for (number, row), about in claims.items():
        line = LINES[row]
        told: dict[str, Any] = {}
        for name in ("truth", "value"):
            there = [one for one in about if one[name] is not None]
            told[name] = (
                max(there, key=lambda one: one["at"] or "")[name] if there else None
            )  # max: the first of equals
        contradicted = any(
            len({one[name] for one in about if one[name] is not None}) > 1 for name in ("truth", "value")
        )
        counted = Row(
            line["prediction"], **told, contradicted=contradicted, chances=line["chances"], cohort=line.get("cohort")
        )
        days.setdefault(f"{START + timedelta(days=number // 2):%Y-%m-%d}", []).append(counted)
    return {day: summed(rows) for day, rows in days.items()}


class OneByOne:
    """Calls in their order, so that each fault strikes the same one again."""

    def __init__(self, workers: int) -> None: ...
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
    def map(self, work: Callable[[Any], Any], items: Any) -> Iterator[Any]:
        return map(work, items)


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking_in, "ThreadPoolExecutor", OneByOne)


def prepared(place: Place) -> None:
    place.faults.clear()
    place.anew()
    for name in WINDOWS:
        place.log(1, name, LINES)


def record(said: dict[str, Any]) -> dict[str, Any]:
    told = {name: said[name] for name in ("truth", "value", "at") if said[name] is not None}
    return {"prediction_id": f"1-{WINDOWS[said['window']]}-{said['row']}", **told}


def arriving(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files arrive in the order of their names: S3 in moto dates them all within a second."""
    listed = Store._incoming

    def dated(store: Store) -> list[Incoming]:
        return [
            Incoming(one.key, one.name, one.etag, START + timedelta(days=9, seconds=int(one.name[:4])), one.size)
            for one in listed(store)
        ]

    monkeypatch.setattr(Store, "_incoming", dated)


def plan(place: Place, faults: list[tuple[str, str, int]]) -> None:
    for kind, call, number in faults:
        if kind == "throttle":
            calls = (number, number + 1, number + 2)  # the client tries three times
            if "Item" in call:
                place.faults.refuse(call, "ThrottlingException", *calls)
            else:
                place.slow_down(call, *calls)
        elif kind == "lose":
            place.faults.lose_answer(call, number)
        elif kind == "crash":
            place.faults.before(call, number, crash)
        else:
            place.faults.lose_answer(call, number, then=crash)


def crash() -> None:
    raise Crash


KNOWN: list[dict[str, Any]] = [{"window": 0, "row": 0, "truth": 0, "value": 1, "at": None}]
ARRIVING: list[list[dict[str, Any]]] = [
    [
        {"window": 0, "row": 0, "truth": 1, "value": None, "at": TIMES[1]},
        {"window": 1, "row": 1, "truth": 0, "value": 2.5, "at": None},
    ],
    [
        {"window": 2, "row": 1, "truth": 1, "value": None, "at": None},
        {"window": 0, "row": 0, "truth": 0, "value": None, "at": TIMES[2]},
    ],
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_call_changes_nothing(place: Place, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    arriving(place, monkeypatch)
    crashed = number = 0
    while crashed == number:
        prepared(place)
        place.send(map(record, KNOWN), "0000.jsonl")
        place.take_in()
        for name, rows in zip(("0001.jsonl", "0002.jsonl"), ARRIVING, strict=True):
            place.send(map(record, rows), name)
        with crashing(place, number, after=after), suppress(Crash):
            place.take_in()
            crashed -= 1
        crashed += 1
        place.take_in()
        names = {"0000.jsonl": KNOWN, "0001.jsonl": ARRIVING[0], "0002.jsonl": ARRIVING[1]}
        assert place.sums() == expected(place, names), f"after a crash at call {number}"
        reports = place.outcomes.last_objects(place.model, 9)
        assert [(one["object"], one["new"], one["contradictory"]) for one in reports] == [
            ("0002.jsonl", 2, 1),
            ("0001.jsonl", 2, 1),
            ("0000.jsonl", 1, 0),
        ]
        number += 1
    assert crashed > 20


@contextmanager
def crashing(place: Place, number: int, *, after: bool) -> Iterator[None]:
    """The function is gone at its call `number`, of whatever operation: before it, or before its answer."""
    calls, answer = iter(range(1000)), place.faults.answer

    def count(operation: str, request: Any, carry_out: Callable[[], Any]) -> Any:
        if next(calls) == number:
            if after:
                carry_out()
            raise Crash
        return answer(operation, request, carry_out)

    place.faults.answer = count  # type: ignore[method-assign]
    try:
        yield
    finally:
        place.faults.answer = answer  # type: ignore[method-assign]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=files, faults=faults_planned, order=st.randoms(use_true_random=False), repeated=st.booleans())
def test_the_sums_are_those_of_the_files_whatever_fails(
    place: Place, monkeypatch: pytest.MonkeyPatch, sent: Any, faults: Any, order: Any, repeated: bool
) -> None:
    prepared(place)
    arriving(place, monkeypatch)
    names = {f"{number:04d}.jsonl": rows for number, rows in enumerate(sent)}
    shuffled = list(names)
    order.shuffle(shuffled)
    first = shuffled[: order.randint(1, len(shuffled))]
    for part in (first, [name for name in shuffled if name not in first]):
        for name in part:
            place.send(map(record, names[name]), name)
        plan(place, faults)
        for _ in range(8):
            with suppress(Crash, Throttled):
                place.take_in()
                break
        else:
            raise AssertionError("it never came through")
        place.faults.clear()
    if repeated:
        for name in shuffled:
            place.send(map(record, names[name]), name)
        place.take_in()
    assert place.sums() == expected(place, names)
    assert place.keys("in") == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=files, call=st.sampled_from(CALLS), number=st.integers(0, 6), new=st.lists(says, max_size=3))
def test_a_second_evaluator_at_the_same_time_changes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, sent: Any, call: str, number: int, new: Any
) -> None:
    """At a call of the first, the second takes in all that is there and something that has just arrived."""
    prepared(place)
    arriving(place, monkeypatch)
    names = {f"{number:04d}.jsonl": rows for number, rows in enumerate(sent)}
    for name, rows in names.items():
        place.send(map(record, rows), name)
    later = {"0009.jsonl": new} if new else {}
    happened = []

    def second() -> None:
        happened.append(call)
        for name, rows in later.items():
            place.send(map(record, rows), name)
        place.take_in()

    place.faults.before(call, number, second)
    place.take_in()
    place.faults.clear()
    place.take_in()
    assert place.sums() == expected(place, {**names, **(later if happened else {})})
    assert place.keys("in") == []


def test_an_outcome_that_changes_no_sum_may_change_what_another_one_means(place: Place) -> None:
    """While one evaluator is about to write that the truth is 0, another one takes in that it was 1 after all."""
    of = place.log(1, WINDOWS[0], LINES)

    def say(truth: int, at: str | None, name: str) -> None:
        place.send([{"prediction_id": f"{of}-0", "truth": truth, "at": at}], name)

    class Other(Store):
        def _incoming(self) -> list[Incoming]:
            return [one for one in super()._incoming() if one.name == "later.jsonl"]

    def second() -> None:
        say(1, TIMES[2], "later.jsonl")
        taken = taking_in.take_in(
            place.table, Other(place.s3, BUCKET, place.model), "classes", now=lambda: NOW, has_time=lambda: True
        )
        assert taken.counts["duplicates"] == 1

    say(1, None, "first.jsonl")
    place.take_in()
    say(0, TIMES[1], "second.jsonl")
    place.faults.before("TransactWriteItems", 0, second)
    place.take_in()
    line = LINES[0]
    row = Row(1, 1, contradicted=True, chances=line["chances"], cohort=line["cohort"])
    assert place.sums() == {"2026-03-01": summed([row])}
