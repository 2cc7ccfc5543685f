"""The group `labcycle models`: what a team has, how one of them stands, how fast they come into service."""

from __future__ import annotations

import json
import sys
import time
import webbrowser
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from labcycle.client import consumers, decisions, model_view
from labcycle.client.api import LIFECYCLE, ApiError, TeamApi, model_path
from labcycle.client.decisions import AsJson, ModelName
from labcycle.client.tables import print_json, print_table
from labcycle.errors import LabcycleError

WATCH_SECONDS = 5
_PARTS_EVERY = 12  # looks: what a run's record holds is read from S3, file by file, and seldom changes

app = typer.Typer(
    name="models",
    no_args_is_help=True,
    help="The team's models: what there is, what is live, what is decided about it.",
)
decisions.register(app)
consumers.register(app)


class ModelsClient(TeamApi):
    """All methods raise `ApiError`."""

    def models(self) -> dict[str, Any]:
        """All models: `{"team", "models": [{"name", "versions", "newest", "live", ...}]}`."""
        page = self.call("GET", f"{LIFECYCLE}/models")
        models = list(page["models"])
        while page["next"] is not None:
            page = self.call("GET", f"{LIFECYCLE}/models", query={"after": page["next"]})
            models += page["models"]
        return {"team": page["team"], "models": models}

    def overview(self, model: str) -> dict[str, Any]:
        """One model, without what its versions lack."""
        return self.call("GET", f"{model_path(model)}/overview")

    def missing(self, model: str) -> dict[int, list[str]]:
        """The parts that the run of each version lacks; none where its record is whole."""
        said = self.call("GET", f"{model_path(model)}/completeness")
        return {version["version"]: version["missing"] for version in said["versions"]}

    def pace(self, model: str, days: int) -> dict[str, Any]:
        """The figures of one model."""
        return self.call("GET", f"{model_path(model)}/pace", query={"days": str(days)})

    def usage(self, model: str, days: int) -> dict[str, Any]:
        """What the servers of one model used of what they run on."""
        return self.call("GET", f"{model_path(model)}/usage", query={"days": str(days)})

    def pace_of_team(self, days: int) -> dict[str, Any]:
        """The figures of each model, and of all: `{"team", "models": [...], "together", "whole": bool}`."""
        return self.call("GET", f"{LIFECYCLE}/pace", query={"days": str(days)})


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the team's models: newest version, what is live since when and by whom, how many versions."""
    said = ModelsClient().models()
    if as_json:
        return print_json(said)
    if not said["models"]:
        typer.echo("no model is registered; register one with MLflow, or: labcycle models import FILE --name NAME")
        return
    print_table(said["team"], model_view.LIST_HEADINGS, [model_view.list_row(model) for model in said["models"]])


@app.command()
def show(
    model: ModelName,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help=f"Look again every {WATCH_SECONDS} seconds, until Ctrl-C.")
    ] = False,
) -> None:
    """Show how a model stands: what is live, traffic and drift, versions, what was decided in the last days."""
    if watch and as_json:
        raise LabcycleError("labcycle models show: got --watch and --json; allowed one of them. Leave the other out")
    client = ModelsClient()
    if watch:
        return _watch(client, model)
    said = _whole(client.overview(model), client.missing(model))
    console = Console()
    print_json(said) if as_json else console.print(model_view.model(said, console.width))


