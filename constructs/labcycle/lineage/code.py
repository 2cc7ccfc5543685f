"""The code of a run, made again in a fresh folder: its recipe, or its commit with the changes that were in none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labcycle.client import record
from labcycle.client.uncommitted import GitFailed, find_checkout, git, is_commit
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.cannot_reproduce import CannotReproduce
from labcycle.lineage.runs_client import Run

RECIPE, ENTRY = "recipe", "train.py"
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Code:
    """`folder` is where `command` starts; its first word `python` stands for the interpreter that is used.

    `recipe`: it is run by the contract of a recipe (params, data and metrics are files); else it logs by itself.
    """

    origin: Literal["recipe", "commit"]
    folder: Path
    command: list[str]
    notes: list[str]

    @property
    def recipe(self) -> bool:
        return self.origin == "recipe"


def restore(
    run: Run, artifacts: Artifacts, folder: Path, *, repository: Path | None = None, command: list[str] | None = None
) -> Code:
    """Make the code again below `folder`.

    The recipe is taken where the run carries one, unless a repository or a command is named.

    Raises
    ------
    CannotReproduce
        If there is neither recipe nor commit, the commit or the diff cannot be had, or no command is known.
    ArtifactError
        If artifacts cannot be read.
    """
    if repository is None and not command:
        at = folder / RECIPE
        if ENTRY in artifacts.download(f"{run.artifact_uri}/{RECIPE}", at):
            return Code("recipe", at, ["python", ENTRY], [])
    commit = run.tags.get(record.COMMIT)
    if not commit:
        raise CannotReproduce(
            f"run {run.run_id} has no artifact {RECIPE}/{ENTRY} and no commit (tag {record.COMMIT}): nothing says which code "
            f"it ran. Log the script with mlflow.log_artifacts(folder, '{RECIPE}'), or call "
            f"labcycle.client.record.snapshot() in the run, from a git checkout."
        )
    recorded = _recorded(run, artifacts)
    words = command or recorded.get("command") or []
    if not words or not all(isinstance(word, str) for word in words):
        raise CannotReproduce(
            f"run {run.run_id} does not say how it was started: the stock client records no arguments. Name the command: "
            f"labcycle runs reproduce {run.run_id} -- python train.py ..."
        )
    notes = _check_out(run, commit, artifacts, repository or Path.cwd(), folder / "code")
    start = (folder / "code" / str(recorded.get("folder") or ".")).resolve()
    if not start.is_relative_to((folder / "code").resolve()) or not start.is_dir():
        raise CannotReproduce(
            f"the folder {recorded.get('folder')!r} in which it was started is not in commit {commit}."
        )
    return Code("commit", start, list(words), notes)


def _recorded(run: Run, artifacts: Artifacts) -> dict[str, Any]:
    """How the run was started, by its snapshot."""
    content = artifacts.read(run.artifact_uri, f"{record.FOLDER}/{record.SNAPSHOT}")
    try:
        code = json.loads(content or b"{}").get("code")
    except (ValueError, AttributeError):
        return {}
    return code if isinstance(code, dict) else {}


def _check_out(run: Run, commit: str, artifacts: Artifacts, repository: Path, target: Path) -> list[str]:
    try:
        checkout = find_checkout(repository)
    except GitFailed as error:
        raise CannotReproduce(f"{repository} cannot be read: {error}") from None
    if checkout is None:
        raise CannotReproduce(
            f"{repository} is in no git checkout. Name one that has the commit {commit}: --repository PATH."
        )
    if not is_commit(commit):
        raise CannotReproduce(f"the tag {record.COMMIT} of run {run.run_id} is {commit[:80]!r}, which is no commit id.")
    try:
        git(checkout.root, "cat-file", "-e", f"{commit}^{{commit}}")
    except GitFailed:
        remote = run.tags.get(record.REMOTE)
        raise CannotReproduce(
            f"the commit {commit} is not in {checkout.root}. Fetch it, or name another checkout: --repository PATH"
            + (f" (the run's was cloned from {remote})." if remote else ".")
        ) from None
    try:
        git(checkout.root, *_NO_HOOKS, "clone", "--quiet", "--shared", "--no-checkout", str(checkout.root), str(target))
        git(target, *_NO_HOOKS, "checkout", "--quiet", "--detach", commit)
    except GitFailed as error:
        raise CannotReproduce(f"the commit {commit} cannot be checked out: {error}") from None
    notes = []
    if (target / ".gitmodules").exists():
        notes.append("the commit has submodules, which are not fetched")
    if left_out := run.tags.get(record.LEFT_OUT):
        notes.append(f"the run's diff lacks {left_out}")
    return notes + _apply(run, artifacts, target)


def _apply(run: Run, artifacts: Artifacts, target: Path) -> list[str]:
    """Apply the run's own changes to the checked out commit."""
    wanted = run.tags.get(record.UNCOMMITTED)
    if not wanted:
        return ["whether there were changes in no commit is not recorded: the commit alone is run"]
    if wanted == record.CLEAN:
        return []
    path = f"{record.FOLDER}/{record.DIFF}"
    diff = artifacts.read(run.artifact_uri, path)
    if diff is None:
        raise CannotReproduce(f"the artifact {path} of run {run.run_id} is gone, and the run had changes in no commit.")
    if hashlib.sha256(diff).hexdigest() != wanted:
        raise CannotReproduce(f"the artifact {path} of run {run.run_id} was changed: its SHA-256 is not {wanted}.")
    if diff:
        try:
            git(target, "apply", "--whitespace=nowarn", "-", given=diff)
        except GitFailed as error:
            raise CannotReproduce(f"the changes in {path} do not apply to the run's commit: {error}") from None
    return []
