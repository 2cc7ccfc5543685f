"""`labcycle team`: orphans, destroy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .account import Account
from .destruction import Destruction
from .orphans import orphans as find_orphans
from .orphans import teams_with_file
from .report import SHARED, orphans_as_document, orphans_as_text, plan_as_text

app = typer.Typer(name="team", help="What has no team file, and the end of a sandbox.", no_args_is_help=True)


@app.command()
def orphans(
    teams: Annotated[Path, typer.Argument(help="Folder with the team files.")] = Path("infra/teams"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List what is in the account and region of teams that have no file. Changes nothing; exits 1 if there is something."""
    known, account = teams_with_file(teams), Account()
    where = account.sentence
    found = find_orphans(account, known)
    if as_json:
        typer.echo(json.dumps({"where": where, "orphans": orphans_as_document(found)}, indent=2))
    else:
        typer.echo(f"{where}\n{orphans_as_text(found)}")
    if found:
        raise typer.Exit(1)


@app.command()
def destroy(
    team: Annotated[str, typer.Argument(help="Name of the team. What is deployed has to be a sandbox.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this, only say what would be done.")] = False,
) -> None:
    """End a sandbox with all its data: what runs, stacks, buckets, logs, volumes. Run it again to go on after a failure."""
    account = Account()
    destruction = Destruction(account, team, typer.echo)
    typer.echo(account.sentence)
    destruction.refuse_unless_sandbox()
    if not yes:
        typer.echo(plan_as_text(team, destruction.plan()))
        return
    destruction.execute()
    stays = "\n".join(f"  {sentence}" for sentence in [*destruction.stays(), SHARED])
    typer.echo(f"The sandbox {team} has ended. What stays:\n{stays}")
