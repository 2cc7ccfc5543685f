"""The lock of a run: which packages at which version, and how two locks differ."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from labcycle.client import record
from labcycle.errors import LabcycleError
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.runs_client import Run, RunsClient

_PINNED = re.compile(r"#? *([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])? *(?:==|@) *([^ ;#]+)")
MODEL_REQUIREMENTS = "requirements.txt"


class LockChanged(LabcycleError):
    """The lock is not the one that the run recorded."""


@dataclass(frozen=True)
class Lock:
    """`whole`: all that was installed; else what a model of the run needs by itself."""

    text: str
    whole: bool
    origin: str

    def packages(self) -> dict[str, str]:
        """Version of each package, by its normal name."""
        return packages(self.text)

    def on_no_index(self) -> dict[str, str]:
        """Those that are comments: installed from a folder or file, so that pip cannot install them again."""
        comments = {line for line in self.text.splitlines() if line.lstrip().startswith("#")}
        pinned = packages("\n".join(line for line in self.text.splitlines() if line not in comments))
        return {name: version for name, version in self.packages().items() if name not in pinned}


def packages(text: str) -> dict[str, str]:
    """Version, or address, of each package that requirements pin."""
    found = (_PINNED.match(line.strip()) for line in text.splitlines())
    return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] for match in found if match}


def lock_of(client: RunsClient, artifacts: Artifacts, run: Run) -> Lock | None:
    """What the run recorded of its libraries, None where that is nothing.

    Raises
    ------
    LockChanged
        If the lock's digest is not the recorded one.
    ApiError, ArtifactError
        If it cannot be read.
    """
    path = f"{record.FOLDER}/{record.LOCK}"
    wanted = run.tags.get(record.REQUIREMENTS)
    if wanted and (content := artifacts.read(run.artifact_uri, path)) is not None:
        if hashlib.sha256(content).hexdigest() != wanted:
            raise LockChanged(f"the artifact {path} of run {run.run_id} was changed: its SHA-256 is not {wanted}.")
        return Lock(content.decode(errors="replace"), True, path)
    for model_id in run.models:
        content = artifacts.read(client.model_uri(model_id), MODEL_REQUIREMENTS)
        if content is not None:
            return Lock(content.decode(errors="replace"), False, f"{MODEL_REQUIREMENTS} of model {model_id}")
    return None


def differences(a: dict[str, str], b: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """What differs: key to value of `a` and of `b`, None where one has none."""
    return {key: (a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)}
