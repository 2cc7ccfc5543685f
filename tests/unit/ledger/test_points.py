"""Points: packed, found again page by page, and part of the run only where its header says so."""

from __future__ import annotations

import json
import math
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mypy_boto3_dynamodb import DynamoDBClient

from labcycle_lambdas.ledger import points
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.points import Metric, history_order
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Create, Item, Put, Table, Throttled
from tests.unit.ledger.conftest import NAME, Clock, Faults


@pytest.fixture
def runs(table: Table, clock: Clock) -> Runs:
    return Runs(table, clock, Experiments(table, "s3://bucket/experiments", clock))


@pytest.fixture
def run_id(runs: Runs) -> str:
    return runs.create(experiment_id="0", user_id="scientist-1", start_time=5).run_id


def batch(start: int, count: int, key: str = "m") -> list[Metric]:
    return [Metric(key, math.sin(n), 1_000 * n, n) for n in range(start, start + count)]


def steps(runs: Runs, run_id: str, key: str = "m") -> list[int]:
    return [point.step for point in runs.history(run_id, key)]


def items(client: DynamoDBClient, kind: str) -> list[Any]:
    return [i for i in client.scan(TableName=NAME)["Items"] if i["sk"]["S"].startswith(kind)]


def test_single_points_fill_the_header_before_a_chunk_is_written(
    runs: Runs, run_id: str, client: DynamoDBClient
) -> None:
    for point in batch(0, 60):
        runs.log_batch(run_id, [point])
    assert 1 <= len(items(client, "CHUNK/")) <= 5
    assert steps(runs, run_id) == list(range(60))


def test_many_batches_are_listed_in_manifests_and_read_in_order(
    runs: Runs, run_id: str, client: DynamoDBClient
) -> None:
    order = [*range(20, 40), *range(20)]  # the later ones first
    for number in order:
        runs.log_batch(run_id, [*batch(number * 50, 50), *batch(number * 50, 50, "other")])
    assert len(items(client, "MANIFEST/")) == 40 // (points.LISTED + 1)
    assert steps(runs, run_id) == steps(runs, run_id, "other") == list(range(2000))
    assert steps(runs, run_id, "none") == []
    header = items(client, "HEADER")
    assert max(len(item["doc"]["S"]) for item in header) < 2_000


def test_a_page_reads_only_the_chunks_that_it_needs(runs: Runs, run_id: str, faults: Faults) -> None:
    for number in range(60):
        runs.log_batch(run_id, batch(number * 30, 30))
    whole = list(runs.history(run_id, "m"))
    read: list[str] = []
    original = Table.get_many

    def counting(table: Table, keys: Any) -> Any:
        wanted = list(keys)
        read.extend(sk for _, sk in wanted if sk.startswith("CHUNK/"))
        return original(table, wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Table, "get_many", counting)
        page = list(islice(runs.history(run_id, "m", history_order(whole[1499])), 100))
    assert page == whole[1500:1600]
    assert len(read) <= 20


def test_points_of_a_writer_that_was_struck_down_are_no_part_of_the_run(
    runs: Runs, run_id: str, faults: Faults, client: DynamoDBClient
) -> None:
    faults.refuse("PutItem", "ThrottlingException", *range(1, 4))  # the chunk is written, the header never
    with pytest.raises(Throttled):
        runs.log_batch(run_id, batch(0, 50))
    assert faults.struck and len(items(client, "CHUNK/")) == 1
    assert steps(runs, run_id) == [] and runs.get(run_id).metrics == {}
    runs.log_batch(run_id, batch(0, 50))
    assert steps(runs, run_id) == list(range(50))
    assert len(items(client, "CHUNK/")) == 1


def test_a_batch_repeated_is_one_chunk(runs: Runs, run_id: str, client: DynamoDBClient) -> None:
    for _ in range(3):
        runs.log_batch(run_id, batch(0, 50))
    assert len(items(client, "CHUNK/")) == 1 and len(steps(runs, run_id)) == 50


def test_a_lost_chunk_is_told_and_not_passed_over(runs: Runs, run_id: str, client: DynamoDBClient) -> None:
    runs.log_batch(run_id, batch(0, 50))
    (chunk,) = items(client, "CHUNK/")
    client.delete_item(TableName=NAME, Key={"pk": chunk["pk"], "sk": chunk["sk"]})
    with pytest.raises(LookupError, match="lost the chunk"):
        list(runs.history(run_id, "m"))


def test_of_very_long_histories_a_sample_reads_some_chunks(
    runs: Runs, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        runs.log_batch(run_id, batch(number * 50, 50))
    exact = [point.step for point in runs.samples(run_id, "m", None, 10)]
    monkeypatch.setattr(points, "MOST_SAMPLED", 300)
    some = [point.step for point in runs.samples(run_id, "m", None, 10)]
    assert exact[0] == some[0] == 0 and exact[-1] == some[-1] == 1499
    assert some == sorted(set(some)) and len(some) == 10
    assert max(b - a for a, b in pairwise(some)) < 500


value = st.sampled_from([math.nan, 0.0, -1.5, 1e308, math.inf, 3.0])
logged = st.lists(
    st.lists(
        st.builds(Metric, st.sampled_from("ab"), value, st.integers(0, 50), st.integers(-3, 3)), min_size=1, max_size=40
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(batches=logged, at=st.integers(0, 400))
def test_whatever_is_logged_is_in_the_history_once_and_in_order(batches: list[list[Metric]], at: int) -> None:
    class Store(dict[tuple[str, str], Any]):
        """The table, as far as points need it."""

        def get_many(self, keys: Any) -> Any:
            wanted = list(keys)
            return {key: Item(key[0], key[1], self[key], 1) for key in wanted if key in self}

        def query(self, pk: str, prefix: str) -> Any:
            return (
                Item(key[0], key[1], self[key], 1) for key in sorted(self) if key[0] == pk and key[1].startswith(prefix)
            )

    store = Store()
    header: Any = {"tail": {}, "chunks": [], "spilled": 0}
    for metrics in [*batches, *batches[:2]]:
        header, puts, pages = points.added("r", header, metrics)
        writes: list[Put | Create] = [*puts, *pages]
        for write in writes:
            assert isinstance(write, Put) or (write.pk, write.sk) not in store
            store[write.pk, write.sk] = json.loads(write.doc) if isinstance(write.doc, str) else write.doc
    table: Any = store
    for key in "ab":
        expected = sorted(
            {history_order(m): m for metrics in batches for m in metrics if m.key == key}.items(),
            key=lambda pair: pair[0],
        )
        found = list(points.history(table, "r", header, key))
        assert [history_order(point) for point in found] == [position for position, _ in expected]
        if at < len(found):
            rest = points.history(table, "r", header, key, history_order(found[at]))
            assert [history_order(p) for p in rest] == [history_order(p) for p in found[at + 1 :]]