@app.command()
def pace(
    model: Annotated[str | None, typer.Argument(help="Name of a registered model. Absent: all of the team.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far to look back.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Show how fast versions go live and how often they are taken back, from the chain of custody.

    Exits 1 where the chain of a model is broken: its figures prove nothing then.
    """
    client = ModelsClient()
    said: dict[str, Any] = (
        client.pace_of_team(days) if model is None else {"models": [client.pace(model, days)], "whole": True}
    )
    if as_json:
        print_json(said)
    else:
        rows = [model_view.pace_row(one["model"], one) for one in said["models"]]
        if model is None:
            rows.append(model_view.pace_row("all", said["together"]))
        print_table(f"the last {days} days", model_view.PACE_HEADINGS, rows)
    if not said["whole"]:
        typer.echo(f"the team has more models; only these {len(said['models'])} are counted", err=True)
    broken = [one["model"] for one in said["models"] if not one["verified"]]
    for name in broken:
        typer.echo(f"broken: the chain of custody of {name}; see labcycle models history {quote(name)}", err=True)
    if broken:
        raise typer.Exit(1)


@app.command("advise")
def advise_size(
    model: ModelName,
    days: Annotated[int, typer.Option(min=1, max=92, help="How far to look back.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Show what the servers of a model use of what they run on, and which size to give them in the team file."""
    from labcycle.client import advice_view
    from labcycle.client.advice import advise

    usage = ModelsClient().usage(model, days)
    advice = advise(usage)
    print_json({"usage": usage, "advice": advice.to_doc()}) if as_json else advice_view.show(usage, advice)


@app.command("import")
def bring_in(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|FILE", help="An MLflow model folder, or an .onnx file.")],
    name: Annotated[str, typer.Option(help="Name of the registered model that gets a new version.")],
    note: Annotated[str, typer.Option(help="Where it comes from; it is kept with run and version.")] = "",
    as_json: AsJson = False,
) -> None:
    """Bring in a model that was built elsewhere: logged into a run of its own, registered, and known to be incomplete."""
    from labcycle.client.model_import import import_model
    from labcycle.lineage.artifacts import Artifacts
    from labcycle.lineage.runs_client import RunsClient

    client = RunsClient()
    made = import_model(client, Artifacts(client), source, name, note, lambda line: typer.echo(line, err=True))
    if as_json:
        return print_json(asdict(made))
    typer.echo(f"{made.model}: version {made.version} is registered, from run {made.run_id}")
    typer.echo(f"incomplete: its record lacks {', '.join(made.missing)}; see labcycle runs parts {made.run_id}")


@app.command("app")
def open_page(
    model: ModelName,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0: one that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open the page on which to try a model, until Ctrl-C; its requests are signed with your credentials."""
    from labcycle.client.model_api import ModelApi
    from labcycle.client.model_page import ModelPage

    api = ModelApi.find(model)
    api.get("/version")  # so that what is in the way is said here
    api.get("/app")
    with ModelPage(api, port) as page:
        typer.echo(json.dumps({"url": page.url}) if as_json else f"{model} is at {page.url} until Ctrl-C")
        sys.stdout.flush()
        if not no_browser and not as_json:
            webbrowser.open(page.url)
        try:
            page.serve_forever()
        except KeyboardInterrupt:
            return


@app.command("openapi")
def print_openapi(model: ModelName) -> None:
    """Print the OpenAPI document of a model's API, as the signature of the live version makes it."""
    from labcycle.client.model_api import ModelApi

    print_json(ModelApi.find(model).document())


def _whole(overview: dict[str, Any], missing: dict[int, list[str]]) -> dict[str, Any]:
    """The overview, each version with the parts that it lacks; None where that is not known yet."""
    versions = [{**version, "missing": missing.get(version["version"])} for version in overview["versions"]]
    return {**overview, "versions": versions}


def _watch(client: ModelsClient, model: str) -> None:
    console = Console()
    look = _looks(client, model, console)
    with Live(look(), console=console, auto_refresh=False) as live:
        try:
            while True:
                live.refresh()
                time.sleep(WATCH_SECONDS)
                live.update(look())
        except KeyboardInterrupt:
            return


def _looks(client: ModelsClient, model: str, console: Console) -> Callable[[], RenderableType]:
    """Each call looks again. A look that fails, but for the first one, shows what was seen before, and why."""
    seen: dict[str, Any] = {}
    missing: dict[int, list[str]] = {}
    count = 0

    def look() -> RenderableType:
        nonlocal seen, missing, count
        problem = ""
        try:
            overview = client.overview(model)
            if count % _PARTS_EVERY == 0 or any(v["version"] not in missing for v in overview["versions"]):
                missing = client.missing(model)
            seen = _whole(overview, missing)
        except ApiError as error:
            if not seen:
                raise
            problem = f"not seen anew: {error}"
        count += 1
        said = problem or f"at {seen['at'][11:19]} UTC, every {WATCH_SECONDS} seconds until Ctrl-C"
        return Group(Text(said, style="red" if problem else "dim"), model_view.model(seen, console.width))

    return look
