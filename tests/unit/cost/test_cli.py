"""`labcycle cost` as a user calls it, on an assembly by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from labcycle.cli import app

KEY = {"Type": "AWS::KMS::Key", "Properties": {"EnableKeyRotation": True}}
STRANGE = {"Type": "AWS::Redshift::Cluster", "Properties": {}}


def call(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["cost", *arguments])


def assembled(folder: Path, **stacks: tuple[dict[str, str], dict[str, Any]]) -> str:
    """An assembly of stacks, each with its tags and its resources."""
    artifacts = {}
    for name, (tags, resources) in stacks.items():
        (folder / f"{name}.template.json").write_text(json.dumps({"Resources": resources}))
        properties = {"templateFile": f"{name}.template.json", "stackName": name.replace("_", "-"), "tags": tags}
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": "aws://111122223333/us-east-1",
            "properties": properties,
        }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return str(folder)


@pytest.fixture
def assembly(tmp_path: Path) -> str:
    gateway = {"Gateway": {"Type": "AWS::EC2::NatGateway", "Properties": {}}}
    return assembled(
        tmp_path,
        labcycle_a_foundation=({"labcycle:team": "a"}, {"Key": KEY, "Strange": STRANGE}),
        labcycle_b_foundation=({"labcycle:team": "b"}, {"Key": KEY}),
        labcycle_target_t_network=({"labcycle:target": "t"}, gateway),
    )


def test_a_team_is_told_with_what_has_no_price_and_what_is_shared(assembly: str) -> None:
    result = call("a", "--assembly", assembly)
    assert result.exit_code == 0
    assert "a: 1.00 USD a month while nobody uses it" in result.stdout
    assert (
        "not priced: AWS::Redshift::Cluster, 1 in foundation: it is not in the table of resource types" in result.stdout
    )
    assert "3.00 USD once its KMS keys were rotated twice, after two years" in result.stdout
    assert "target t, shared by its teams: 32.85 USD a month" in result.stdout
    assert "public prices of 2026-01 for us-east-1, an estimate\n" in result.stdout


def test_all_teams_have_a_line_each(assembly: str) -> None:
    result = call("--assembly", assembly)
    assert result.exit_code == 0
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines()]
    found = {cells[0]: cells for cells in lines if cells}
    assert found["a"][1] == found["b"][1] == "1.00"
    assert (found["a"][-1], found["b"][-1]) == ("AWS::Redshift::Cluster", "")
    assert found["t"][1:3] == ["32.85", "made elsewhere"]
    assert "together 2.00 USD a month" in result.stdout


def test_everything_is_there_for_programs(assembly: str) -> None:
    told = json.loads(call("a", "--assembly", assembly, "--json").stdout)
    (team,) = told["teams"]
    assert (team["idle_usd_a_month"], team["idle_usd_a_month_after_key_rotations"]) == (1.0, 3.0)
    assert team["items"] == [
        {
            "part": "foundation",
            "logical_id": "Key",
            "type": "AWS::KMS::Key",
            "what": "KMS keys",
            "count": 1,
            "usd": 1.0,
            "later_usd": 2.0,
        }
    ]
    assert [one["type"] for one in team["not_priced"]] == ["AWS::Redshift::Cluster"]
    assert team["prices"]["taken"]["kms_key_month"]["source"] == "https://aws.amazon.com/kms/pricing/"
    assert [target["name"] for target in told["targets"]] == ["t"]
    assert told["assumptions"]


def test_own_figures_are_named(assembly: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("kms_key_month: 0.5\n")
    result = call("a", "--assembly", assembly, "--prices", str(file))
    assert "a: 0.50 USD a month" in result.stdout and "your own figures: kms_key_month" in result.stdout


def test_a_bad_file_of_figures_is_told_with_its_line(assembly: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("kms_key_month: little\n")
    result = call("a", "--assembly", assembly, "--prices", str(file))
    assert result.exit_code == 2 and result.stdout == ""
    assert f"{file}:1:16: kms_key_month: got 'little'; allowed a number of US dollars, 0 or more" in result.stderr


def test_an_unknown_team_is_told_with_those_that_there_are(assembly: str) -> None:
    result = call("c", "--assembly", assembly)
    assert result.exit_code == 2 and result.stdout == ""
    assert "got c; allowed the teams of the templates: a, b. Name one of them" in result.stderr


def test_templates_without_a_team_are_told(tmp_path: Path) -> None:
    result = call("--assembly", assembled(tmp_path, foreign=({}, {"Key": KEY})))
    assert result.exit_code == 2
    assert "no stack of the templates has the tag labcycle:team" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("a",)])
def test_a_folder_without_an_app_is_told(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 2
    assert "cdk.json: there is no such file" in result.stderr


def test_a_team_alone_is_synthesized_where_one_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a mistake in the file of another one does not matter."""
    asking = "import json, os, sys; sys.exit(json.loads(os.environ['CDK_CONTEXT_JSON'])['team'])"
    (tmp_path / "cdk.json").write_text(json.dumps({"app": f'python -c "{asking}"'}))
    monkeypatch.chdir(tmp_path)
    result = call("churn")
    assert result.exit_code == 2
    assert result.stderr.rstrip().endswith("churn")
