"""`labcycle new model`: what it writes works, where it is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.demo import life_cycle
from labcycle.scaffold.project import ENTRY, RECIPE
from tests.unit.config.files import TARGET, TEAM, bent, written

FILES = ["README.md", "log.py", RECIPE, "requirements.txt", ENTRY, "test_log.py"]


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["new", "model", *(str(word) for word in words)])


def test_its_own_test_passes(tmp_path: Path) -> None:
    assert call("churn-score", "--into", tmp_path / "models").exit_code == 0
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLFLOW_"))}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "models/churn-score",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout


def test_its_entry_makes_a_valid_team_file(tmp_path: Path) -> None:
    result = call("churn-score", "--into", tmp_path)
    entry = (tmp_path / "churn-score" / ENTRY).read_text()
    assert entry in result.stdout and "Below models: in infra/teams/TEAM.yaml" in result.stdout
    written(tmp_path / "infra/teams", "fraud.yaml", bent(TEAM, ("models:\n", f"models:\n{entry}")))
    written(tmp_path / "infra/targets", "eu-production.yaml", TARGET)
    said = CliRunner().invoke(app, ["validate", str(tmp_path / "infra")])
    assert said.exit_code == 0, said.output
    assert "models: churn-score, card-fraud" in said.stdout


def test_it_tells_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = json.loads(call("churn-score", "--json").stdout)
    assert (said["folder"], said["files"]) == ("churn-score", sorted(FILES))
    assert said["team_file_entry"].startswith("  - name: churn-score\n")
    found = [str(path.relative_to("churn-score")) for path in Path("churn-score").rglob("*") if path.is_file()]
    assert sorted(found) == sorted(FILES)
    for path in FILES:
        assert "{{" not in (Path("churn-score") / path).read_text(), path


def test_the_recipe_is_the_one_of_the_demo(tmp_path: Path) -> None:
    call("churn-score", "--into", tmp_path)
    demo = Path(str(life_cycle.__file__)).parent / RECIPE
    assert (tmp_path / "churn-score" / RECIPE).read_text() == demo.read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "churn-score").mkdir()
    (tmp_path / "churn-score/log.py").write_text("mine")
    result = call("churn-score", "--into", tmp_path)
    assert result.exit_code == 2
    assert "is there already, and nothing is overwritten" in result.stderr
    assert [path.name for path in (tmp_path / "churn-score").iterdir()] == ["log.py"]
    assert (tmp_path / "churn-score/log.py").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = call("churn-score", "--into", tmp_path / "file")
    assert result.exit_code == 2
    assert "cannot be written: Not a directory" in result.stderr


@pytest.mark.parametrize("name", ["Churn", "churn_score", "../churn", "churn-", "", "a b", "1churn"])
def test_a_name_that_no_team_file_takes_is_refused(tmp_path: Path, name: str) -> None:
    result = call(name, "--into", tmp_path)
    assert result.exit_code == 2
    assert "allowed lower-case letters, digits and hyphens" in result.stderr
    assert list(tmp_path.iterdir()) == []
