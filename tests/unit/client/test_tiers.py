"""`labcycle tiers` and `labcycle tiers advise`."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.config import TIERS


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["tiers", *words])


def test_all_tiers_are_listed_with_what_they_have() -> None:
    answer = run()
    assert answer.exit_code == 0
    (line,) = [line for line in answer.output.splitlines() if "gpu-large" in line]
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        *(
            "gpu-large",
            "g5.12xlarge",
            "48",
            "192",
            "4 A10G, 22 GiB each",
            "3,800 GB",
            "40 Gigabit",
            "5.67",
            "several GPUs",
        )
    ]
    assert all(name in answer.output for name in TIERS)
    assert "Prices: on demand, Linux, estimates of 2026-01, us-east-1" in answer.output


def test_a_region_lists_what_it_has() -> None:
    answer = run("--region", "eu-south-1").output
    assert "Hardware tiers in eu-south-1" in answer and "eu-south-1 does not have: gpu-medium, gpu-large" in answer
    assert "What us-gov-west-1 has is not known here: all are shown." in run("--region", "us-gov-west-1").output
    assert [tier["tier"] for tier in json.loads(run("--region", "me-south-1", "--json").output)["tiers"]] == [
        "gpu-small"
    ]


def test_fitting_machines_are_ranked_with_the_price_of_the_hours() -> None:
    answer = run("advise", "--memory", "200", "--gpu", "1", "--hours", "30").output
    first = next(line for line in answer.splitlines() if "g6.16xlarge" in line)
    assert "101.90" in first and "the cheapest that fits, 56 GiB to spare" in first
    assert "own_tiers: [{name: g6-16xlarge, instance_type: g6.16xlarge}]" in answer
    assert "In the team file: workspaces: {tiers: [gpu-small]}" in run("advise", "--gpu", "1").output


def test_a_tier_of_the_catalogue_is_always_among_what_is_shown() -> None:
    answer = run("advise", "--memory", "900").output
    assert "memory-huge" in answer
    assert "│ cpu-small" in run("advise", "--memory", "5").output


def test_as_json() -> None:
    found = json.loads(run("advise", "--neuron", "--hours", "10", "--json").output)
    assert found["need"]["neuron"] and found["hours"] == 10 and found["prices"]["as_of"] == "2026-01"
    first = found["fits"][0]
    assert (first["instance_type"], first["tiers"], first["usd"]) == ("inf2.xlarge", ["accelerator-small"], 7.582)
    assert first["accelerators"] == {"kind": "neuron", "name": "Inferentia2", "count": 1, "memory_gib": 32}
    assert {"tier": "gpu-small", "lacks": "0 accelerators of 1"} in found["tiers_that_do_not_fit"]


def test_where_nothing_fits_the_nearest_are_told() -> None:
    answer = run("advise", "--gpu", "9")
    assert answer.exit_code == 1
    assert answer.output.splitlines()[:2] == [
        "No machine of the catalogue fits. Nearest are:",
        "  gpu-h100-eight: 8 GPUs of 9",
    ]
    assert run("advise", "--gpu", "9", "--json").exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--region", "mars"], "--region: got mars; allowed is a region of AWS, such as eu-west-1"),
        (["advise", "--region", "mars"], "--region: got mars"),
        (["--json", "advise"], "labcycle tiers: write the options behind advise"),
        (["advise", "--memory", "-1"], "memory"),
        (["advise", "--gpu", "one"], "gpu"),
    ],
)
def test_bad_words(words: list[str], said: str) -> None:
    answer = run(*words)
    assert answer.exit_code == 2 and said in re.sub(r"\x1b\[[0-9;]*m", "", answer.output)
