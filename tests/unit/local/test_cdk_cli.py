from __future__ import annotations

import json
from pathlib import Path

import pytest

from labcycle.local import cdk_cli


def pin(folder: Path, version: str, installed: str | None) -> Path:
    (folder / "package.json").write_text(json.dumps({"devDependencies": {"aws-cdk": version}}))
    if installed:
        cli = folder / "node_modules" / "aws-cdk"
        cli.mkdir(parents=True)
        (cli / "package.json").write_text(json.dumps({"version": installed}))
    return folder


def test_the_pinned_cli_is_found_from_a_folder_below(tmp_path: Path) -> None:
    pin(tmp_path, "2.1.0", "2.1.0")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = cdk_cli.find(below)
    assert found.version == "2.1.0"
    assert found.script == tmp_path / "node_modules" / "aws-cdk" / "bin" / "cdk"


def test_a_missing_cli_names_the_mend(tmp_path: Path) -> None:
    with pytest.raises(cdk_cli.CdkError, match=r"2\.1\.0 is not installed.*make setup"):
        cdk_cli.find(pin(tmp_path, "2.1.0", None))


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(cdk_cli.CdkError, match=r"is 3\.0\.0;.*pins 2\.1\.0.*make setup"):
        cdk_cli.find(pin(tmp_path, "2.1.0", "3.0.0"))


def test_a_torn_package_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{")
    with pytest.raises(cdk_cli.CdkError, match=r"package\.json cannot be read"):
        cdk_cli.find(tmp_path)


def test_missing_node_names_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(cdk_cli.CdkError, match=r"Node is missing.*pip install"):
        cdk_cli.find(pin(tmp_path, "2.1.0", "2.1.0"))


def test_a_failing_command_tells_its_reason(tmp_path: Path) -> None:
    pin(tmp_path, "2.1.0", "2.1.0")
    script = tmp_path / "cdk.js"
    script.write_text("console.log('starting'); console.error('stack failed: no such bucket'); process.exit(1)")
    cli = cdk_cli.CdkCli(cdk_cli.find(tmp_path).node, script, "2.1.0")
    with pytest.raises(cdk_cli.CdkError, match="no such bucket"):
        cli.run(["deploy", "x"], {})


def test_the_command_sees_neither_foreign_settings_nor_a_cdk_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    pin(tmp_path, "2.1.0", "2.1.0")
    script = tmp_path / "cdk.js"
    script.write_text(
        "console.log(JSON.stringify([process.env, require('fs').readdirSync('.'), process.argv.slice(2)]))"
    )
    cli = cdk_cli.CdkCli(cdk_cli.find(tmp_path).node, script, "2.1.0")
    environment, files, arguments = json.loads(cli.run(["bootstrap"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}))
    assert "AWS_PROFILE" not in environment
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["CDK_DISABLE_CLI_TELEMETRY"] == "true"
    assert files == []
    assert "--no-notices" in arguments
