"""`labcycle workspace open`: the environment that built a version, and the commands that make it anew. Nothing is started."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from labcycle.client import record
from labcycle.errors import LabcycleError
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.cli import AsJson, parse
from labcycle.lineage.code import ENTRY, RECIPE
from labcycle.lineage.libraries import Lock, lock_of
from labcycle.lineage.runs_client import Run, RunsClient

_SHOWN = 20  # packages

app = typer.Typer(name="workspace", no_args_is_help=True, help="The environment that built a model.")


@dataclass(frozen=True)
class Environment:
    """What is known of how a version was built; "" and None for what was not recorded. `missing` are parts of the record, `commands` make
    it anew, one after another in an empty folder, and `notes` say what they cannot."""

    model: str
    version: int
    live: bool
    run_id: str
    python: str
    platform: str
    image: str
    gpu: str
    libraries: dict[str, str]
    libraries_from: str
    commit: str
    repository: str
    uncommitted: bool
    recipe: bool
    command: str
    data: list[dict[str, Any]]
    missing: list[str]
    commands: list[str]
    notes: list[str]


@app.callback()
def _group() -> None:
    pass


@app.command("open")
def open_workspace(
    model: Annotated[
        str, typer.Argument(help="MODEL, MODEL@ALIAS or MODEL/VERSION. Without either, what is live, else the newest.")
    ],
    as_json: AsJson = False,
) -> None:
    """Print the environment that built the live version, and the commands that make it anew; nothing is started.

    Exits 1 where the run recorded too little for that.
    """
    client = RunsClient()
    found = environment(client, Artifacts(client), *parse(model))
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        for line in _told(found):
            typer.echo(line)
    if found.missing:
        raise typer.Exit(1)


def environment(
    client: RunsClient, artifacts: Artifacts, model: str, version: str = "", alias: str = ""
) -> Environment:
    """Of a version of a model: the live one, or the newest, where neither is named.

    Raises
    ------
    LabcycleError
        If it has no run in this ledger, its lock was changed, or something cannot be read.
    """
    said = client.explanation(model, version=version, alias=alias)
    number = int(said["version"]["version"])
    if said["run"] is None:
        raise LabcycleError(
            f"{model}, version {number}: its run is not in this ledger, so that nothing says in which environment it was built. See what "
            f"is known of it: labcycle explain {model}/{number}"
        )
    run = client.run(said["run"]["run_id"])
    lock = lock_of(client, artifacts, run)
    recipe = artifacts.read(run.artifact_uri, f"{RECIPE}/{ENTRY}") is not None
    tags = run.tags
    missing = {part["name"] for part in said["run"]["parts"] if part["state"] == "missing"}
    return Environment(
        model=model,
        version=number,
        live=bool(said["deployment"]["live"]),
        run_id=run.run_id,
        python=tags.get(record.PYTHON, ""),
        platform=tags.get(record.PLATFORM, ""),
        image=tags.get(record.IMAGE, ""),
        gpu=tags.get(record.GPU, ""),
        libraries=lock.packages() if lock else {},
        libraries_from=lock.origin if lock else "",
        commit=tags.get(record.COMMIT, ""),
        repository=tags.get(record.REMOTE, ""),
        uncommitted=tags.get(record.UNCOMMITTED, record.CLEAN) != record.CLEAN,
        recipe=recipe,
        command=tags.get(record.COMMAND, ""),
        data=said["run"]["inputs"],
        missing=[name for name in ("code", "data", "environment", "libraries") if name in missing],
        commands=[
            *_code(run, recipe),
            *_libraries(run, lock, f"models:/{model}/{number}"),
            f"labcycle runs reproduce {run.run_id}",
        ],
        notes=list(_notes(run, lock)),
    )


def _code(run: Run, recipe: bool) -> Iterator[str]:
    tags = run.tags
    if recipe:
        yield _download(run, RECIPE)
        return
    commit, repository = tags.get(record.COMMIT), tags.get(record.REMOTE)
    if not commit:
        return
    if repository:
        yield f"git clone {shlex.quote(repository)} code"
    else:
        yield "git clone REPOSITORY code"
    yield f"git -C code checkout {shlex.quote(commit)}"
    if tags.get(record.UNCOMMITTED, record.CLEAN) != record.CLEAN:
        yield _download(run, f"{record.FOLDER}/{record.DIFF}")
        yield f"git -C code apply ../{record.FOLDER}/{record.DIFF}"


def _libraries(run: Run, lock: Lock | None, model_uri: str) -> Iterator[str]:
    if lock is None:
        return
    minor = ".".join(run.tags.get(record.PYTHON, "").split(".")[:2])
    yield f"python{shlex.quote(minor) if minor else '3'} -m venv .venv"
    if lock.whole:
        yield _download(run, f"{record.FOLDER}/{record.LOCK}")
        yield f".venv/bin/python -m pip install --no-deps -r {record.FOLDER}/{record.LOCK}"
    else:
        yield f"mlflow artifacts download --artifact-uri {shlex.quote(model_uri)} --dst-path model"
        yield ".venv/bin/python -m pip install -r model/requirements.txt"


def _notes(run: Run, lock: Lock | None) -> Iterator[str]:
    if image := run.tags.get(record.IMAGE):
        yield f"it ran in the image {image}; start that for what is no Python package"
    if run.tags.get(record.COMMIT) and not run.tags.get(record.REMOTE):
        yield "the repository of the commit was not recorded: put its address in the place of REPOSITORY"
    if lock is None:
        yield "no libraries were recorded: call labcycle.client.record.snapshot() in the runs to come"
        return
    if not lock.whole:
        yield "only what the model itself needs was recorded, not all that was installed"
    if left := lock.on_no_index():
        yield f"installed from a folder or file then, and on no index: {', '.join(sorted(left))}"


def _download(run: Run, path: str) -> str:
    folder = path.rpartition("/")[0]
    place = f" --dst-path {folder}" if folder else " --dst-path ."
    return f"mlflow artifacts download --run-id {run.run_id} --artifact-path {path}{place}"


def _told(found: Environment) -> Iterator[str]:
    live = "live" if found.live else "not live"
    yield f"{found.model}, version {found.version} ({live}), built by run {found.run_id}"
    python = ", ".join(
        part for part in (f"Python {found.python}" if found.python else "", found.platform, found.gpu) if part
    )
    yield f"environment  {python or 'not recorded'}"
    if found.image:
        yield f"image        {found.image}"
    packages = [f"{name} {version}" for name, version in sorted(found.libraries.items())]
    more = f" and {len(packages) - _SHOWN} more" if len(packages) > _SHOWN else ""
    yield (
        f"libraries    {', '.join(packages[:_SHOWN])}{more} (from {found.libraries_from})"
        if packages
        else "libraries    not recorded"
    )
    yield f"code         {_of_code(found)}"
    for item in found.data:
        yield f"data         {_of_data(item)}"
    if not found.data:
        yield "data         not recorded"
    yield ""
    yield "to make it anew, in an empty folder (workspaces are not started by this command yet):"
    yield from (f"  {command}" for command in found.commands)
    yield from (f"note: {note}" for note in found.notes)
    if found.missing:
        yield f"the record lacks {', '.join(found.missing)}; see how to supply it: labcycle runs parts {found.run_id}"


def _of_code(found: Environment) -> str:
    if not found.commit:
        return "the recipe that the run carries" if found.recipe else "not recorded"
    dirty = ", with changes that were not committed" if found.uncommitted else ""
    recipe = "; the run carries its recipe" if found.recipe else ""
    return f"commit {found.commit} of {found.repository or 'a repository that is not named'}{dirty}{recipe}"


def _of_data(item: Mapping[str, Any]) -> str:
    context = f" ({item['context']})" if item["context"] else ""
    return (
        f"{item['name']}{context}, digest {item['digest'] or 'none'}, {item['location'] or 'its place is not recorded'}"
    )
