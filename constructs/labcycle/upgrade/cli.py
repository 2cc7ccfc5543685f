"""`labcycle diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .comparison import compare_paths
from .report import as_document, as_text


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(diff)


def diff(
    old: Annotated[Path, typer.Argument(help="What is deployed: a folder made by `cdk synth`, or a template.")],
    new: Annotated[Path, typer.Argument(help="What is to be deployed: the same of the new version.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Name each resource that an update would replace or delete, and what it holds. Exits 1 if one holds data, 2 if they
    could not be compared.
    """
    comparison = compare_paths(old, new)
    typer.echo(json.dumps(as_document(comparison), indent=2) if as_json else as_text(comparison))
    if comparison.stateful:
        raise typer.Exit(1)
