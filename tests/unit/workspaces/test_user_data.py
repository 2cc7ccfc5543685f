from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from labcycle.workspaces.user_data import JUPYTERLAB_VERSION, MLFLOW_VERSION, user_data

ROOT = Path(__file__).parents[3]


def script(wheels: str | None = "s3://labcycle-fraud-artifacts/wheels/") -> str:
    return user_data(
        team="fraud",
        member="ann",
        tier="gpu-small",
        region="eu-west-1",
        tracking_url_parameter="/labcycle/team/fraud/tracking-url",
        wheels=wheels,
    )


@pytest.mark.parametrize("wheels", [None, "s3://bucket/wheels/"])
def test_bash_can_parse_it_and_what_it_writes(wheels: str | None, tmp_path: Path) -> None:
    text = script(wheels)
    inner = re.findall(r"<<'(?:SCRIPT|PROFILE)'\n(.*?)\n(?:SCRIPT|PROFILE)\n", text, re.DOTALL)
    assert len(inner) == 2
    for part in (text, *inner):
        file = tmp_path / "part.sh"
        file.write_text(part)
        checked = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_it_stops_at_the_first_fault() -> None:
    lines = script().splitlines()
    assert lines[0] == "#!/bin/bash"
    assert "set -euo pipefail" in lines


def test_it_fits_into_user_data() -> None:
    assert (
        len(script().encode()) <= 16_384
    )  # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html


def test_nothing_is_left_of_the_template() -> None:
    assert not re.search(r"\{\{|\}\}|\{%|%\}", script())


def environment_script(tmp_path: Path) -> Path:
    found = re.search(r"<<'SCRIPT'\n(.*?)\nSCRIPT\n", script(), re.DOTALL)
    assert found
    file = tmp_path / "labcycle-environment"
    file.write_text(found[1].replace("/etc/labcycle", str(tmp_path)))
    return file


def fake_aws(tmp_path: Path, body: str) -> dict[str, str]:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "aws").write_text(f"#!/bin/bash\n{body}\n")
    (tools / "aws").chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def test_the_tracking_address_is_read_at_boot_and_preset_for_login_shells(tmp_path: Path) -> None:
    environment = fake_aws(tmp_path, f'echo "$@" > {tmp_path}/asked; echo https://tracking.example.com')
    subprocess.run(["bash", str(environment_script(tmp_path))], env=environment, check=True)
    asked = (tmp_path / "asked").read_text()
    assert "ssm get-parameter --region eu-west-1 --name /labcycle/team/fraud/tracking-url" in asked
    profile = re.search(r"<<'PROFILE'\n(.*?)\nPROFILE\n", script(), re.DOTALL)
    assert profile
    seen = subprocess.run(
        ["bash", "-c", profile[1].replace("/etc/labcycle", str(tmp_path)) + "\nenv"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {
        "MLFLOW_TRACKING_URI=https://tracking.example.com",
        "MLFLOW_TRACKING_AUTH=labcycle",
        "AWS_REGION=eu-west-1",
        "AWS_DEFAULT_REGION=eu-west-1",
    } <= set(seen)


def test_an_address_that_cannot_be_read_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "environment").write_text("MLFLOW_TRACKING_URI=https://before.example.com\n")
    run = subprocess.run(
        ["bash", str(environment_script(tmp_path))],
        env=fake_aws(tmp_path, "exit 254"),
        capture_output=True,
        check=False,
    )
    assert run.returncode != 0
    assert "before" in (tmp_path / "environment").read_text()


def test_jupyter_has_the_same_environment_and_listens_on_loopback_only() -> None:
    text = script()
    unit = text[text.index("Description=JupyterLab") :]
    assert "EnvironmentFile=/etc/labcycle/environment" in unit
    assert "--ip=127.0.0.1" in unit


def test_the_wheel_comes_from_the_bucket_or_is_asked_for() -> None:
    assert "aws s3 cp --region 'eu-west-1' --recursive 's3://labcycle-fraud-artifacts/wheels/'" in script()
    assert "aws s3" not in script(None)
    assert "install its wheel" in script(None)


def test_versions_are_the_tested_ones() -> None:
    assert f"mlflow-skinny=={MLFLOW_VERSION}" in (ROOT / "constraints.txt").read_text().splitlines()
    assert f"'jupyterlab=={JUPYTERLAB_VERSION}'" in script()
