"""Run a module as a program of its own, which takes a request in JSON and gives an answer in JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

from labcycle.check.finding import CheckError
from labcycle.check.synthesis import program_folders


def answer_of(module: str, request: Any) -> Any:
    """What the module answers.

    Raises
    ------
    CheckError
        If it fails, with what it said, or gives no answer.
    """
    environment = os.environ | {
        "PATH": _path(),
        "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }
    command = [sys.executable, "-P", "-m", module]  # -P: no module of the working folder
    run = subprocess.run(
        command, input=json.dumps(request), env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        said = run.stderr.strip() or f"exit code {run.returncode}"
        raise CheckError(f"its program failed:\n{said[-2000:]}")
    try:
        return json.loads(run.stdout)
    except ValueError:
        raise CheckError(f"its program gave no answer: {run.stdout[:200]!r}") from None


def has_node() -> bool:
    """Whether a program that needs the CDK finds the Node that this runs on."""
    return shutil.which(os.environ.get("JSII_NODE", "node"), path=_path()) is not None


def _path() -> str:
    return os.pathsep.join([*program_folders(), os.environ.get("PATH", "")])
