"""The commands `verify` and `export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
import urllib3

from labcycle.client.api import TeamApi
from labcycle.client.custody.anchors import anchors_of
from labcycle.client.custody.collect import AT_ONCE, collect, known_subjects
from labcycle.client.custody.material import Material
from labcycle.client.custody.verification import Verdict, verify
from labcycle.errors import LabcycleError

Subject = Annotated[
    str | None, typer.Argument(help="model/NAME, experiment/ID or run/ID; NAME alone is a model. Default: all.")
]
Anchors = Annotated[
    str, typer.Option(help="Bucket of the anchors. Default: the team's, in the account of your credentials.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`. Errors are raised as `LabcycleError`."""

    @app.command(name="verify")
    def verify_(
        subject: Subject = None,
        source: Annotated[
            Path | None, typer.Option("--from", help="Verify this file of `labcycle export`, offline.")
        ] = None,
        anchors: Anchors = "",
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Recompute the chains of custody, and hold them against the anchors. Exits 1 where something was changed."""
        if source and (subject or anchors):
            raise LabcycleError("labcycle verify: --from takes the whole file: leave SUBJECT and --anchors out")
        verdict = verify(_from(source) if source else _collect(subject, anchors))
        if as_json:
            typer.echo(json.dumps(verdict.to_doc(), indent=2))
        else:
            _print(verdict)
        if not verdict.whole:
            raise typer.Exit(1)

    @app.command()
    def export(subject: Subject = None, anchors: Anchors = "") -> None:
        """Print the events of custody, what they fix, and the anchors, as JSON Lines."""
        for line in _collect(subject, anchors).lines():
            typer.echo(line)


def _collect(subject: str | None, bucket: str) -> Material:
    api = TeamApi(pool=urllib3.PoolManager(maxsize=AT_ONCE))
    wanted = [subject if "/" in subject else f"model/{subject}"] if subject else []
    found = collect(api, lambda team: anchors_of(team, api.address, bucket), wanted)
    for name in wanted:
        if not found.chains[name].events and name not in known_subjects(found):
            raise LabcycleError(
                f"labcycle verify: the ledger of the team {found.team} knows no {name}. Give model/NAME, experiment/ID or run/ID"
            )
    return found


def _from(source: Path) -> Material:
    try:
        with source.open(encoding="utf-8") as lines:
            return Material.from_lines(lines, str(source))
    except (OSError, UnicodeDecodeError) as error:
        raise LabcycleError(f"{source}: {error}. Name a file made by `labcycle export`") from None


def _print(verdict: Verdict) -> None:
    for finding in verdict.findings:
        typer.echo(f"broken: {finding}")
    for note in verdict.notes:
        typer.echo(f"note: {note}")
    if verdict.whole:
        against = ""
        if verdict.anchors:
            against = f", as {verdict.anchors} anchors say, the last of {verdict.anchored_until}"
        typer.echo(f"whole: {verdict.events} events of {verdict.subjects} subjects{against}")
