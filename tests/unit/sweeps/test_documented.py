"""What docs/sweeps.md shows works as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from labcycle.cli import app
from labcycle.config import Compute
from labcycle.sweeps.plan import arguments_of, load_sweep

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sweeps.md").read_text()


def snippet(name: str) -> str:
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(snippet("script"))
    (tmp_path / "tuning.yaml").write_text(snippet("sweep"))
    return tmp_path / "tuning.yaml"


def test_the_script_runs_at_a_point_of_the_sweep(file: Path) -> None:
    sweep = load_sweep(file)
    points = sweep.all_points()
    assert len(points) == 100
    command = [sys.executable, sweep.script, *arguments_of(points[0])]
    subprocess.run(command, cwd=file.parent, check=True)
    measured = json.loads((file.parent / "metrics.json").read_text())
    assert 0.5 < measured[sweep.metric] <= 1


def test_a_dry_run_tells_points_and_price_and_needs_no_aws(file: Path) -> None:
    shown = CliRunner().invoke(app, ["sweep", "run", str(file), "--dry-run"])
    assert shown.exit_code == 0
    assert "100 points, 20 at once" in shown.output and "at most about 4.25 USD" in shown.output
    told = json.loads(CliRunner().invoke(app, ["sweep", "run", str(file), "--dry-run", "--json"]).output)
    assert told["points"] == load_sweep(file).all_points() and told["lanes"] == 20
    (file.parent / "train.py").unlink()
    missing = CliRunner().invoke(app, ["sweep", "run", str(file), "--dry-run"])
    assert missing.exit_code == 2 and "there is no file" in missing.output


def test_the_setting_is_taken() -> None:
    (shown,) = re.findall(r"^```\n(compute:\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert Compute.model_validate(yaml.safe_load(shown)["compute"]).gpu


def test_every_command_exists() -> None:
    for command in sorted(set(re.findall(r"labcycle sweep (\w+)", PAGE))):
        assert CliRunner().invoke(app, ["sweep", command, "--help"]).exit_code == 0, command
