"""Lead time, deployments and roll backs, out of the chain of custody."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.custody import Event
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.lifecycle import pace
from labcycle_lambdas.lifecycle.pace import Facts, facts, figures, together
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from tests.unit.serving.workshop import MODEL, REVIEWER, TABLE, TEAM, World, classifier, request

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = 3_600.0


def told(*events: tuple[float, str, dict[str, Any]]) -> list[Event]:
    """Events so many days ago."""
    who: dict[str, str | None] = {"member": "ada", "role": "r", "session": "s"}
    return [
        Event("model/m", number, stamp(NOW - timedelta(days=days)), action, who, detail, "", "")
        for number, (days, action, detail) in enumerate(events, 1)
    ]


def registered(days: float, version: int) -> tuple[float, str, dict[str, Any]]:
    return days, "registered", {"version": version}


def promoted(days: float, version: int) -> tuple[float, str, dict[str, Any]]:
    return days, "promoted", {"version": version}


def rolled_back(days: float, version: int, previous: int) -> tuple[float, str, dict[str, Any]]:
    return days, "rolled_back", {"version": version, "previous_version": previous}


def test_lead_time_is_from_registration_to_the_first_time_live() -> None:
    events = told(
        *(registered(20, 1), registered(19, 2), promoted(18, 1), promoted(17.5, 2)),
        *(rolled_back(17, 1, 2), promoted(10, 2), (9, "tag_set", {"version": 2, "key": "a"})),
    )
    found = facts(events, 90, NOW)
    assert found == Facts(90, 2, 3, 1, 1, (2 * 24 * HOUR, 1.5 * 24 * HOUR))


def test_each_roll_back_counts_against_the_promotion_of_what_was_live() -> None:
    events = told(
        *(registered(9, version) for version in (1, 2, 3)),
        *(promoted(8, 1), promoted(7, 2), promoted(6, 3), rolled_back(5, 2, 3), rolled_back(4, 1, 2)),
    )
    found = facts(events, 90, NOW)
    assert (found.deployments, found.rolled_back, found.rollbacks) == (3, 2, 2)
    again = facts([*events, *told(promoted(3, 3))], 90, NOW)
    assert (again.deployments, again.rolled_back, again.rollbacks) == (4, 2, 2)


def test_only_what_happened_in_the_period_counts() -> None:
    events = told(registered(50, 1), registered(40, 2), promoted(35, 1), promoted(20, 2), promoted(10, 1))
    found = facts(events, 30, NOW)
    assert found == Facts(30, 0, 2, 0, 0, (20 * 24 * HOUR,))
    late = told(registered(50, 1), registered(49, 2), promoted(45, 1), promoted(40, 2), rolled_back(5, 1, 2))
    assert facts(late, 30, NOW) == Facts(30, 0, 0, 0, 1, ())


def test_an_event_that_was_changed_into_nonsense_counts_for_no_version() -> None:
    events = told(
        (9, "registered", {"version": "x"}), (8, "promoted", {}), (7, "rolled_back", {"previous_version": []})
    )
    assert facts(events, 90, NOW) == Facts(90, 0, 1, 0, 1, ())


def test_figures_of_nothing_divide_by_nothing() -> None:
    found = figures(Facts(90))
    assert (found["deployments_per_30_days"], found["rollbacks_per_30_days"]) == (0, 0)
    for name in ("median_lead_time_seconds", "longest_lead_time_seconds", "rolled_back_share"):
        assert found[name] is None
    assert found["iterations_per_deployed_version"] is None


def test_figures_of_a_team_are_of_all_its_promotions() -> None:
    one = Facts(60, registered=5, deployments=3, rolled_back=1, rollbacks=1, lead_times_seconds=(10.0, 90.0))
    other = Facts(60, registered=1, deployments=1, lead_times_seconds=(20.0,))
    found = figures(together(60, [one, other]))
    assert (found["median_lead_time_seconds"], found["longest_lead_time_seconds"]) == (20.0, 90.0)
    assert (found["deployments_per_30_days"], found["rollbacks_per_30_days"]) == (2.0, 0.5)
    assert (found["rolled_back_share"], found["iterations_per_deployed_version"]) == (0.25, 2.0)


@pytest.fixture
def api(world: World) -> Lifecycle:
    return Lifecycle(world.table, world.preflight, Members(TEAM))


def get(api: Lifecycle, path: str, **query: str) -> tuple[int, dict[str, Any]]:
    asked = replace(request("GET", f"/labcycle/1.0/{path}"), query=list(query.items()))
    answer = api.answer(asked)
    return answer.status, dict(json.loads(answer.to_event()["body"]))


def test_a_model_is_followed_through_its_names(world: World, api: Lifecycle) -> None:
    world.register(classifier(), name="draft")
    Registry(world.table).rename("draft", MODEL, REVIEWER)
    world.promote(1)
    status, said = get(api, f"models/{MODEL}/pace")
    assert (status, said["model"], said["days"], said["verified"]) == (200, MODEL, 90, True)
    assert (said["registered"], said["deployments"], len(said["lead_times_seconds"])) == (1, 1, 1)


def test_a_broken_chain_is_told(world: World, api: Lifecycle) -> None:
    world.register(classifier())
    world.promote(1)
    key = {"pk": {"S": f"CUSTODY#model/{MODEL}"}, "sk": {"S": f"{2:012d}"}}
    world.dynamodb.delete_item(TableName=TABLE, Key=key)
    assert get(api, f"models/{MODEL}/pace")[1]["verified"] is False


def test_of_a_team_each_model_and_all_together_are_told(
    world: World, api: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        world.register(classifier(), name=name)
    world.promote(1, "b")
    said = get(api, "pace", days="7")[1]
    assert [(one["model"], one["days"], one["deployments"]) for one in said["models"]] == [
        ("a", 7, 0),
        ("b", 7, 1),
        ("c", 7, 0),
    ]
    assert (said["together"]["registered"], said["together"]["iterations_per_deployed_version"]) == (3, 3.0)
    assert said["whole"] is True
    monkeypatch.setattr(pace, "MOST_MODELS", 2)
    said = get(api, "pace")[1]
    assert ([one["model"] for one in said["models"]], said["whole"]) == (["a", "b"], False)


@pytest.mark.parametrize("days", ["0", "-1", "3651", "ten", "", "9" * 5_000, "00000009012345", "٣"])
def test_days_that_are_none_are_refused(api: Lifecycle, days: str) -> None:
    status, said = get(api, "pace", days=days)
    assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "from 1 to 3650" in said["message"]
