"""How a model fares, what a check would find, and the page, through the API."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.reactions import Beginning, Reactions
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.ledger.usage import Usage, Used
from labcycle_lambdas.lifecycle import live_window, monitoring
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.monitoring import check_at, standing_at
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from tests.unit.lifecycle.watched import START, Watched, at
from tests.unit.serving.workshop import BUCKET, MODEL, REVIEWER, TEAM, World, request

DRIFT = {"method": "psi", "limit": 0.2, "minimum_rows": 500, "persistence": 3, "every_minutes": 60, "window_hours": 24}
REACT = [{"on": ["drift"], "do": "retrain", "schedule": None, "time_zone": "Etc/UTC"}]
DECLARED: dict[str, Any] = {"business_owner": "head-of-cards", "monitor": {"drift": DRIFT}, "react": REACT}
RUNS_ON = {"runtime": "lambda", "memory_mb": 1024}


@pytest.fixture
def watched(world: World) -> Watched:
    made = Watched(world)
    made.promote()
    return made


@pytest.fixture
def api(world: World) -> Lifecycle:
    preflight = Preflight(
        world.table, world.s3, BUCKET, server_runs_on=lambda model: RUNS_ON, declared=lambda model: DECLARED
    )
    return Lifecycle(world.table, preflight, Members(TEAM))


def get(api: Lifecycle, path: str, **query: str) -> Response:
    return api.answer(replace(request("GET", f"/labcycle/1.0/{path}"), query=list(query.items())))


def document(response: Response) -> dict[str, Any]:
    return dict(json.loads(response.to_event()["body"]))


def call(api: Lifecycle) -> Call:
    return Call(api.table, api.preflight, api.members, request("GET", "/"), {"model": MODEL}, None)


def judged(subject: str, verdict: str, value: float | None = None) -> dict[str, Any]:
    return {"subject": subject, "verdict": verdict, "reason": "so", "figures": {"value": value, "limit": 0.9}}


def test_a_standing_has_verdicts_with_since_when(watched: Watched, api: Lifecycle) -> None:
    watched.evaluated(1, "stable", {"a": 0.01}, judgements=[judged("performance", "good", 0.95)])
    watched.evaluated(2, "drifting", {"a": 0.3}, judgements=[judged("performance", "not_enough_data")])
    watched.evaluated(3, "drifted", {"a": 0.5}, judgements=[judged("performance", "good", 0.93)])
    watched.evaluated(4, "not_enough_data", judgements=[judged("performance", "good", 0.92)])
    watched.evaluated(5, "drifted", {"a": 0.4, "b": 0.1}, judgements=[judged("performance", "good", 0.91)])
    said = standing_at(call(api), MODEL, at(5.5))
    drift, performance = said["subjects"]
    assert (drift["subject"], drift["verdict"], drift["since"], drift["since_whole"]) == (
        "drift",
        "drifted",
        "2026-11-20T15:00:00.000Z",
        True,
    )
    assert drift["figures"] == {"value": 0.4, "limit": 0.2}
    assert (performance["since"], performance["since_whole"]) == ("2026-11-20T13:00:00.000Z", False)
    assert [one["figures"]["drift"] for one in said["trend"]] == [0.01, 0.3, 0.5, None, 0.4]
    assert [one["figures"]["performance"] for one in said["trend"]] == [0.95, None, 0.93, 0.92, 0.91]
    assert said["next_evaluation_at"] == "2026-11-20T18:00:00.000Z"
    assert said["evaluation"]["features"] == {"a": 0.4, "b": 0.1}
    assert (said["business_owner"], said["live"]["version"]) == ("head-of-cards", 1)


def test_a_standing_starts_anew_with_another_version(watched: Watched, api: Lifecycle) -> None:
    watched.evaluated(1, "stable", {"a": 0.01})
    watched.evaluated(2, "stable", {"a": 0.01}, version=2)
    watched.evaluated(3, "stable", {"a": 0.01}, version=2)
    (drift,) = standing_at(call(api), MODEL, at(4))["subjects"]
    assert (drift["since"], drift["since_whole"]) == ("2026-11-20T14:00:00.000Z", True)


def test_a_standing_is_of_its_time(watched: Watched, api: Lifecycle) -> None:
    watched.evaluated(1, "stable", {"a": 0.01})
    watched.evaluated(2, "drifted", {"a": 1.0})
    assert standing_at(call(api), MODEL, at(1.5))["subjects"][0]["verdict"] == "stable"


def test_a_model_that_was_never_judged_has_an_empty_standing(watched: Watched, api: Lifecycle) -> None:
    said = document(get(api, f"models/{MODEL}/monitoring"))
    assert (said["subjects"], said["trend"], said["evaluation"], said["next_evaluation_at"]) == ([], [], None, None)
    Registry(watched.world.table).register("idle")
    assert document(get(api, "models/idle/monitoring"))["live"] is None
    assert get(api, "models/none/monitoring").status == 404


def test_requests_of_the_last_day_are_counted(watched: Watched, api: Lifecycle) -> None:
    tally = Tally()
    for milliseconds in (4, 4, 40):
        tally.count(milliseconds, failed=milliseconds == 40)
    for hour in (-2, 30):  # the first is older than a day
        Usage(watched.world.table).write(MODEL, "sandbox", 1, at(hour), Used(RUNS_ON, tally, seconds=60))
    said = standing_at(call(api), MODEL, at(31))["requests"]
    assert said == {"requests": 3, "failed": 1, "p50_ms": 5.0, "p99_ms": 50.0, "whole": True}
    silent = replace(api, preflight=watched.world.preflight)
    assert standing_at(call(silent), MODEL, at(31))["requests"] is None


def test_a_reaction_under_way_and_its_cool_down_are_told(watched: Watched, api: Lifecycle) -> None:
    reactions = Reactions(watched.world.table, Custody(watched.world.table))
    reactions.begin(MODEL, "e-1", at(1), Beginning("retrain", timedelta(hours=2), {}), REVIEWER)
    assert standing_at(call(api), MODEL, at(2))["reaction"] == {
        "under_way": "e-1",
        "until": "2026-11-20T15:00:00.000Z",
        "cool_downs": {},
        "policies": REACT,
    }
    assert standing_at(call(api), MODEL, at(4))["reaction"]["under_way"] is None
    reactions.end(MODEL, "e-1", "kept", do="retrain", cool_down_until=at(26))
    assert standing_at(call(api), MODEL, at(4))["reaction"]["cool_downs"] == {"retrain": "2026-11-21T14:00:00.000Z"}
    assert standing_at(call(api), MODEL, at(27))["reaction"]["cool_downs"] == {}


def test_the_team_comes_in_pages(watched: Watched, api: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "MOST_MODELS", 1)
    Registry(watched.world.table).register("zebra")
    first = document(get(api, "monitoring"))
    second = document(get(api, "monitoring", after=first["next"]))
    assert [[one["model"] for one in page["models"]] for page in (first, second)] == [[MODEL], ["zebra"]]
    assert (first["team"], second["next"]) == (TEAM, None)
    assert get(api, "monitoring", after="x" * 2_000).status == 400


def test_a_check_judges_the_window_that_is_asked_for(watched: Watched, api: Lifecycle) -> None:
    watched.flows(1, rows=600)
    watched.flows(20, rows=600, shift=5.0)
    whole = check_at(call(api), MODEL, None, at(21))
    assert (whole["hours"], whole["rows"], whole["since"]) == (24, 1_200, "2026-11-20T12:00:00.000Z")
    recent = check_at(call(api), MODEL, 2, at(21))
    assert (recent["rows"], recent["verdict"], recent["threshold"]) == (600, "drifting", 0.2)
    first = recent["columns"][0]
    assert first["name"] == "mean radius" and first["figure"] == first["psi"] > whole["columns"][0]["figure"] > 0.2
    assert len(first["labels"]) == len(first["live"]) == len(first["reference"])
    assert (sum(first["live"]), sum(first["reference"])) == (600, 60)
    early = check_at(call(api), MODEL, 24, at(2))
    assert early["verdict"] == "stable" and early["rows"] == 600  # what came later is not seen
    assert check_at(call(api), MODEL, 1, at(10))["reason"] == "0 rows of at least 500"


def test_a_check_records_nothing(watched: Watched, api: Lifecycle) -> None:
    watched.flows(1, shift=5.0)
    before = watched.world.dynamodb.scan(TableName="ledger")["Items"]
    check_at(call(api), MODEL, 24, at(2))
    assert watched.world.dynamodb.scan(TableName="ledger")["Items"] == before


def test_a_check_that_reads_too_much_says_from_when(
    watched: Watched, api: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_window, "MOST_PROFILES", 2)
    for hour in (1, 2, 3):
        watched.flows(hour, rows=10)
    said = check_at(call(api), MODEL, 24, at(4))
    assert (said["rows"], said["whole"], said["since"]) == (20, False, "2026-11-20T14:00:00.000Z")


@pytest.mark.parametrize("hours", ["0", "745", "x", "-1", "1.5"])
def test_hours_are_refused_outside_their_range(watched: Watched, api: Lifecycle, hours: str) -> None:
    said = get(api, f"models/{MODEL}/monitoring/check", hours=hours)
    assert said.status == 400 and "from 1 to 744" in document(said)["message"]


def test_a_check_without_anything_to_compare_says_so(world: World, api: Lifecycle) -> None:
    model = Watched(world)
    Registry(world.table).register("idle")
    said = get(api, "models/idle/monitoring/check")
    assert (said.status, "no live version" in document(said)["message"]) == (404, True)
    model.promote(reference=False)
    said = get(api, f"models/{MODEL}/monitoring/check")
    assert (said.status, "logged no reference.json" in document(said)["message"]) == (404, True)


def test_the_report_is_a_page(watched: Watched, api: Lifecycle) -> None:
    watched.flows(1, shift=5.0)
    watched.evaluated(1, "stable", {"mean radius": 0.01})
    watched.evaluated(2, "drifted", watched.figures())
    said = get(api, f"models/{MODEL}/monitoring/report")
    assert said.status == 200
    assert said.all_headers["content-type"] == "text/html; charset=utf-8"
    assert said.all_headers["content-security-policy"].startswith("default-src 'none'")
    page = str(said.content)
    assert page.startswith("<!doctype html>") and "mean radius: now and in training" in page
    assert "2026-11-20 14:00 UTC" in page and "promoted version 1" not in page  # that was before the first evaluation
    earlier = str(get(api, f"models/{MODEL}/monitoring/report", at="2026-11-20T13:30:00Z").content)
    assert "Evaluation of 2026-11-20 13:00 UTC" in earlier and "it is stable" in earlier


def test_the_report_marks_what_was_decided_meanwhile(watched: Watched, api: Lifecycle) -> None:
    watched.evaluated(-1, "stable", {"mean radius": 0.01}, version=None)
    watched.evaluated(1, "stable", {"mean radius": 0.02})
    page = str(get(api, f"models/{MODEL}/monitoring/report").content)
    assert f"{START:%Y-%m-%d %H:%M}: promoted version 1" in page


def test_a_report_of_a_version_that_is_forgotten_says_so(watched: Watched, api: Lifecycle) -> None:
    watched.evaluated(1, "drifted", {"mean radius": 1.0}, version=7)
    page = str(get(api, f"models/{MODEL}/monitoring/report").content)
    assert "The histograms cannot be shown" in page


@pytest.mark.parametrize(
    ("at_", "status", "told"), [("", 404, "yet"), ("2026-01-01", 404, "or before"), ("x", 400, "ISO")]
)
def test_a_report_that_is_not_there(watched: Watched, api: Lifecycle, at_: str, status: int, told: str) -> None:
    if at_:
        watched.evaluated(1, "stable")
    said = get(api, f"models/{MODEL}/monitoring/report", at=at_)
    assert (said.status, told in document(said)["message"]) == (status, True)
