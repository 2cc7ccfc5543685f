from __future__ import annotations

import json
from pathlib import Path

import pytest

from labcycle.local.assembly import AssemblyError, select, stacks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stage `team` of two stacks, of which the second needs the first, beside a stack `alone`."""

    def stack(
        where: Path, artifact: str, path: str, name: str, types: list[str], needs: list[str]
    ) -> dict[str, object]:
        template = {"Resources": {f"R{i}": {"Type": t} for i, t in enumerate(types)}}
        (where / f"{artifact}.template.json").write_text(json.dumps(template))
        properties = {"templateFile": f"{artifact}.template.json", "stackName": name}
        return {
            "type": "aws:cloudformation:stack",
            "displayName": path,
            "properties": properties,
            "dependencies": needs,
        }

    nested = tmp_path / "assembly-team"
    nested.mkdir()
    inner = {
        "one": stack(nested, "one", "team/one", "team-one", ["AWS::S3::Bucket"] * 2, ["one.assets"]),
        "two": stack(nested, "two", "team/two", "team-two", ["AWS::KMS::Key"], ["one"]),
        "one.assets": {"type": "cdk:asset-manifest", "properties": {"file": "x"}},
    }
    (nested / "manifest.json").write_text(json.dumps({"artifacts": inner}))
    outer = {
        "assembly-team": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "assembly-team"}},
        "alone": stack(tmp_path, "alone", "alone", "alone", [], []),
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": outer}))
    return tmp_path


def test_nested_stages_are_read(folder: Path) -> None:
    assert {stack.path: stack.name for stack in stacks(folder)} == {
        "team/one": "team-one",
        "team/two": "team-two",
        "alone": "alone",
    }


@pytest.mark.parametrize(
    ("selectors", "paths"),
    [
        (["team/*"], ["team/one", "team/two"]),
        (["**"], ["team/one", "team/two", "alone"]),
        (["*"], ["alone"]),
        (["team/two"], ["team/one", "team/two"]),
        (["team-one"], ["team/one"]),
    ],
)
def test_selectors_mean_what_the_cli_takes_them_for(folder: Path, selectors: list[str], paths: list[str]) -> None:
    assert [stack.path for stack in select(folder, selectors)] == paths


def test_types_come_once_a_resource(folder: Path) -> None:
    assert next(s for s in stacks(folder) if s.name == "team-one").types == ["AWS::S3::Bucket"] * 2


def test_a_selector_without_a_stack_names_those_that_there_are(folder: Path) -> None:
    with pytest.raises(AssemblyError, match=r"'team/three'.*team/one"):
        select(folder, ["team/three"])


def test_a_folder_that_is_no_assembly_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match="cdk synth"):
        stacks(tmp_path)
