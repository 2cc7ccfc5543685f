"""The history of a model that was renamed, or whose name was another model's before."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle_lambdas.ledger.custody import Custody, Event
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.table import Replace
from tests.unit.lineage.conftest import REVIEWER, Team
from tests.unit.lineage.test_explanation import register


@pytest.fixture
def registry(team: Team) -> Registry:
    return Registry(team.table)


def told(team: Team, model: str) -> list[tuple[str, str]]:
    said = team.get(f"models/{model}/explanation?version=1")
    assert (said["verified"], said["problems"]) == (True, [])
    return [(event["subject"].removeprefix("model/"), event["action"]) for event in said["events"]]


def test_a_model_brings_its_history_along(team: Team, registry: Registry) -> None:
    register(team, name="a")
    registry.rename("a", "b", REVIEWER)
    registry.set_tag("b", "k", "v", REVIEWER)
    registry.rename("b", "c", REVIEWER)
    assert told(team, "c") == [
        ("a", "created"),
        ("a", "registered"),
        ("a", "renamed"),
        ("b", "renamed_from"),
        ("b", "tag_set"),
        ("b", "renamed"),
        ("c", "renamed_from"),
    ]
    events = Custody(team.table).events("model/c")
    assert events[0].detail == {"old_name": "b", "uid": registry.model("c").uid}
    assert events[0].who["member"] == "reviewer-1"


def test_a_model_that_has_its_first_name_again(team: Team, registry: Registry) -> None:
    register(team, name="a")
    registry.rename("a", "b", REVIEWER)
    register(team, name="a")
    registry.delete("a", REVIEWER)
    registry.rename("b", "a", REVIEWER)
    mine = [("a", "created"), ("a", "registered"), ("a", "renamed"), ("b", "renamed_from"), ("b", "renamed")]
    assert told(team, "a") == [*mine, ("a", "renamed_from")]


def test_a_name_that_is_another_models_now(team: Team, registry: Registry) -> None:
    register(team, name="a")
    registry.rename("a", "b", REVIEWER)
    register(team, name="a")
    assert told(team, "a") == [("a", "created"), ("a", "registered")]
    assert told(team, "b")[:3] == [("a", "created"), ("a", "registered"), ("a", "renamed")]


def test_the_events_of_a_deleted_model_are_not_those_of_the_next_one(team: Team, registry: Registry) -> None:
    register(team, name="a")
    registry.delete("a", REVIEWER)
    register(team, name="a")
    assert told(team, "a") == [("a", "created"), ("a", "registered")]


@pytest.mark.parametrize("broken", ["a", "b"])
def test_the_chains_of_all_names_are_verified(
    team: Team, registry: Registry, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    register(team, name="a")
    registry.rename("a", "b", REVIEWER)
    verify = Custody.verify

    def found(custody: Custody, subject: str) -> list[str]:
        return [*verify(custody, subject), *(["broken"] if subject == f"model/{broken}" else [])]

    monkeypatch.setattr(Custody, "verify", found)
    said: Any = team.get("models/b/explanation")
    assert (said["verified"], said["problems"]) == (False, ["broken"])


def test_an_event_that_lost_its_detail_is_told(team: Team, registry: Registry) -> None:
    register(team, name="a")
    registry.rename("a", "b", REVIEWER)
    (item,) = [item for item in team.table.query("CUSTODY#model/b") if item.sk != "HEAD"]
    team.table.write(Replace(item, item.doc | {"detail": {}}))
    said = team.get("models/b/explanation")
    assert (said["verified"], len(said["problems"])) == (False, 1), said["problems"]


def test_what_no_event_tells_is_not_whole(team: Team, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    register(team, name="a")
    monkeypatch.setattr(Custody, "writes", lambda *_: [])  # as it was before a rename was told under the new name, too
    registry.rename("a", "b", REVIEWER)
    says = ["model/b: no event tells how the model came to this name"]
    said = team.get("models/b/explanation")
    assert (said["events"], said["verified"], said["problems"]) == ([], False, says)
    registry.set_tag("b", "k", "v", REVIEWER)
    said = team.get("models/b/explanation")
    assert (len(said["events"]), said["verified"], said["problems"]) == (1, False, says)


def test_a_chain_of_the_new_name_may_go_on_meanwhile(
    team: Team, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(team, name="a")
    custody, writes = Custody(team.table), Custody.writes
    interrupted: list[Event] = []

    def then_another_event(one: Custody, *what: Any) -> Any:
        made = writes(one, *what)
        if not interrupted:
            interrupted.append(custody.append("model/b", "tag_set", REVIEWER, {}))
        return made

    monkeypatch.setattr(Custody, "writes", then_another_event)
    registry.rename("a", "b", REVIEWER)
    assert [event.action for event in custody.events("model/a")] == ["created", "registered", "renamed"]
    assert [event.action for event in custody.events("model/b")] == ["tag_set", "renamed_from"]
    assert custody.verify("model/b") == []
