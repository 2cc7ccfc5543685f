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
    ran = CliRunner().invoke(app, list(command))
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_a_reason_with_brackets_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"seq": 1, "at": "2026-03-01", "action": "promoted", "who": WHO, "detail": {"reason": REASON}}
    answer = {"events": [event], "verified": True, "problems": []}
    output = said(monkeypatch, answer, "history", "cards [bold]")
    assert REASON in output and "cards [bold]" in output and "the chain of hashes is whole" in output


def test_a_promoter_with_brackets_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    live = {
        "version": 1,
        "promoted_at": "2026-03-01",
        "promoted_by": "ada [/a]",
        "model_file": {"sha256": "0" * 64},
        "source_run": None,
        "reference": {},
    }
    answer = {"deployment": {"live": live, "previous": [], "generation": 1}}
    assert "ada [/a]" in said(monkeypatch, answer, "deployment", "cards")


def test_of_nothing_it_does_not_say_that_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    output = said(monkeypatch, {"events": [], "verified": True, "problems": []}, "history", "cards")
    assert "no event tells of it" in output and "whole" not in output
