"""The `labcycle` command.

What is mounted from other parts is imported when it is called, so that `labcycle --help` needs the base install only.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from labcycle.config import ConfigError, json_schema, load_all, load_paths
from labcycle.errors import WRONG, LabcycleError

_TEAMS = Path("infra/teams")
_TARGETS = Path("infra/targets")
_CALLED = "labcycle.called"  # in a context: the command that was called, as against listed in a help text


@dataclass(frozen=True)
class Mounted:
    """A command of another part.

    Parameters
    ----------
    module
        Has `register(app)`, which adds the command, or `app`, which is the group of this name.
    extra
        The extra of the package that it needs; empty for none.
    summary
        What `labcycle --help` says of it.
    """

    module: str
    extra: str
    summary: str


MOUNTED = {
    "models": Mounted(
        "labcycle.client.models", "", "List, promote, try, roll back, pause and import models; see their pace."
    ),
    "monitor": Mounted(
        "labcycle.client.monitor", "", "Show how models fare; report drift, check, react, find orphans."
    ),
    "workspace": Mounted(
        "labcycle.lineage.workspace", "", "Print the environment that built a model, and how to make it anew."
    ),
    "tiers": Mounted("labcycle.client.tiers", "", "List the hardware tiers with their prices; advise which fits."),
    "batch": Mounted("labcycle.client.batch", "", "Start the batches of a model, resume them, see how they go."),
    "sweep": Mounted(
        "labcycle.sweeps.cli", "", "Run a script at many points of its parameters, each a run; resume it."
    ),
    "records": Mounted("labcycle.client.records", "", "Send what a model predicted that is served elsewhere."),
    "outcomes": Mounted("labcycle.client.outcomes", "", "Send what became of predictions, see what is known of it."),
    "new": Mounted("labcycle.scaffold.cli", "", "Start a model's project from a template."),
    "explain": Mounted("labcycle.lineage.cli", "", "Show how a version of a model was built, back to data and code."),
    "runs": Mounted("labcycle.lineage.cli", "", "Tell what runs are made of; compare, derive, reproduce them."),
    "verify": Mounted("labcycle.client.custody.cli", "", "Recompute the chains of custody, against their anchors."),
    "export": Mounted("labcycle.client.custody.cli", "", "Print the events of custody as JSON Lines."),
    "retention": Mounted("labcycle.client.retention", "", "Show which old runs would go, and let them go."),
    "status": Mounted("labcycle.client.status", "", "Show how a team's tracking stands: API, anchors, alarms, errors."),
    "cost": Mounted("labcycle.cost.cli", "", "Show what a team costs before it is deployed: idle, in use, by part."),
    "diff": Mounted("labcycle.upgrade.cli", "check", "Name what an update would replace or delete, and what it holds."),
    "team": Mounted("labcycle.removal.cli", "", "List what has no team file; end a sandbox with all its data."),
    "local": Mounted("labcycle.local.cli", "local", "Start, show and stop the embedded local cloud."),
    "demo": Mounted("labcycle.demo.cli", "local", "Deploy two teams to the local cloud and run one whole life cycle."),
}


class MissingExtra(LabcycleError):
    """A command was called whose packages are not installed."""

    def __init__(self, command: str, package: str | None, extra: str) -> None:
        super().__init__(
            f"labcycle {command}: the Python package {package} is missing. Install it with: pip install 'labcycle[{extra}]'"
        )


class LabcycleGroup(TyperGroup):
    """Mounts the commands of other parts when they are called, and tells errors in a paragraph."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *(name for name in MOUNTED if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in MOUNTED:
            return own
        if ctx.meta.get(_CALLED) == cmd_name:
            return _mount(cmd_name)
        return TyperCommand(cmd_name, help=MOUNTED[cmd_name].summary)  # listed, not called

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        ctx.meta[_CALLED] = args[0]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        return _told(lambda: super(LabcycleGroup, self).invoke(ctx), _called(ctx))


app = typer.Typer(
    name="labcycle",
    cls=LabcycleGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The whole life cycle of data science on AWS: team files, the local cloud, and what is live.",
)


def main() -> None:
    """Entry point of the command line."""
    app()


@app.callback()
def _options() -> None:
    pass


