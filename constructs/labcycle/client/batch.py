"""The group `labcycle batch`: start the batches of a model, resume them, see how they go.

A member starts and reads them with the rights of the own role; what a run did is in the team's artifact bucket, and is read there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from labcycle.client.api import TeamApi, model_path
from labcycle.client.decisions import AsJson, ModelName, Watch
from labcycle.client.own_rights import NotThere, OwnRights
from labcycle.client.signing import region_of
from labcycle.client.tables import print_json, print_table
from labcycle.config import names
from labcycle.errors import LabcycleError

LOOK_SECONDS = 5
_AT_ONCE = 16  # objects that are read
_SHOWN = 20
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_RUN = re.compile(r"[A-Za-z0-9_-]{1,80}")
_COMPLETE, _RUNNING = "complete", "RUNNING"

app = typer.Typer(
    name="batch",
    no_args_is_help=True,
    help="The batches of a model: start a run, resume one, see how they go.",
)


@dataclass(frozen=True)
class RunView:
    """A run of a batch. `verdict` and what follows it are empty until there is a manifest; `execution` is what Step Functions says
    of the execution that went on with it last, empty where it was not asked or does not know any more, and `why` its cause of
    failure. `done` counts the objects that have a result, of `objects`."""

    run: str
    started: str = ""
    version: int | None = None
    objects: int = 0
    done: int = 0
    rows: int | None = None
    failed_rows: int | None = None
    verdict: str = ""
    failed: tuple[tuple[str, str], ...] = ()
    execution: str = ""
    why: str = ""
    folder: str = ""

    @property
    def ended(self) -> bool:
        return self.execution != _RUNNING


@app.command()
def start(
    model: ModelName,
    name: Annotated[str | None, typer.Option(help="Name of the run. Absent: when it was started.")] = None,
    resume: Annotated[
        str | None, typer.Option(help="Name of a run to go on with: what has no result yet, by its version.")
    ] = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Score the objects below batch/MODEL/in/ of the team's artifact bucket with the live version."""
    batches = Batches(model)
    execution = name or f"by-hand-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    for option, run in (("--name", execution), ("--resume", resume)):
        if run is not None and not _RUN.fullmatch(run):
            raise LabcycleError(
                f"{option}: got {run}; allowed 1 to 80 letters, digits, hyphens and underscores. Choose another name"
            )
    batches.start(execution, resume)
    run = resume or execution
    if watch:
        return _follow(batches, run, execution, as_json)
    if as_json:
        return print_json({"model": model, "run": run, "execution": execution})
    typer.echo(f"{model}: the run {run} has begun; follow it: labcycle batch show {model} {run} --watch")


@app.command()
def show(
    model: ModelName,
    run: Annotated[str | None, typer.Argument(help="Name of a run. Absent: the last ones.")] = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Show how a run goes or ended, or the last runs. With a run, exits 1 where it has ended and is not complete."""
    batches = Batches(model)
    if run is None:
        if watch:
            raise LabcycleError("labcycle batch show: got --watch without a run; name one")
        return _print_runs(model, batches.last_runs(_SHOWN), as_json)
    if watch:
        return _follow(batches, run, "", as_json)
    found = batches.look(run)
    _print_run(model, found, as_json)
    if found.ended and found.verdict != _COMPLETE:
        raise typer.Exit(1)


class Batches:
    """The batches of one model of the team whose tracking API is set. All methods raise `LabcycleError`."""

    def __init__(self, model: str) -> None:
        api = TeamApi()
        model_path(model)  # whether it can be a name
        self.model = model
        team, region = api.team(), region_of(api.address)
        self._aws = OwnRights(region, "Members who invoke the model may")
        name = names.batch_parameter(team, model)
        self._machine = self._aws.parameter(
            name,
            f"the batches of {model}",
            f"{model} has no batches: the parameter {name} is not there. Add {{form: batch}} to deliver in the team file, and deploy",
        )
        self._states, self._s3 = self._aws.client("stepfunctions"), self._aws.client("s3")
        self._bucket = names.bucket(team, "artifacts", self._machine.split(":")[4], region)
        self._out = f"batch/{model}/out/"

    def start(self, execution: str, resume: str | None) -> None:
        """Begin a run of this name, or go on with the run `resume`."""
        if self._execution(execution):
            raise LabcycleError(
                f"{self.model} has an execution {execution} already, and a name is taken once. Choose another name; to go on with the "
                f"run: labcycle batch start {self.model} --resume {execution}"
            )
        given = json.dumps({"resume": resume} if resume else {})
        if resume and self._documents(resume)[0] is None:
            raise LabcycleError(
                f"{self.model} has no run {resume} to go on with. See which there are: labcycle batch show {self.model}"
            )
        self._aws.ask(
            f"the run {execution} of {self.model}",
            lambda: self._states.start_execution(stateMachineArn=self._machine, name=execution, input=given),
        )

    def look(self, run: str, execution: str = "") -> RunView:
        """How a run stands; `execution` is the one that goes on with it. Absent: the last one that planned it."""
        plan, manifest = self._documents(run)
        plans = self._keys(f"{self._out}{run}/plans/")
        last = execution or run
        if plans and not execution:
            last = max(plans, key=lambda key: plans[key]).rpartition("/")[2].removesuffix(".json")
        said = self._execution(last) or ({"status": _RUNNING} if execution else None)  # it may not be seen at once
        if plan is None and said is None:
            raise LabcycleError(f"{self.model} has no run {run}. See which there are: labcycle batch show {self.model}")
        state = said or {}
        if state.get("status") == _RUNNING and manifest and manifest["execution"] != last:
            manifest = None  # it tells how the run ended before
        done = len(self._keys(f"{self._out}{run}/results/"))
        return replace(
            _view(run, plan, manifest),
            done=done,
            execution=state.get("status", ""),
            why=state.get("cause", ""),
            folder=f"s3://{self._bucket}/{self._out}{run}/",
        )

    def last_runs(self, count: int) -> list[RunView]:
        """The runs that were started last, the newest first."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._out, Delimiter="/")
        runs: list[str] = self._aws.ask(
            f"the runs of {self.model}",
            lambda: [
                prefix["Prefix"].removeprefix(self._out).rstrip("/")
                for page in pages
                for prefix in page.get("CommonPrefixes", ())
            ],
        )
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(lambda run: _view(run, *self._documents(run)), runs))
        return sorted(found, key=lambda view: view.started, reverse=True)[:count]

    def _documents(self, run: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The first plan, and the manifest."""
        return self._document(f"{run}/plans/{run}.json"), self._document(f"{run}/manifest.json")

    def _document(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._aws.ask(
                f"the run of {self.model}",
                lambda: json.loads(self._s3.get_object(Bucket=self._bucket, Key=self._out + name)["Body"].read()),
            )
        except NotThere:
            return None
        return found

    def _keys(self, prefix: str) -> dict[str, datetime]:
        """Objects below `prefix`, and when each was written."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        found: dict[str, datetime] = self._aws.ask(
            f"the run of {self.model}",
            lambda: {one["Key"]: one["LastModified"] for page in pages for one in page.get("Contents", ())},
        )
        return found

    def _execution(self, name: str) -> dict[str, Any] | None:
        arn = f"{self._machine.replace(':stateMachine:', ':execution:', 1)}:{name}"
        try:
            found: dict[str, Any] = self._aws.ask(
                f"the run of {self.model}", lambda: self._states.describe_execution(executionArn=arn)
            )
        except NotThere:
            return None
        return found


