"""A shadow in the record, and what is counted of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import InUse, NotFound, Refused
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.shadows import Comparison, Offered, Seen, Shadows
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.traffic import Tally
from tests.unit.ledger.conftest import Clock
from tests.unit.ledger.test_deployments import MODEL, REVIEWER, actions, version
from tests.unit.ledger.test_trials import sides


@pytest.fixture
def deployments(table: Table, clock: Clock) -> Deployments:
    Registry(table, clock).register(MODEL)
    made = Deployments(table, clock)
    made.promote(MODEL, version(table), REVIEWER)
    return made


def shadow(deployments: Deployments) -> tuple[int, int] | None:
    found = deployments.current(MODEL).shadow
    return (found.deployed.version, found.percent) if found else None


def test_a_shadow_stands_beside_the_live_version(table: Table, deployments: Deployments) -> None:
    two = version(table)
    assert deployments.begin_shadow(MODEL, two, 100, REVIEWER, reason="before the holidays").changed
    assert (sides(deployments), shadow(deployments)) == ((1, None, None), (2, 100))
    begun = deployments.current(MODEL)
    assert begun.shadow
    assert (begun.generation, replace(begun.shadow.deployed, promoted_at="", promoted_by="")) == (2, two)
    event = Custody(table).events(f"model/{MODEL}")[-1]
    assert (event.action, event.detail) == (
        "shadow_started",
        {
            "version": 2,
            "percent": 100,
            "live_version": 1,
            "model_sha256": two.model_file.sha256,
            "reason": "before the holidays",
        },
    )
    assert not deployments.begin_shadow(MODEL, two, 100, REVIEWER).changed
    assert deployments.begin_shadow(MODEL, two, 10, REVIEWER).changed
    narrower = deployments.current(MODEL).shadow
    assert narrower
    assert (narrower.percent, narrower.deployed) == (10, begun.shadow.deployed), "it is compared since then"
    anew = deployments.begin_shadow(MODEL, replace(two, reference=None), 10, REVIEWER).deployment.shadow
    assert anew
    assert anew.deployed.promoted_at > narrower.deployed.promoted_at, "with another detail it is another comparison"
    assert [deployments.end_shadow(MODEL, REVIEWER).changed for _ in range(2)] == [True, False]
    assert shadow(deployments) is None
    assert actions(table)[-4:] == ["shadow_started", "shadow_changed", "shadow_changed", "shadow_ended"]


@pytest.mark.parametrize("answers", ["promote", "try_out"])
def test_a_version_that_answers_is_no_shadow_any_longer(table: Table, deployments: Deployments, answers: str) -> None:
    two = version(table)
    deployments.begin_shadow(MODEL, two, 50, REVIEWER)
    if answers == "promote":
        deployments.promote(MODEL, two, REVIEWER)
    else:
        deployments.try_out(MODEL, two, 10, REVIEWER)
    assert shadow(deployments) is None
    assert Custody(table).events(f"model/{MODEL}")[-1].detail["shadow_ended"] == 2


def test_it_stays_whatever_others_do(table: Table, deployments: Deployments) -> None:
    two, three = version(table), version(table)
    deployments.begin_shadow(MODEL, two, 50, REVIEWER)
    steps: list[Callable[[], object]] = [
        lambda: deployments.try_out(MODEL, three, 10, REVIEWER),
        lambda: deployments.roll_back(MODEL, REVIEWER),
        lambda: deployments.promote(MODEL, three, REVIEWER),
        lambda: deployments.pause(MODEL, 1, REVIEWER),
        lambda: deployments.resume(MODEL, REVIEWER),
        lambda: deployments.roll_back(MODEL, REVIEWER),
    ]
    for step in steps:
        step()
        assert shadow(deployments) == (2, 50)
    assert not any("shadow_ended" in event.detail for event in Custody(table).events(f"model/{MODEL}"))


def test_what_comes_back_by_a_roll_back_is_no_shadow_any_longer(table: Table, deployments: Deployments) -> None:
    two = version(table)
    first = deployments.current(MODEL).live
    assert first
    deployments.promote(MODEL, two, REVIEWER)
    deployments.begin_shadow(MODEL, first, 100, REVIEWER)
    assert sides(deployments)[0] == 2
    deployments.roll_back(MODEL, REVIEWER)
    assert (sides(deployments)[0], shadow(deployments)) == (1, None)
    event = Custody(table).events(f"model/{MODEL}")[-1]
    assert (event.action, event.detail["shadow_ended"]) == ("rolled_back", 1)


def test_a_shadow_of_its_own_kind_is_refused(table: Table, clock: Clock, deployments: Deployments) -> None:
    two, three = version(table), version(table)
    live = deployments.current(MODEL).live
    assert live
    with pytest.raises(Refused, match=r"Version 1 of .* is live: it answers requests already"):
        deployments.begin_shadow(MODEL, live, 100, REVIEWER)
    deployments.try_out(MODEL, two, 10, REVIEWER)
    with pytest.raises(Refused, match=r"Version 2 of .* is the canary: it answers"):
        deployments.begin_shadow(MODEL, two, 100, REVIEWER)
    deployments.begin_shadow(MODEL, three, 100, REVIEWER)
    four = version(table)
    with pytest.raises(Refused, match=r"Version 3 of .* is the shadow: end that first .*--off"):
        deployments.begin_shadow(MODEL, four, 100, REVIEWER)
    with pytest.raises(InUse, match="is the shadow: end that first"):
        Registry(table).delete_version(MODEL, 3, REVIEWER)
    deployments.end_shadow(MODEL, REVIEWER)
    Registry(table).delete_version(MODEL, 3, REVIEWER)
    with pytest.raises(NotFound):
        deployments.begin_shadow(MODEL, three, 100, REVIEWER)
    Registry(table, clock).register("other")
    with pytest.raises(Refused, match="No version of other is live"):
        deployments.begin_shadow("other", four, 100, REVIEWER)


OF = Comparison(2, "2026-03-01T12:00:00.000000Z", 1)


def seen(requests: int, **more: float | str) -> Seen:
    found = Seen(rows=requests, **more)  # type: ignore[arg-type]
    for _ in range(requests):
        found.tally.count(7.0, failed=False)
        found.live.count(3.0, failed=False)
    return found


def test_sums_of_all_sandboxes_and_of_one_comparison_alone(table: Table, clock: Clock) -> None:
    shadows, start = Shadows(table), clock()
    of = OF._replace(since=start.isoformat())
    shadows.write(MODEL, of, "a", 1, start, seen(5, same=4))
    shadows.write(MODEL, of, "a", 1, start, seen(6, same=5))
    shadows.write(MODEL, of, "b", 1, start + timedelta(minutes=5), seen(2, numbers=2, difference=0.5, problem="last"))
    shadows.write(MODEL, of, "a", 1, start, Offered(9, too_large=1))
    shadows.write(MODEL, of, "b", 1, start - timedelta(seconds=3), Offered(1, not_taken=1))
    for other in (of._replace(version=3), of._replace(since="2026-01-01"), of._replace(live_version=3)):
        shadows.write(MODEL, other, "c", 1, start, seen(100))
        shadows.write(MODEL, other, "c", 1, start, Offered(100))
    offered, found = shadows.read(MODEL, of)
    assert offered == Offered(10, too_large=1, not_taken=1)
    assert (found.rows, found.same, found.numbers, found.difference, found.problem) == (8, 5, 2, 0.5, "last")
    tally = Tally()
    for _ in range(8):
        tally.count(7.0, failed=False)
    assert (found.tally, found.live.milliseconds(1.0)) == (tally, 3.0)


def test_a_request_is_new_once(table: Table, clock: Clock) -> None:
    shadows = Shadows(table)
    assert [shadows.is_first(MODEL, OF, "request-1", clock()) for _ in range(2)] == [True, False]
    assert shadows.is_first(MODEL, OF, "request-2", clock())
    assert shadows.is_first(MODEL, OF._replace(since="2026-04-01"), "request-1", clock())
    assert shadows.is_first("other", OF, "request-1", clock())