@app.command()
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Team and target files, or folders of them. Default: infra/teams and infra/targets."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check team and target files, and list every problem with its line."""
    try:
        teams, targets = load_paths(paths) if paths else load_all(_TEAMS, _TARGETS)
    except ConfigError as error:
        if not as_json:
            raise
        places = ("file", "line", "column", "path", "message")
        problems = [{key: getattr(problem, key) for key in places} for problem in error.problems]
        _print_json({"valid": False, "teams": [], "targets": [], "problems": problems})
        raise typer.Exit(WRONG) from None
    if as_json:
        names = {"teams": [team.team for team in teams], "targets": sorted(targets)}
        _print_json({"valid": True, **names, "problems": []})
        return
    for target in targets.values():
        typer.echo(f"target {target.target}: account {target.account}, {target.region}, egress {target.network.egress}")
    for team in teams:
        models = ", ".join(model.name for model in team.models) or "none"
        typer.echo(f"team {team.team}: {team.stage} in {team.target}, {len(team.members)} members, models: {models}")
    typer.echo("valid")


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="team or target")] = "team",
) -> None:
    """Print the JSON Schema of team or target files, for your editor.

    Write it to a file, and name that file in the first line of the YAML: # yaml-language-server: $schema=PATH
    """
    if kind not in ("team", "target"):
        raise LabcycleError(f"labcycle schema: got {kind}; allowed team or target. Name one of them")
    _print_json(json_schema("team" if kind == "team" else "target"))


@app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders made by `cdk synth`, or templates. Default: synthesize the app of this folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print the findings as SARIF 2.1.0.")] = False,
    capacity: Annotated[
        bool,
        typer.Option("--capacity", help="Instead: what all stacks need of the account's quotas, the fullest first."),
    ] = False,
    failures: Annotated[
        bool, typer.Option("--failures", help="Instead: every way to fail, and how somebody hears of it.")
    ] = False,
    isolation: Annotated[
        bool,
        typer.Option(
            "--isolation", help="Instead: prove for all pairs of teams that neither can use what the other has."
        ),
    ] = False,
) -> None:
    """Check every template before it is deployed. Exits 1 on findings, 2 when something could not be checked."""
    from labcycle.check import cli

    views = [
        name for name, asked in (("capacity", capacity), ("failures", failures), ("isolation", isolation)) if asked
    ]
    form = "json" if as_json else "sarif" if as_sarif else "text"
    if len(views) > 1 or (as_sarif and (as_json or views)):
        raise LabcycleError(
            "labcycle check: got options that exclude each other; allowed is one of --capacity, --failures and --isolation, "
            "with or without --json, or none of them and one of --json and --sarif. Leave the others out"
        )
    text, well = cli.view(views[0], paths or [], form) if views else cli.findings(paths or [], form)
    typer.echo(text)
    if not well:
        raise typer.Exit(1)


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, indent=2))


def _called(ctx: Any) -> str:
    return next((str(word) for word in [*getattr(ctx, "_protected_args", ()), *ctx.args]), "")


def _mount(name: str) -> Any:
    module = importlib.import_module(MOUNTED[name].module)
    holder = typer.Typer(pretty_exceptions_enable=False)
    if hasattr(module, "register"):
        module.register(holder)
    else:
        holder.add_typer(module.app, name=name)
    group: Any = typer.main.get_group(holder)
    return group.commands.get(name)


def _told(run: Callable[[], Any], command: str) -> Any:
    """What `run` gives; a known error becomes a paragraph on stderr and exit code 2."""
    try:
        return run()
    except LabcycleError as error:
        _tell(str(error))
    except ModuleNotFoundError as error:
        extra = _extra_of(command)
        if not extra or (error.name or "").startswith("labcycle"):
            raise
        _tell(str(MissingExtra(command, error.name, extra)))
    except Exception as error:
        told = _aws_error(error)
        if told is None:
            raise
        _tell(told)
    raise typer.Exit(WRONG)


def _extra_of(command: str) -> str:
    return "check" if command == "check" else MOUNTED[command].extra if command in MOUNTED else ""


def _aws_error(error: Exception) -> str | None:
    """What AWS or its client says, where that is something to mend: no credentials, no way to the endpoint, no permission."""
    if "botocore" not in sys.modules:
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, BotoCoreError | ClientError):
        return f"AWS: {error}. Check the credentials, the region, and what they may do"
    return None


def _tell(text: str) -> None:
    typer.echo(text, err=True)


if __name__ == "__main__":
    main()