def _view(run: str, plan: Mapping[str, Any] | None, manifest: Mapping[str, Any] | None) -> RunView:
    view = RunView(run)
    if plan:
        view = replace(view, started=plan["started"], version=plan["deployed"]["version"], objects=len(plan["objects"]))
    if manifest:
        failed = tuple((one["object"], one["why"]) for one in manifest["objects"] if one["status"] == "failed")
        view = replace(
            view,
            objects=len(manifest["objects"]),
            rows=manifest["rows"],
            failed_rows=manifest["failed_rows"],
            verdict=manifest["verdict"],
            failed=failed,
        )
    return view


def _follow(batches: Batches, run: str, execution: str, as_json: bool) -> None:
    """A line whenever something is new, and in the end how it ended."""
    last = ""
    while not (found := batches.look(run, execution)).ended:
        line = f"{batches.model}: {_progress(found)}"
        if line != last and not as_json:
            typer.echo(line)
        last = line
        time.sleep(LOOK_SECONDS)
    _print_run(batches.model, found, as_json)
    if found.verdict != _COMPLETE:
        raise typer.Exit(1)


def _progress(view: RunView) -> str:
    if not view.started:
        return f"the run {view.run} begins"
    return f"{view.done} of {view.objects} objects are scored by version {view.version}"


def _how(view: RunView) -> str:
    if view.verdict:
        return view.verdict
    return {"": "without manifest", _RUNNING: "under way"}.get(view.execution, view.execution.lower().replace("_", " "))


def _print_run(model: str, view: RunView, as_json: bool) -> None:
    if as_json:
        return print_json({"model": model, **asdict(view)})
    typer.echo(f"{model}: the run {view.run} is {_how(view)}; {_progress(view)}, started {view.started or 'just now'}")
    if view.rows is not None:
        typer.echo(f"rows: {view.rows:,}, of which {view.failed_rows:,} failed")
    for name, why in view.failed:
        typer.echo(f"failed: {name}: {why}")
    if view.why:
        typer.echo(f"it broke off: {view.why}")
    if view.ended and view.started and (view.failed or view.verdict != _COMPLETE):
        typer.echo(f"to go on with it: labcycle batch start {model} --resume {view.run}")
    typer.echo(f"all that it wrote: {view.folder}")


def _print_runs(model: str, views: Sequence[RunView], as_json: bool) -> None:
    if as_json:
        return print_json({"model": model, "runs": [asdict(view) for view in views]})
    if not views:
        typer.echo(f"{model}: no batch has run yet; start one: labcycle batch start {model}")
        return
    rows = [
        (
            view.run,
            view.started,
            str(view.version or ""),
            str(view.objects),
            "" if view.rows is None else f"{view.rows:,}",
            "" if view.failed_rows is None else f"{view.failed_rows:,}",
            view.verdict or "no manifest",
        )
        for view in views
    ]
    print_table(model, ("run", "started", "version", "objects", "rows", "failed rows", "verdict"), rows)
