"""The command `retention`: what the team's rules let go, and, when it is asked for, letting it go."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from labcycle.client.api import LIFECYCLE, ApiError, TeamApi
from labcycle.client.tables import print_table
from labcycle.errors import LabcycleError

_PATH = f"{LIFECYCLE}/retention"


class RetentionClient(TeamApi):
    """The retention of a team's runs."""

    def plan(self) -> dict[str, Any]:
        """What would go, of all experiments: `{"rules": [...], "runs": [...]}`; each run with what keeps it, if anything.

        Raises
        ------
        ApiError
            Also where the team has no rules.
        """
        runs: list[dict[str, Any]] = []
        query: dict[str, str] | None = {}
        rules: list[dict[str, Any]] = []
        while query is not None:
            try:
                page = self.call("GET", f"{_PATH}/plan", query=query)
            except ApiError as error:
                if error.code == "ENDPOINT_NOT_FOUND":
                    raise ApiError(
                        "This team has no rules of retention: all of its runs stay. Rules stand in the team file, for instance "
                        "tracking: {retention: [{status: deleted, days: 30}]}.",
                        status=error.status,
                        code=error.code,
                    ) from None
                raise
            runs += [{"experiment_id": page["experiment_id"], **run} for run in page["runs"]]
            rules, query = page["rules"], page["next"]
        return {"rules": rules, "runs": runs}

    def erase(self, run_id: str) -> None:
        """Let a run go, in as many calls as it takes. Raises `ApiError`, also where no rule lets it go."""
        while not self.call("POST", f"{_PATH}/erase", body={"run_id": run_id})["finished"]:
            pass


def register(app: typer.Typer) -> None:
    """Add the command to `app`. Errors are raised as `LabcycleError`."""

    @app.command()
    def retention(
        apply: Annotated[
            bool, typer.Option("--apply", help="Let it go, for good. Without it nothing is changed.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Show which runs the team's rules let go, and what keeps others. Artifacts and points go; the record stays."""
        client = RetentionClient()
        plan = client.plan()
        going = [run for run in plan["runs"] if run["kept_for"] is None]
        erased, refused = _erase(client, going) if apply else ([], {})
        if as_json:
            typer.echo(json.dumps({**plan, "erased": erased, "refused": refused}, indent=2))
        else:
            _print(plan, len(going), erased, refused, apply=apply)
        if refused:
            raise typer.Exit(1)


def _erase(client: RetentionClient, runs: list[dict[str, Any]]) -> tuple[list[str], dict[str, str]]:
    """What went, and why others did not: they changed, or a version was built from them, since the plan was made.

    Any other trouble meets the next run too: it ends there, and what went until then is told.
    """
    erased: list[str] = []
    refused: dict[str, str] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for run in progress.track(runs, description="erasing"):
            try:
                client.erase(run["run_id"])
                erased.append(run["run_id"])
            except LabcycleError as error:
                refused[run["run_id"]] = str(error)
                if not (isinstance(error, ApiError) and error.status in (404, 409)):
                    break
    return erased, refused


def _print(plan: dict[str, Any], going: int, erased: list[str], refused: dict[str, str], *, apply: bool) -> None:
    rules = ", ".join(f"{rule['status']} after {rule['days']} days" for rule in plan["rules"])
    rows = []
    for run in plan["runs"]:
        status = "deleted" if run["lifecycle_stage"] == "deleted" else run["status"].lower()
        kept = run["kept_for"] or ""
        rows.append((run["run_id"], run["name"], run["experiment_id"], status, str(run["idle_days"]), kept))
    if rows:
        print_table(f"rules: {rules}", ("run", "name", "experiment", "status", "idle days", "kept for"), rows)
    for run_id, why in refused.items():
        typer.echo(f"{run_id} was not let go: {why}", err=True)
    if apply and (untried := going - len(erased) - len(refused)):
        typer.echo(f"stopped there: {untried} more runs were not tried", err=True)
    if apply:
        typer.echo(f"{len(erased)} runs were let go; their records stay")
    elif going:
        typer.echo(f"{going} runs would go, nothing was changed. Let them go for good: labcycle retention --apply")
    else:
        typer.echo("nothing would go")
