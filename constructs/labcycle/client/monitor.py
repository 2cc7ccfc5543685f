"""The group `labcycle monitor`: how models fare, what moved, what would be done about it, and who looks after them."""

from __future__ import annotations

import json
import re
import tempfile
import time
import webbrowser
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from labcycle.client import monitor_view
from labcycle.client.api import LIFECYCLE, ApiError, TeamApi, model_path
from labcycle.client.decisions import AsJson, ModelName
from labcycle.client.own_rights import OwnRights
from labcycle.client.signing import region_of
from labcycle.client.tables import print_json
from labcycle.errors import LabcycleError

WATCH_SECONDS = 15  # an evaluation is minutes or hours away
MANUAL = "manual"

app = typer.Typer(
    name="monitor",
    no_args_is_help=True,
    help="How models fare: verdicts and since when, drift reports, checks of any window, reactions, orphans.",
)


class MonitorClient(TeamApi):
    """All methods raise `ApiError`."""

    def of_team(self) -> dict[str, Any]:
        """All models: `{"team", "models": [...]}`, each as `of_model` has it."""
        page = self.call("GET", f"{LIFECYCLE}/monitoring")
        models = list(page["models"])
        while page["next"] is not None:
            page = self.call("GET", f"{LIFECYCLE}/monitoring", query={"after": page["next"]})
            models += page["models"]
        return {"team": page["team"], "models": models}

    def of_model(self, model: str) -> dict[str, Any]:
        """What the monitor found of one model: `{"live", "subjects", "trend", "requests", "reaction", ...}`."""
        return self.call("GET", f"{model_path(model)}/monitoring")

    def check(self, model: str, hours: int | None) -> dict[str, Any]:
        """What the live version saw beside its training data: `{"verdict", "rows", "columns": [...], ...}`."""
        query = {} if hours is None else {"hours": str(hours)}
        return self.call("GET", f"{model_path(model)}/monitoring/check", query=query)

    def report(self, model: str, at: str) -> str:
        """An evaluation as a page of HTML."""
        return self.page(f"{model_path(model)}/monitoring/report", query={"at": at} if at else {})

    def plan(self, model: str, cause: str) -> dict[str, Any]:
        """What a reaction to this cause would do now, and the state machine that does it: `{"do", "machine", "may_begin", "problems", "training",
        ...}`."""
        return self.call("GET", f"{model_path(model)}/reactions/plan", query={"cause": cause})

    def orphans(self, days: int) -> dict[str, Any]:
        """All findings: `{"team", "days", "models": [{"model", "findings"}], "looked_at"}`."""
        query = {"days": str(days)}
        page = self.call("GET", f"{LIFECYCLE}/orphans", query=query)
        models, looked_at = list(page["models"]), page["looked_at"]
        while page["next"] is not None:
            page = self.call("GET", f"{LIFECYCLE}/orphans", query={**query, "after": page["next"]})
            models, looked_at = models + page["models"], looked_at + page["looked_at"]
        return {"team": page["team"], "days": page["days"], "models": models, "looked_at": looked_at}


