"""Checkers that are programs of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from labcycle.check import CheckError
from labcycle.check.checkers.program import answer_of

ECHO = "import json, sys\njson.dump(json.load(sys.stdin), sys.stdout)\n"
SILENT = "print('hello')\n"
FAILING = "import sys\nsys.exit('it broke')\n"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "a_program.py"


def test_the_answer_comes_back(module: Path) -> None:
    module.write_text(ECHO)
    assert answer_of("a_program", {"ä": [1]}) == {"ä": [1]}


@pytest.mark.parametrize(("text", "told"), [(FAILING, "it broke"), (SILENT, "gave no answer: 'hello")])
def test_a_program_that_fails_or_says_nothing_is_an_error(module: Path, text: str, told: str) -> None:
    module.write_text(text)
    with pytest.raises(CheckError, match=told):
        answer_of("a_program", {})


def test_a_module_of_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit('the wrong json')\n")
    monkeypatch.chdir(folder)
    (tmp_path / "a_program.py").write_text(ECHO)
    assert str(folder) not in sys.path
    assert answer_of("a_program", 1) == 1
