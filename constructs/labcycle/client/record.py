"""Record of a run what the stock client does not send: two lines in a script or notebook.

    from labcycle.client import record

    with mlflow.start_run():
        record.snapshot()

It logs, by MLflow's own client: the changes that are not committed, all installed packages as a lock, and where the code
runs. As artifacts below `lineage/`, and as tags that begin with `lineage.`, so that they can be searched and compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labcycle.client.surroundings import lock, surroundings
from labcycle.client.uncommitted import GitFailed, find_checkout, looks_secret, short, uncommitted
from labcycle.errors import LabcycleError

FOLDER = "lineage"  # of artifacts
DIFF, LOCK, SNAPSHOT = "uncommitted.diff", "requirements.txt", "snapshot.json"
COMMIT, BRANCH, REMOTE = "mlflow.source.git.commit", "mlflow.source.git.branch", "mlflow.source.git.repoURL"
UNCOMMITTED, LEFT_OUT, REQUIREMENTS = "lineage.uncommitted", "lineage.left_out", "lineage.requirements"
PYTHON, PLATFORM, IMAGE, GPU = "lineage.python", "lineage.platform", "lineage.image", "lineage.gpu"
COMMAND = "lineage.command"
CLEAN = "none"
_TAG_CHARACTERS = 5_000
# An option, or an assignment such as Hydra's; max_tokens and tokenizer hold no secret.
_SECRET_OPTION = re.compile(r"(?:-|(?=[^=]+=))[^=]*(passw|secret|token(?![a-z])|api.?key|credential)", re.IGNORECASE)


@dataclass(frozen=True)
class Snapshot:
    """What was logged: the tags, and what was left out, a phrase each."""

    run_id: str
    tags: dict[str, str]
    left_out: tuple[str, ...]


def snapshot(folder: Path | str | None = None) -> Snapshot:
    """Log code changes, libraries and environment to the active run. Again: the later one counts.

    Never logged are files that git ignores, files and command lines that look like they hold secrets, and files above 1 MB.

    Parameters
    ----------
    folder
        Lies in the git checkout that is recorded. Absent: the folder of the script that runs, in a notebook the current one.

    Raises
    ------
    LabcycleError
        If no run is active.
    """
    import mlflow

    run = mlflow.active_run()
    if run is None:
        raise LabcycleError("record.snapshot: no run is active. Call it inside of `with mlflow.start_run():`")
    found = taken(Path(folder) if folder else _script_folder())
    # An empty tag takes the place of one that an earlier snapshot set. A commit may be of whoever started the run instead.
    there = mlflow.get_run(run.info.run_id).data.tags
    earlier = {key for key in found.tags if there.get(key) and (key.startswith("lineage.") or there.get(UNCOMMITTED))}
    tags = {key: value for key, value in found.tags.items() if value or key in earlier}
    with tempfile.TemporaryDirectory() as place:
        for path, content in found.files.items():
            (Path(place) / Path(path).name).write_bytes(content)
        mlflow.log_artifacts(place, FOLDER)
    mlflow.set_tags(tags)
    return Snapshot(run.info.run_id, tags, found.left_out)


@dataclass(frozen=True)
class Taken:
    """What a snapshot holds: files by their path among the artifacts, tags (empty ones too), and what was left out."""

    files: dict[str, bytes]
    tags: dict[str, str]
    left_out: tuple[str, ...]

    @property
    def code_tags(self) -> dict[str, str]:
        """Those that say where the code comes from."""
        return {key: value for key in (COMMIT, BRANCH, REMOTE, UNCOMMITTED) if (value := self.tags.get(key))}


def taken(folder: Path) -> Taken:
    """What there is to record of the git checkout around `folder`, and of where this process runs."""
    files: dict[str, bytes] = {LOCK: lock().encode()}
    around = surroundings()
    tags = {
        REQUIREMENTS: hashlib.sha256(files[LOCK]).hexdigest(),
        PYTHON: around["python"],
        PLATFORM: around["platform"],
        IMAGE: around["image"],
        GPU: "; ".join(around["gpus"]),
    }
    left_out, code = _code(folder, files, tags)
    files[SNAPSHOT] = json.dumps({"code": code, "environment": around, "left_out": left_out}, indent=2).encode()
    return Taken(
        {f"{FOLDER}/{name}": content for name, content in files.items()},
        {key: value[:_TAG_CHARACTERS] for key, value in tags.items()},
        tuple(left_out),
    )


def _code(folder: Path, files: dict[str, bytes], tags: dict[str, str]) -> tuple[list[str], dict[str, Any]]:
    """Adds the diff to `files` and what is known of the code to `tags`; tells what was left out, and how it was started."""
    tags |= dict.fromkeys((COMMIT, BRANCH, REMOTE, UNCOMMITTED, LEFT_OUT, COMMAND), "")
    try:
        checkout = find_checkout(folder)
    except GitFailed as error:
        tags[LEFT_OUT] = f"the code: {error}"
        return [tags[LEFT_OUT]], {}
    if checkout is None:
        return ["the code: it is in no git checkout"], {}
    left_out: list[str] = []
    code: dict[str, Any] = {"commit": checkout.commit, "branch": checkout.branch, "remote": checkout.remote}
    tags |= {COMMIT: checkout.commit, BRANCH: checkout.branch, REMOTE: checkout.remote}
    if not checkout.commit:
        left_out.append("the code: its repository has no commit yet")
    else:
        try:
            found = uncommitted(checkout)
        except GitFailed as error:
            left_out.append(f"the uncommitted changes: {error}")
        else:
            tags[UNCOMMITTED] = CLEAN
            if found.diff or found.left_out:
                tags[UNCOMMITTED], files[DIFF] = hashlib.sha256(found.diff).hexdigest(), found.diff
            left_out += found.left_out
    tags[LEFT_OUT] = short(left_out)
    command, working = _command(checkout.root)
    if any(_SECRET_OPTION.match(word) or looks_secret(os.fsencode(word)) for word in command):
        left_out.append("the command: it looks like it holds a secret")
    elif command and len(said := json.dumps(command)) <= _TAG_CHARACTERS:
        code |= {"command": command, "folder": working}
        tags[COMMAND] = said
    else:
        left_out.append("the command: it runs in a notebook, or is too long")
    return left_out, code


def _script_folder() -> Path:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(script).resolve().parent if script and Path(script).exists() else Path.cwd()


def _command(root: Path) -> tuple[list[str], str]:
    """How this process was started, from which folder of the checkout: paths in it are made relative."""
    if not getattr(sys.modules.get("__main__"), "__file__", None) or "ipykernel" in sys.modules:
        return [], ""
    here = Path.cwd().resolve()
    inside = here.is_relative_to(root)
    start = here if inside else root
    command = [
        os.path.relpath(word, start) if Path(word).is_absolute() and Path(word).is_relative_to(root) else word
        for word in sys.orig_argv[1:]
    ]
    return ["python", *command], str(here.relative_to(root)) if inside else "."
