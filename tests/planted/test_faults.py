"""The gate names every planted fault, at the right resource."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labcycle.check.template import templates_at
from labcycle.cli import app

from .catching import ROOT, Caught, catch
from .faults import FAULTS, Fault
from .page import page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def caught(folder: Path) -> dict[str, Caught]:
    """What was found of each fault, by its name."""
    return {one.fault.name: one for one in catch(folder)}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_the_gate_names_the_fault_at_the_right_resource(fault: Fault, caught: dict[str, Caught]) -> None:
    found = caught[fault.name]
    told = [rule for rules in found.rules.values() for rule in rules]
    assert fault.rule in told, (
        f"{fault.done} Of {fault.seen_in}/{found.place or '(template)'} is told: {told or 'nothing'}"
    )


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 36


def test_the_page_is_what_was_found(caught: dict[str, Caught]) -> None:
    written = (ROOT / "docs" / "planted-faults.md").read_text(encoding="utf-8")
    assert written == page(list(caught.values())), "tests.planted.page says how to write it anew"


def test_a_fault_added_by_hand_is_named_by_the_command(caught: dict[str, Caught], folder: Path, tmp_path: Path) -> None:
    clean = next(one for one in templates_at(folder / "cdk.out") if one.name == "labcycle-target-eu-sandbox-network")
    text = clean.file.read_text(encoding="utf-8")
    copy = tmp_path / "copy.template.json"
    copy.write_text(text, encoding="utf-8")
    assert _command(copy) == (0, [])

    copy.write_text(text.replace('"EnableDnsHostnames"', '"EnableDnsHostname"'), encoding="utf-8")
    code, found = _command(copy)
    assert code == 1
    assert {clean.resource(one["logical_id"])["Type"] for one in found} == {"AWS::EC2::VPC"}
    assert "E3002" in {one["rule"] for one in found}


def _command(file: Path) -> tuple[int, list[dict[str, str]]]:
    """Exit code and findings of `labcycle check FILE --json`."""
    run = CliRunner().invoke(app, ["check", str(file), "--json"])
    return run.exit_code, json.loads(run.stdout)["findings"]
