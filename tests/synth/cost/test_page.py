"""What docs/cost.md shows is what the command prints, and what it says of assumptions what is assumed."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from labcycle.cli import app
from labcycle.cost.assumptions import SAID
from labcycle.cost.prices import own_prices
from tests.synth.assembly import ROOT

PAGE = (ROOT / "docs" / "cost.md").read_text()


def test_the_output_is_what_the_page_shows(assembly: Path) -> None:
    found = re.search(r"<!-- test: growth -->\n```\n(.*?)```", PAGE, re.DOTALL)
    assert found
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["cost", "growth", "--assembly", str(assembly)])
    assert result.exit_code == 0
    printed = "\n".join(line.rstrip() for line in result.stdout.splitlines())
    assert printed.startswith(found[1])


def test_every_assumption_is_on_the_page() -> None:
    listed = re.findall(r"^- (.*)$", PAGE[PAGE.index("## What is assumed") :], re.MULTILINE)
    assert tuple(listed) == SAID


def test_the_figures_of_ones_own_are_taken(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found
    file = tmp_path / "own.yaml"
    file.write_text(found[1])
    assert own_prices(file) == {"nat_gateway_hour": 0.041, "ec2_instance_hour.p5.48xlarge": 55.04}
