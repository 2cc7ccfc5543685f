"""What the app builds for which context, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App

from infra.app import build
from labcycle.config import ConfigError
from tests.synth.assembly import ROOT, missing
from tests.synth.platform.conftest import Synthesize, SynthesizedStack, read

FRAUD = ["guardrails", "foundation", "tracking", "workspaces", "model-card-fraud"]
GROWTH = ["guardrails", "foundation", "tracking"]


def names(team: str, stacks: list[str]) -> list[str]:
    return [f"labcycle-{team}-{stack}" for stack in stacks]


def test_every_file_gives_its_stage_targets_first(stacks: dict[str, SynthesizedStack]) -> None:
    assert list(stacks) == [
        "labcycle-target-eu-production-network",
        "labcycle-target-eu-sandbox-network",
        *names("fraud", FRAUD),
        *names("growth", GROWTH),
    ]


def test_nothing_is_looked_up(assembly: Path) -> None:
    assert len(list(assembly.rglob("manifest.json"))) == 5
    assert missing(assembly) == []


def test_a_team_alone_is_built_with_its_target(synthesize: Synthesize) -> None:
    assert list(read(synthesize(team="growth"))) == ["labcycle-target-eu-sandbox-network", *names("growth", GROWTH)]


def test_a_target_alone_is_built(synthesize: Synthesize) -> None:
    assert list(read(synthesize(target="eu-sandbox"))) == ["labcycle-target-eu-sandbox-network"]


def folder(tmp_path: Path) -> Path:
    """A copy of the configuration with two bad files in it."""
    for kind in ("teams", "targets"):
        shutil.copytree(ROOT / "infra" / kind, tmp_path / kind)
    (tmp_path / "teams" / "broken.yaml").write_text("team: broken\nowner: nobody\nstages: production\n")
    (tmp_path / "teams" / "torn.yaml").write_text("team: [torn\n")
    return tmp_path


def test_a_bad_team_file_does_not_block_another_team(synthesize: Synthesize, tmp_path: Path) -> None:
    built = read(synthesize(team="growth", config=str(folder(tmp_path))))
    assert names("growth", GROWTH)[-1] in built


def test_a_team_with_two_files_is_not_guessed(tmp_path: Path) -> None:
    config = folder(tmp_path)
    shutil.copy(config / "teams" / "growth.yaml", config / "teams" / "growth.yml")
    app = App(context={"config": str(config), "team": "growth"}, analytics_reporting=False)
    with pytest.raises(ConfigError, match=r"growth\.yml:1:1: got growth\.yml beside growth\.yaml"):
        build(app)


def test_without_a_team_all_problems_of_all_files_are_told(tmp_path: Path) -> None:
    app = App(context={"config": str(folder(tmp_path))}, analytics_reporting=False)
    with pytest.raises(ConfigError) as raised:
        build(app)
    files = {Path(problem.file).name for problem in raised.value.problems}
    assert files == {"broken.yaml", "torn.yaml"}
    assert len([p for p in raised.value.problems if p.file.endswith("broken.yaml")]) > 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"team": "nobody"}, "got nobody; allowed the files of"),
        ({"team": "../targets/eu-sandbox"}, "allowed the files of"),
        ({"target": "nowhere"}, "got nowhere; allowed the files of"),
        ({"team": "growth", "target": "eu-sandbox"}, "got both"),
        ({"team": "growth", "config": "/there/is/none"}, "the folder is empty or missing"),
    ],
)
def test_a_wrong_question_is_answered(asked: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(App(context=asked, analytics_reporting=False))


def app_process(out: Path, seed: str, **asked: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": json.dumps(asked),
        "CDK_VALIDATION": "false",
        "PYTHONHASHSEED": seed,
    }
    return subprocess.run(
        [sys.executable, "-m", "infra.app"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_two_synths_in_one_process_are_byte_identical(assembly: Path, synthesize: Synthesize) -> None:
    first, second = contents(assembly), contents(synthesize())
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_two_processes_are_byte_identical_and_agree_with_the_whole_app(assembly: Path, tmp_path: Path) -> None:
    for name, seed in (("first", "1"), ("second", "2")):
        run = app_process(tmp_path / name, seed, team="fraud")
        assert run.returncode == 0, run.stderr
    first, second = contents(tmp_path / "first"), contents(tmp_path / "second")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    whole = {
        n: c for n, c in contents(assembly).items() if "assembly-labcycle-fraud/" in n and n.endswith("template.json")
    }
    assert len(whole) == len(FRAUD)
    assert [name for name, content in whole.items() if first[name] != content] == []


def test_the_app_ends_with_code_2_and_without_a_traceback(tmp_path: Path) -> None:
    run = app_process(tmp_path / "out", "1", config=str(folder(tmp_path)))
    assert run.returncode == 2
    assert "broken.yaml:2:" in run.stderr
    assert "torn.yaml" in run.stderr
    assert "Traceback" not in run.stderr