@app.command()
def status(
    model: Annotated[str | None, typer.Argument(help="Name of a registered model. Absent: all of the team.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help=f"Look again every {WATCH_SECONDS} seconds, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show verdicts and since when, the figures of the last evaluations, requests, and the reaction. Exits 1 where something failed."""
    if watch and as_json:
        raise LabcycleError("labcycle monitor status: got --watch and --json; allowed one of them. Leave the other out")
    client = MonitorClient()
    if watch:
        return _watch(client, model)
    said = _look(client, model)
    if as_json:
        print_json(said)
    else:
        Console().print(_shown(said, model))
    if any(one["verdict"] in monitor_view.FAILED for each in _models(said) for one in each["subjects"]):
        raise typer.Exit(1)


@app.command()
def report(
    model: ModelName,
    at: Annotated[
        str, typer.Option(metavar="TIME", help="Of the evaluation of this time (ISO 8601), or the last one before it.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it. Absent: MODEL-drift.html here.")
    ] = None,
    open_it: Annotated[
        bool, typer.Option("--open", help="Open it in the browser, from a file among the temporary ones.")
    ] = False,
) -> None:
    """Write an evaluation as a page: what moved, since when, cohorts, coverage, and what to do. It asks for nothing else."""
    if open_it and out:
        raise LabcycleError("labcycle monitor report: got --open and --out; allowed one of them. Leave the other out")
    page = MonitorClient().report(model, at)
    name = f"{re.sub(r'[^A-Za-z0-9._-]', '_', model)}-drift.html"
    path = Path(tempfile.mkdtemp(prefix="labcycle-")) / name if open_it else out or Path(name)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise LabcycleError(f"{path} cannot be written: {error.strerror}. Choose another one with --out") from None
    typer.echo(f"wrote {path}")
    if open_it and not webbrowser.open(path.as_uri()):
        raise LabcycleError(f"no browser could be opened; the page is {path}")


@app.command()
def check(
    model: ModelName,
    window: Annotated[
        int | None,
        typer.Option(
            min=1, max=744, metavar="HOURS", help="How far to look back. Absent: as far as an evaluation does."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge now what the live version saw, each column beside the training data; nothing is recorded. Exits 1 where one moved."""
    said = MonitorClient().check(model, window)
    if as_json:
        print_json(said)
    else:
        Console().print(monitor_view.check(said))
    if said["verdict"] == "drifting":
        raise typer.Exit(1)


@app.command()
def react(
    model: ModelName,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be done, and whether it may begin.")
    ] = False,
    cause: Annotated[
        str, typer.Option(help="What is reacted to, which decides by which policy: a cause of the team file.")
    ] = MANUAL,
    as_json: AsJson = False,
) -> None:
    """Start the reaction of a model, by the policy for the cause, under its lock, its cool-down and its budget."""
    client = MonitorClient()
    said = client.plan(model, cause)
    if dry_run:
        if as_json:
            return print_json(said)
        for line in monitor_view.plan(said):
            Console().print(Text(line))
        return
    execution = _start(region_of(client.address), said["machine"], model, {"policy": said["policy"], "cause": cause})
    if as_json:
        return print_json({"model": model, "execution": execution, "policy": said["policy"], "cause": cause})
    typer.echo(f"{model}: the reaction {execution} has begun; see it: labcycle monitor status {model}")


@app.command()
def orphans(
    days: Annotated[
        int, typer.Option(min=1, max=999, help="Days without traffic, and of versions without a promotion.")
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """List models without owner, live version, traffic, labels or evaluation, and versions never promoted, with the evidence."""
    said = MonitorClient().orphans(days)
    if as_json:
        return print_json(said)
    if not said["models"]:
        typer.echo(f"{said['team']}: nothing is found of {said['looked_at']} models")
        return
    Console().print(monitor_view.orphans(said["models"]))
    typer.echo(f"{len(said['models'])} of {said['looked_at']} models")


def _start(region: str, machine: str, model: str, given: Mapping[str, Any]) -> str:
    """Name of the execution that was started with the rights of the caller's own role."""
    aws = OwnRights(region, "Members who operate may")
    execution = f"by-hand-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    aws.ask(
        f"the reaction of {model}",
        lambda: aws.client("stepfunctions").start_execution(
            stateMachineArn=machine, name=execution, input=json.dumps(given)
        ),
    )
    return execution


def _look(client: MonitorClient, model: str | None) -> dict[str, Any]:
    return client.of_team() if model is None else client.of_model(model)


def _models(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(said["models"]) if "models" in said else [dict(said)]


def _shown(said: Mapping[str, Any], model: str | None) -> RenderableType:
    if model is not None:
        return monitor_view.model(said)
    if not said["models"]:
        return Text("no model is registered; register one with MLflow, or: labcycle models import FILE --name NAME")
    return monitor_view.team(said)


def _watch(client: MonitorClient, model: str | None) -> None:
    """A look that fails, but for the first one, shows what was seen before, and why."""
    seen = _look(client, model)
    problem = ""
    with Live(auto_refresh=False) as live:
        try:
            while True:
                at = _models(seen)[0]["at"][11:19] if _models(seen) else ""
                said = problem or f"at {at} UTC, every {WATCH_SECONDS} seconds until Ctrl-C"
                live.update(Group(Text(said, style="red" if problem else "dim"), _shown(seen, model)), refresh=True)
                time.sleep(WATCH_SECONDS)
                try:
                    seen, problem = _look(client, model), ""
                except ApiError as error:
                    problem = f"not seen anew: {error}"
        except KeyboardInterrupt:
            return
