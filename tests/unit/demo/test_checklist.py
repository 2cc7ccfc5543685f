"""A step that did not happen is never shown as done."""

from __future__ import annotations

import json

import pytest

from labcycle.demo.checklist import Checklist, StepFailed


def test_a_failed_requirement_ends_the_step_and_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    checklist = Checklist(2)
    with pytest.raises(StepFailed, match="expected 200"), checklist.step("call") as step:
        step.saw("403")
        step.require(False, "expected 200")
    checklist.close()
    shown = capsys.readouterr().out
    assert "FAILED" in shown and "403" in shown
    assert "happened" not in shown
    assert not checklist.steps[0].done


def test_an_unexpected_error_is_a_failed_step_too() -> None:
    checklist = Checklist(1)
    with pytest.raises(ZeroDivisionError), checklist.step("divide"):
        _ = 1 // 0
    assert not checklist.steps[0].done


def test_all_done_is_said_only_when_all_were_done(capsys: pytest.CaptureFixture[str]) -> None:
    checklist = Checklist(2)
    with checklist.step("one"):
        pass
    checklist.close()
    assert "All" not in capsys.readouterr().out
    with checklist.step("two"):
        pass
    checklist.close()
    assert "All 2 steps happened" in capsys.readouterr().out


def test_json_is_one_document_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    checklist = Checklist(1, as_json=True)
    with checklist.step("one") as step:
        step.saw("evidence")
    checklist.close()
    said = json.loads(capsys.readouterr().out)
    assert said["steps"] == [
        {"title": "one", "seconds": said["steps"][0]["seconds"], "done": True, "evidence": ["evidence"]}
    ]
