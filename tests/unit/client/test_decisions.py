"""What the commands of a model print for people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from labcycle.cli import app
from labcycle.client import promotion_view, shadow_view
from labcycle.client.api import LifecycleClient

WHO = {"member": "ada", "role": "labcycle-fraud-ada", "session": "ada"}
REASON = "better [/mnt/data] [bold]"


def said(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], *command: str) -> str:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(LifecycleClient, "call", lambda *_, **__: answer)
    ran = CliRunner().invoke(app, ["models", *command])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_a_reason_with_brackets_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"seq": 1, "at": "2026-03-01", "action": "promoted", "who": WHO, "detail": {"reason": REASON}}
    answer = {"events": [event], "verified": True, "problems": []}
    output = said(monkeypatch, answer, "history", "cards [bold]")
    assert REASON in output and "cards [bold]" in output and "the chain of hashes is whole" in output


def test_evidence_is_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = {"version": 2, "percent": 50, "evidence": {"verdict": "good"}, "empty": {}}
    event = {"seq": 1, "at": "2026-03-01", "action": "canary_changed", "who": WHO, "detail": detail}
    output = said(monkeypatch, {"events": [event], "verified": True, "problems": []}, "history", "cards")
    assert "version 2, percent 50, evidence (see --json)" in " ".join(output.split())
    assert "verdict" not in output and "empty" not in output


def side(version: int) -> dict[str, Any]:
    return {
        "version": version,
        "promoted_at": "2026-03-01",
        "promoted_by": "ada [/a]",
        "model_file": {"sha256": "0" * 64},
        "source_run": None,
        "reference": {},
    }


def deployment(**more: Any) -> dict[str, Any]:
    return {"deployment": {"live": side(1), "previous": [], "generation": 1, **more}, "changed": True, "notes": []}


PAUSE = {"answer": None, "at": "2026-03-02", "by": "ada", "reason": "[wrong] data"}


def test_a_promoter_with_brackets_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ada [/a]" in said(monkeypatch, deployment(), "deployment", "cards")


def test_a_version_that_is_tried_and_a_pause_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = deployment(canary={"deployed": side(2), "percent": 10}, pause=PAUSE)
    shown = said(monkeypatch, answer, "deployment", "cards")
    assert "canary, 10 %" in shown
    assert "paused since 2026-03-02 by ada: [wrong] data; it answers with an error" in shown
    promoted = said(monkeypatch, answer, "promote", "cards", "2", "--percent", "10")
    assert "cards: version 2 answers 10 % of the requests, version 1 is live (generation 1)" in promoted


def test_a_trial_is_told_side_by_side_and_a_bad_one_by_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"p50_ms": 5.0, "p99_ms": None, "profiled_rows": 0, "prediction_psi": 0.01}
    sides = [
        {"side": "live", "version": 1, "requests": 900, "failed": 0, "failed_share": 0.0, **figures},
        {"side": "canary", "version": 2, "requests": 100, "failed": 30, "failed_share": 0.3, **figures},
    ]
    answer = {"model": "cards", "percent": 10, "since": "2026-03-01", "sides": sides, "verdict": "not_enough"}
    shown = said(monkeypatch, answer | {"reasons": ["9 answers"]}, "trial", "cards")
    assert "30 (30.0%)" in shown and "10 % to the canary since 2026-03-01" in shown and "not enough: 9 answers" in shown
    monkeypatch.setattr(
        LifecycleClient, "call", lambda *_, **__: answer | {"verdict": "bad", "reasons": ["[it] fails"]}
    )
    bad = CliRunner().invoke(app, ["models", "trial", "cards"])
    assert bad.exit_code == 1 and "bad: [it] fails" in bad.output
    nothing = {**answer, "sides": [], "verdict": None, "reasons": []}
    assert "no version is tried" in said(monkeypatch, nothing, "trial", "cards")


def test_what_a_paused_model_answers_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    paused = deployment(pause={**PAUSE, "answer": {"approve": False}})
    assert """cards: paused, it answers {"approve": false}""" in said(
        monkeypatch, paused, "pause", "cards", "--answer", """{"approve": false}"""
    )
    assert "cards: it predicts" in said(monkeypatch, deployment(pause=None), "resume", "cards")
    refused = CliRunner().invoke(app, ["models", "pause", "cards", "--answer", "no"])
    assert refused.exit_code == 2 and "--answer is no JSON: no" in refused.output


def test_a_review_says_what_follows_and_a_no_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"execution": "e1", "decision": "approve"}
    assert "cards: approved, its promotion begins (reaction e1)" in said(
        monkeypatch, answer, "review", "cards", "--approve"
    )
    assert "rejected" in said(monkeypatch, answer, "review", "cards", "--reject", "unfair")
    for words, why in (((), "Give --approve or --reject"), (("--reject",), "Say why it is rejected")):
        refused = CliRunner().invoke(app, ["models", "review", "cards", *words])
        assert refused.exit_code == 2 and why in refused.output


def test_of_nothing_it_does_not_say_that_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    output = said(monkeypatch, {"events": [], "verified": True, "problems": []}, "history", "cards")
    assert "no event tells of it" in output and "whole" not in output


def promotion(**more: Any) -> dict[str, Any]:
    begun = {
        "execution": "v2-1",
        "version": 2,
        "state": "requested",
        "requested_at": "2026-03-01T10:00:00.000Z",
        "requested_by": "ada",
        "percent": 0,
        "since": "",
        "outcome": "",
        "said": [],
    }
    return {**begun, **more}


def test_a_promotion_in_steps_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = said(monkeypatch, {**deployment(), "promotion": promotion()}, "promote", "cards", "2")
    assert "cards: version 2 is loaded and tried out, without traffic, since 2026-03-01T10:00:00.000Z" in shown
    assert "labcycle models promotion cards --watch" in shown
    assert "being promoted: version 2" in said(
        monkeypatch, {**deployment(), "promotion": promotion()}, "deployment", "cards"
    )
    assert "no version was promoted in steps" in said(monkeypatch, {"promotion": None}, "promotion", "cards")


class TestWatching:
    """`--watch` prints a line for each thing that happens, and ends with the promotion."""

    def watched(
        self, monkeypatch: pytest.MonkeyPatch, *states: dict[str, Any], command: str = "promotion", flags: str = ""
    ) -> Any:
        answers = iter([promotion(**state) for state in states])
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
        monkeypatch.setattr(promotion_view, "LOOK_SECONDS", 0)

        def call(self: Any, method: str, path: str, **_: Any) -> dict[str, Any]:
            found = next(answers)
            return {**deployment(), "promotion": found} if method == "POST" else {"promotion": found}

        monkeypatch.setattr(LifecycleClient, "call", call)
        version = ["2"] if command == "promote" else []
        return CliRunner().invoke(app, ["models", command, "cards", *version, "--watch", *flags.split()])

    @pytest.mark.parametrize("command", ["promotion", "promote"])
    def test_until_it_is_live(self, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        tried = {"state": "watching", "percent": 10, "since": "12:00", "said": ["20 answers of at least 100"]}
        more = {**tried, "said": ["120 answers, 0 of them failed"]}
        ran = self.watched(monkeypatch, {}, tried, tried, more, {"state": "ended", "outcome": "live"}, command=command)
        assert ran.exit_code == 0, ran.output
        assert ran.output.splitlines() == [
            "cards: version 2 is loaded and tried out, without traffic, since 2026-03-01T10:00:00.000Z",
            "cards: version 2 answers 10 % of the requests since 12:00: 20 answers of at least 100",
            "cards: version 2 answers 10 % of the requests since 12:00: 120 answers, 0 of them failed",
            "cards: version 2 is live",
        ]

    @pytest.mark.parametrize(
        ("outcome", "words"), [("taken_back", "was taken back"), ("refused", "was not promoted"), ("failed", "failed")]
    )
    def test_it_exits_1_where_the_version_is_not_live(
        self, monkeypatch: pytest.MonkeyPatch, outcome: str, words: str
    ) -> None:
        ran = self.watched(monkeypatch, {}, {"state": "ended", "outcome": outcome, "said": ["it failed"]})
        assert (ran.exit_code, ran.output.splitlines()[-1]) == (1, f"cards: version 2 {words}: it failed")

    def test_json_prints_the_end_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ran = self.watched(monkeypatch, {}, {}, {"state": "ended", "outcome": "live"}, flags="--json")
        assert json.loads(ran.output)["promotion"]["outcome"] == "live"

    def test_another_promotion_is_not_followed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ran = self.watched(monkeypatch, {}, {"execution": "v3-1", "version": 3})
        assert ran.exit_code == 1


def compared(**more: Any) -> dict[str, Any]:
    figures = {"p50_ms": 5.0, "p99_ms": None, "profiled_rows": 0, "prediction_psi": 0.01}
    return {
        "model": "cards",
        "version": 2,
        "percent": 50,
        "since": "2026-03-01",
        "requests": {"offered": 900, "seen": 800, "failed": 8, "too_large": 1, "not_taken": 0, "not_arrived": 99},
        "sides": [
            {"side": "live", "version": 1, "requests": 800, "failed": 0, "failed_share": 0.0, **figures},
            {"side": "shadow", "version": 2, "requests": 800, "failed": 8, "failed_share": 0.01, **figures},
        ],
        "agreement": {"rows": 80, "same": 60, "same_share": 0.75, "numbers": 4, "mean_absolute_difference": 0.125},
        "problem": "CannotCompute: [it] cannot",
        **more,
    }


NO_SHADOW = compared(sides=[], version=None, percent=None, since=None, requests=None, agreement=None, problem=None)


def test_how_a_shadow_does(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = said(monkeypatch, compared(), "shadow", "cards")
    for line in (
        "cards, 50 % shown to the shadow since 2026-03-01",
        "8 (1.0%)",
        "seen: 800 of 900 requests",
        "not seen: 1 too large to be shown",
        "not seen: 99 on their way, or dropped by its limit or its age",
        "the same prediction: 60 of 80 rows (75.0%)",
        "mean absolute difference: 0.125 over 4 rows",
        "last failure: CannotCompute: [it] cannot",
    ):
        assert line in shown, shown
    assert "not taken" not in shown
    assert json.loads(said(monkeypatch, compared(), "shadow", "cards", "--json")) == compared()
    assert "begin one: labcycle models shadow cards VERSION" in said(monkeypatch, NO_SHADOW, "shadow", "cards")


def test_a_shadow_is_followed_until_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([compared(), compared(), compared(percent=60), NO_SHADOW])
    waited: list[float] = []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
    monkeypatch.setattr(LifecycleClient, "call", lambda *_, **__: next(answers))
    monkeypatch.setattr("labcycle.client.shadow_view.time.sleep", waited.append)
    ran = CliRunner().invoke(app, ["models", "shadow", "cards", "--watch"])
    assert (ran.exit_code, waited) == (0, [shadow_view.LOOK_SECONDS] * 3)
    assert (ran.output.count("seen: 800"), ran.output.count("60 %"), ran.output.count("no version")) == (2, 1, 1)


def test_a_shadow_is_begun_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    begun = deployment(shadow={"deployed": side(2), "percent": 100, "in_process": False})

    def call(self: LifecycleClient, method: str, path: str, *, body: Any = None) -> dict[str, Any]:
        calls.append((method, path.rpartition("/models/cards/")[2], body))
        return begun if path.endswith("shadow") else deployment(shadow=None) | {"changed": False}

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
    monkeypatch.setattr(LifecycleClient, "call", call)
    ran = CliRunner().invoke(app, ["models", "shadow", "cards", "2", "--reason", "holidays"])
    assert ran.output == "cards: version 2 is shown all requests, and answers none\n"
    ran = CliRunner().invoke(app, ["models", "shadow", "cards", "--off"])
    assert ran.output == "cards: no version is the shadow; nothing was changed\n"
    assert calls == [
        ("POST", "shadow", {"version": "2", "percent": 100, "reason": "holidays"}),
        ("POST", "shadow/end", {}),
    ]
    assert CliRunner().invoke(app, ["models", "shadow", "cards", "2", "--off"]).exit_code != 0
    shown = said(monkeypatch, begun, "deployment", "cards")
    assert "its shadow is version 2: labcycle models shadow cards" in shown
