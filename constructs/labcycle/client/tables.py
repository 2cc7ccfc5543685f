"""What commands print: tables for people, JSON for programs. Names and reasons are shown as they were written: brackets in them are no markup."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_json(document: object) -> None:
    typer.echo(json.dumps(document, indent=2))


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    Console().print(table(title, headings, rows))


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *, one_line: bool = False) -> Table:
    """`one_line`: what is too long is cut, in the widest columns first, so that each row takes one line."""
    made = Table(title=Text(title, style="table.title"), title_justify="left")
    for heading in headings:
        made.add_column(heading)
    for row in rows:
        made.add_row(*(Text(cell, no_wrap=one_line, overflow="ellipsis" if one_line else None) for cell in row))
    return made
