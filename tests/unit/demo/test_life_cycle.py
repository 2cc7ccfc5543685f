"""The demo's judgement: it must not pass when something did not happen."""

from __future__ import annotations

import pytest

from labcycle.demo.checklist import StepFailed
from labcycle.demo.data import TARGET, baseline, recalibrated
from labcycle.demo.life_cycle import in_order
from labcycle.demo.team import run, wait


def test_order_matters_and_others_may_come_between() -> None:
    assert in_order(["a", "b", "a"], ["a", "x", "b", "a"])
    assert not in_order(["a", "b"], ["b", "a"])
    assert not in_order(["a", "a"], ["a"])


def test_waiting_ends_with_what_was_last_seen() -> None:
    with pytest.raises(StepFailed, match=r"alarm x did not come .* OK"):
        wait(lambda: "OK", lambda state: state == "ALARM", 0.0, "alarm x")
    answers = iter(["OK", "ALARM"])
    assert wait(lambda: next(answers), lambda state: state == "ALARM", 60.0, "alarm") == "ALARM"


def test_a_failed_command_fails_the_step_with_its_words() -> None:
    with pytest.raises(StepFailed, match="no such thing"):
        run(["python3", "-c", "raise SystemExit('no such thing')"], {"PATH": "/usr/bin:/bin"})


def test_the_shift_changes_inputs_and_never_the_truth() -> None:
    before = baseline()
    after = recalibrated(before)
    assert len(before) == 569 and list(before.columns) == list(after.columns)
    assert (before[TARGET] == after[TARGET]).all()
    changed = [name for name in before.columns if not before[name].equals(after[name])]
    assert "mean radius" in changed and "mean texture" in changed and "mean smoothness" not in changed
