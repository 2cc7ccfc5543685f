"""What the commands of a model print for people."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from labcycle.cli import app
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


def test_of_nothing_it_does_not_say_that_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    output = said(monkeypatch, {"events": [], "verified": True, "problems": []}, "history", "cards")
    assert "no event tells of it" in output and "whole" not in output
