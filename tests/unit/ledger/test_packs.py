"""Runs in packs: a search sees every run once, as it is, whatever is packed or changed meanwhile."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from labcycle_lambdas.ledger import packs
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.points import Metric
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Changed, Exists, Table
from tests.unit.ledger.conftest import NAME, Clock, Faults

NOW = 1_800_000_000_000
ENOUGH = 7  # instead of 32, for the sake of time


@pytest.fixture
def runs(table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setattr(packs, "RUNS_A_PACK", ENOUGH)
    return Runs(table, clock, Experiments(table, "s3://bucket/experiments", clock))


def make(runs: Runs, count: int, *, end: bool = True) -> list[str]:
    made = []
    for number in range(count):
        run = runs.create(experiment_id="0", user_id="u", run_name=f"run {number}", start_time=number)
        runs.log_batch(run.run_id, [Metric("loss", number / 7, number, number)], {"depth": str(number)}, {"t": "x"})
        if end:
            runs.update(run.run_id, status="FINISHED", end_time=number + 1)
        made.append(run.run_id)
    return made


def seen(runs: Runs) -> dict[str, Run]:
    listed = list(runs.of_experiment("0"))
    found = {run.run_id: run for run in listed}
    assert len(found) == len(listed), "a run is shown twice"
    return found


def pack(table: Table) -> bool:
    return packs.pack(table, "0", NOW)


def void(value: object) -> None: ...


def marked(client: DynamoDBClient) -> int:
    return sum(item["sk"]["S"].startswith("DIRTY/") for item in client.scan(TableName=NAME)["Items"])


def test_packed_runs_are_shown_as_they_were(runs: Runs, table: Table, client: DynamoDBClient) -> None:
    made = make(runs, ENOUGH + 3)
    before = seen(runs)
    assert set(before) == set(made)
    assert pack(table)
    assert marked(client) == 3
    assert seen(runs) == before == {run_id: runs.get(run_id) for run_id in made}
    assert not pack(table)  # too few are left


def test_a_packed_run_that_changes_is_shown_changed(runs: Runs, table: Table, client: DynamoDBClient) -> None:
    made = make(runs, ENOUGH)
    assert pack(table) and marked(client) == 0
    runs.log_batch(made[0], tags={"t": "y"})
    runs.log_batch(made[1], [Metric("loss", -1.0, 99, 99)])
    runs.log_batch(made[2], params={"new": "p"})
    runs.update(made[3], run_name="other")
    runs.delete(made[4])
    runs.log_outputs(made[5], [("m-1", 0)])
    runs.delete_tag(made[6], "t")
    assert marked(client) == 7
    found = seen(runs)
    assert found == {run_id: runs.get(run_id) for run_id in made}
    assert found[made[0]].tags["t"] == "y" and found[made[1]].metrics == {"loss": -1.0}
    assert found[made[4]].lifecycle_stage == "deleted" and "t" not in found[made[6]].tags
    runs.log_batch(made[0], tags={"t": "y"})  # what is there already changes nothing
    assert marked(client) == 7


def test_runs_packed_again_stand_in_the_later_pack(runs: Runs, table: Table) -> None:
    made = make(runs, ENOUGH)
    pack(table)
    for run_id in made:
        runs.log_batch(run_id, tags={"t": "later"})
    assert pack(table)
    found = seen(runs)
    assert set(found) == set(made)
    assert {run.tags["t"] for run in found.values()} == {"later"}


def test_a_run_that_goes_on_is_packed_when_it_was_quiet_for_an_hour(runs: Runs, table: Table, clock: Clock) -> None:
    make(runs, ENOUGH, end=False)
    now = int(clock.at.timestamp() * 1000)
    assert not packs.pack(table, "0", now)
    assert packs.pack(table, "0", now + packs.QUIET_MS + 1)


def test_runs_that_cannot_be_packed_are_not_in_the_way(
    runs: Runs, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "RUNS_A_PACK", 3)
    monkeypatch.setattr(packs, "_LOOKED_AT", 4)
    for run_id in [f"a{n}" for n in range(6)] + [f"b{n}" for n in range(4)]:
        runs.create(experiment_id="0", user_id="u", run_id=run_id)
        if run_id[0] == "b":
            runs.update(run_id, status="FAILED")
    assert not packs.pack(table, "0", 0, near="a")
    assert packs.pack(table, "0", 0, near="b")


@pytest.mark.parametrize("what", ["tag", "metric", "delete"])
def test_a_change_while_it_is_packed_is_not_lost(runs: Runs, table: Table, faults: Faults, what: str) -> None:
    made = make(runs, ENOUGH)
    change: dict[str, Callable[[], None]] = {
        "tag": lambda: runs.log_batch(made[5], tags={"t": "meanwhile"}),
        "metric": lambda: runs.log_batch(made[5], [Metric("loss", 5.0, 500, 500)]),
        "delete": lambda: runs.delete(made[5]),
    }
    faults.before("TransactWriteItems", 0, change[what])
    with pytest.raises(Changed):
        pack(table)
    assert faults.struck
    assert seen(runs)[made[5]] == runs.get(made[5])
    assert pack(table)
    assert seen(runs) == {run_id: runs.get(run_id) for run_id in made}


def test_what_is_packed_while_a_search_reads_is_shown_once(runs: Runs, table: Table, faults: Faults) -> None:
    made = make(runs, ENOUGH)
    faults.before("BatchGetItem", 0, lambda: void(pack(table)))  # the marks are read, the runs are not
    assert set(seen(runs)) == set(made)
    assert faults.struck and [item.sk for item in table.query("RUNS#0")] == ["PACK/00000001"]


def test_a_lost_answer_of_the_packing_is_no_loss(runs: Runs, table: Table, faults: Faults) -> None:
    made = make(runs, ENOUGH)
    faults.lose_answer("TransactWriteItems", 0)
    pack(table)
    assert faults.struck
    assert seen(runs) == {run_id: runs.get(run_id) for run_id in made}


def test_only_one_of_two_packs_the_same(runs: Runs, table: Table, faults: Faults) -> None:
    made = make(runs, ENOUGH)
    faults.before("TransactWriteItems", 0, lambda: void(pack(table)))
    with suppress(Changed, Exists):
        pack(table)
    assert set(seen(runs)) == set(made)
    assert len([item for item in table.query("RUNS#0", packs.PACK)]) == 1


def test_what_is_too_large_stays_outside(runs: Runs, table: Table, client: DynamoDBClient) -> None:
    made = make(runs, ENOUGH)
    for run_id in made[:2]:
        runs.log_batch(run_id, params={f"p{n}": f"{random.Random(n).getrandbits(20_000):x}" for n in range(60)})
    assert pack(table)
    assert marked(client) > 0
    assert seen(runs) == {run_id: runs.get(run_id) for run_id in made}


def test_more_metrics_than_the_header_has_room_for(runs: Runs, table: Table) -> None:
    made = make(runs, ENOUGH)
    many = [Metric(f"metric {n}", float(n), n, n) for n in range(300)]
    for run_id in made[:3]:
        runs.log_batch(run_id, many)
    runs.log_batch(made[0], [Metric("metric 299", 1.5, 1000, 1000), Metric("metric 0", math.nan, 1000, 1000)])
    run = runs.get(made[0])
    assert len(run.metrics) == 301 and run.metrics["metric 299"] == 1.5 and math.isnan(run.metrics["metric 0"])
    pack(table)
    found = seen(runs)
    assert found[made[1]] == runs.get(made[1]) and len(found[made[2]].metrics) == 301
    assert found[made[0]].metrics["metric 299"] == 1.5


def test_deleting_the_experiment_hides_packed_runs_too(runs: Runs, table: Table, clock: Clock) -> None:
    made = make(runs, ENOUGH)
    pack(table)
    experiments = Experiments(table, "s3://bucket/experiments", clock)
    experiments.delete("0")
    assert {run.lifecycle_stage for run in seen(runs).values()} == {"deleted"}
    with pytest.raises(Refused):
        runs.log_batch(made[0], tags={"t": "y"})
    experiments.restore("0")
    runs.delete(made[0])
    assert [run.run_id for run in seen(runs).values() if run.lifecycle_stage == "deleted"] == [made[0]]


def test_any_order_of_changes_and_packings_shows_what_the_runs_are(runs: Runs, table: Table) -> None:
    chance = random.Random(4)
    made = make(runs, ENOUGH + 3)
    for step in range(80):
        run_id = chance.choice(made)
        with suppress(Refused):
            match chance.randrange(7):
                case 0:
                    runs.log_batch(run_id, [Metric("loss", chance.random(), step, step)])
                case 1:
                    runs.log_batch(run_id, tags={"t": str(step)})
                case 2:
                    runs.delete(run_id)
                case 3:
                    runs.restore(run_id)
                case 4:
                    runs.update(run_id, run_name=f"name {step}")
                case _:
                    with suppress(Changed):
                        pack(table)
    assert seen(runs) == {run_id: runs.get(run_id) for run_id in made}
