"""What the life cycle API tells of a model's servers, from servers that really counted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.ledger.usage import Usage, Used
from labcycle_lambdas.lifecycle import usage
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.model_server.metering import WINDOW_SECONDS, Metering
from tests.unit.model_server.bench import SPLIT, Bench
from tests.unit.serving.workshop import MODEL, REVIEWER, TEAM, World, classifier, request

SIZE = {"runtime": "fargate", "cpu": 1024, "memory_mb": 2048}
DELIVERY = {**SIZE, "minimum_tasks": 2, "maximum_tasks": 6}
NOW = datetime.now(UTC)


def api(world: World, runs_on: dict[str, Any] | None = DELIVERY) -> Lifecycle:
    preflight = replace(world.preflight, server_runs_on=lambda model: runs_on)
    return Lifecycle(world.table, preflight, Members(TEAM))


def asked(made: Lifecycle, days: str = "7", model: str = MODEL) -> tuple[int, dict[str, Any]]:
    plain = request("GET", f"/labcycle/1.0/models/{model}/usage")
    answer = made.answer(replace(plain, query=[("days", days)]))
    return answer.status, dict(json.loads(answer.to_event()["body"]))


def write(world: World, sandbox: str, number: int, at: datetime, **figures: Any) -> None:
    tally = Tally()
    for _ in range(figures.pop("requests", 10)):
        tally.count(20, failed=False)
    used = Used(**{"runs_on": SIZE, "seconds": 900.0, "answered_ms": 200.0, "cpu_ms": 100.0, **figures}, tally=tally)
    Usage(world.table).write(MODEL, sandbox, number, at, used)


def metered(world: World, sandbox: str, *, cpu_ms_a_second: float = 0.0) -> Bench:
    """A server that counts into the ledger, a day ago; its processor works all the time."""
    bench = Bench(world)
    bench.clock.start = NOW - timedelta(days=1)
    clock, began = bench.clock, bench.clock.monotonic()
    metering = Metering(
        Usage(world.table),
        MODEL,
        sandbox,
        SIZE,
        monotonic=clock.monotonic,
        now=clock.now,
        cpu_ms=lambda: (clock.monotonic() - began) * cpu_ms_a_second,
        peak_mb=lambda: 321,
    )
    bench.server = replace(bench.server, metering=metering)
    return bench


def test_what_servers_counted_is_told(world: World) -> None:
    benches = [metered(world, name, cpu_ms_a_second=250) for name in ("a", "b")]
    benches[0].serve(classifier())
    for bench in benches:
        for _ in range(5):
            for _ in range(4):
                assert bench.ask(SPLIT).status == 200
            bench.clock.pass_seconds(WINDOW_SECONDS)
        assert bench.ask({"no": "rows"}).status == 400
    status, said = asked(api(world))
    assert (status, said["runs_on"], said["whole"]) == (200, DELIVERY, True)
    assert {name: said[name] for name in ("requests", "failed", "starts", "servers", "most_servers_at_once")} == {
        "requests": 2 * (5 * 4 + 1),
        "failed": 0,
        "starts": 2,
        "servers": 2,
        "most_servers_at_once": 2,
    }
    assert (said["peak_memory_mb"], said["busiest_processors_a_server"]) == (321, 0.25)
    assert said["busiest_processors"] == 0.5
    assert said["observed_seconds"] >= 5 * WINDOW_SECONDS
    assert said["p99_ms"] == 1.0  # its clock stands still while it answers


def test_what_a_server_cannot_write_costs_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = metered(world, "a").serve(classifier())
    monkeypatch.setattr(Usage, "write", lambda *_: (_ for _ in ()).throw(ValueError("broken")))
    assert bench.ask(SPLIT).status == 200
    assert "what the server uses could not be written" in json.dumps(bench.log)


def test_failures_of_ours_are_told_from_mistakes_of_callers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = metered(world, "a").serve(classifier())
    bench.ask({"no": "rows"})
    monkeypatch.setattr("labcycle_lambdas.model_server.server.score", lambda *_: 1 / 0)
    assert bench.ask(SPLIT).status == 500
    assert bench.server.metering
    bench.server.metering.flush(all_of_it=True)
    said = asked(api(world))[1]
    assert (said["requests"], said["failed"]) == (2, 1)


def test_only_the_size_of_now_counts(world: World) -> None:
    world.register(classifier())
    write(world, "a", 1, NOW - timedelta(hours=3), runs_on={**SIZE, "cpu": 512}, peak_mb=900)
    write(world, "b", 1, NOW - timedelta(hours=2), began=True, peak_mb=300)
    said = asked(api(world))[1]
    assert (said["requests"], said["windows_of_other_sizes"], said["peak_memory_mb"]) == (10, 1, 300)
    assert (said["mean_ms"], said["cpu_ms_a_request"]) == (
        pytest.approx(200 / 9, abs=1e-3),
        pytest.approx(100 / 9, abs=1e-3),
    )
    said = asked(api(world, None))[1]
    assert (said["runs_on"], said["requests"], said["windows_of_other_sizes"]) == (None, 0, 2)


def test_the_days_that_are_asked_for_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register(classifier())
    for day in range(1, 6):
        write(world, "a", 6 - day, NOW - timedelta(days=day))
    assert asked(api(world))[1]["requests"] == 50
    assert asked(api(world), "2")[1]["requests"] == 10  # that of two days ago began before
    monkeypatch.setattr(usage, "MOST_WINDOWS", 2)
    said = asked(api(world))[1]
    assert (said["requests"], said["whole"]) == (20, False)
    assert said["since"] == said["first_at"]


def test_without_traffic_there_are_no_figures(world: World) -> None:
    world.register(classifier())
    said = asked(api(world))[1]
    assert (said["requests"], said["mean_ms"], said["peak_memory_mb"], said["needed_mb"]) == (0, None, None, None)


@pytest.mark.parametrize("days", ["0", "93", "many", "-1", "7.5", "007"])
def test_days_out_of_range_are_refused(world: World, days: str) -> None:
    world.register(classifier())
    status, said = asked(api(world), days)
    assert status == 400
    assert "must be a number from 1 to 92" in said["message"]


def test_a_model_that_is_not_there(world: World) -> None:
    assert asked(api(world), model="none")[0] == 404


def test_throttling_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register(classifier())
    refusal = {
        "Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }

    def refuse(**_: Any) -> None:
        raise ClientError(refusal, "Query")  # type: ignore[arg-type]

    made = api(world)
    monkeypatch.setattr(world.dynamodb, "query", refuse)
    assert asked(made)[0] == 429


@pytest.mark.parametrize("place", [None, "function", "process"])
def test_a_server_with_the_memory_that_is_needed_takes_the_version_again(world: World, place: str | None) -> None:
    """What `needed_mb` says is exactly where a promotion, or a shadow, begins to be refused."""
    large = {**classifier().files(), "weights.bin": b"0" * 40_000_000}
    for _ in range(2):
        world.register(large)
    world.promote(1)
    preflight = replace(world.preflight, shadow_place=lambda model: place)
    needed = preflight.needed_mb(MODEL)
    assert needed
    enough = replace(preflight, server_memory_mb=lambda model: needed)
    scarce = replace(preflight, server_memory_mb=lambda model: needed - 1)
    for as_shadow in (False, True):
        enough.prepare(MODEL, 2, as_shadow=as_shadow)
    with pytest.raises(Refused, match="too large for its model server"):
        for as_shadow in (False, True):
            scarce.prepare(MODEL, 2, as_shadow=as_shadow)


def test_what_stands_beside_the_live_version_needs_memory_too(world: World) -> None:
    for files in (b"0" * 1_000_000, b"0" * 9_000_000):
        world.register({**classifier().files(), "weights.bin": files})
    world.promote(1)
    alone = world.preflight.needed_mb(MODEL) or 0
    world.deployments.try_out(MODEL, world.preflight.prepare(MODEL, 2), 10, REVIEWER)
    assert (world.preflight.needed_mb(MODEL) or 0) - alone == 40
