"""The group `labcycle new`: start something from a template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labcycle.scaffold.project import ENTRY, project, write

app = typer.Typer(name="new", no_args_is_help=True, help="Start something from a template.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def model(
    name: Annotated[str, typer.Argument(help="Name of the model; of its folder, too.")],
    into: Annotated[Path, typer.Option(help="Where its folder is made.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Start the project of a model: recipe, logging script, a test that runs offline, and its entry for the team file.

    Nothing is overwritten, and no team file is changed.
    """
    contents = project(name)
    folder = into / name
    write(contents, folder)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "files": sorted(contents), "team_file_entry": contents[ENTRY]}))
        return
    for path in sorted(contents):
        typer.echo(f"wrote {folder / path}")
    typer.echo(
        f"\nBelow models: in infra/teams/TEAM.yaml goes this, with owner and image of yours ({folder / ENTRY}):\n"
    )
    typer.echo(contents[ENTRY])
    typer.echo(f"Then: labcycle validate. To try it: cd {folder} && python -m pytest")
