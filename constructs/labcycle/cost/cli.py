"""`labcycle cost`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labcycle.check.estate import Estate
from labcycle.check.synthesis import synthesize
from labcycle.check.template import templates_at
from labcycle.client.tables import print_json
from labcycle.errors import LabcycleError

from . import view
from .document import whole
from .estimate import TEAM, target_estimates, team_estimate, teams
from .prices import own_prices


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(cost)


def cost(
    team: Annotated[str | None, typer.Argument(help="A team. Default: all, a line each.")] = None,
    assembly: Annotated[
        Path | None,
        typer.Option(help="A folder made by `cdk synth`. Default: synthesize the app of this folder."),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="A YAML file with figures of your own, such as nat_gateway_hour: 0.04, in US dollars."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, with every figure.")] = False,
) -> None:
    """Show what teams cost before they are deployed: while nobody uses them, by use, and by part.

    Everything is read from the templates. What has no price is named, and is in no sum. Prices are public ones with their date, an
    estimate and not a quote.
    """
    own = own_prices(prices) if prices else {}
    with _estate(assembly, team) as estate:
        known = teams(estate)
        if not known:
            raise LabcycleError(
                f"labcycle cost: no stack of the templates has the tag {TEAM}. Name a folder with the stacks of a team, or write "
                "infra/teams/NAME.yaml"
            )
        estimates = [team_estimate(estate, one, own) for one in ([team] if team else known)]
        targets = target_estimates(estate, own, team or "")
    if as_json:
        print_json(whole(estimates, targets))
    elif team:
        Console().print(view.team(estimates[0], targets))
    else:
        Console().print(view.all_teams(estimates, targets))


@contextmanager
def _estate(assembly: Path | None, team: str | None) -> Iterator[Estate]:
    """The templates, which exist as long as the context does; of one team alone where that can be asked for."""
    if assembly is not None:
        yield Estate(templates_at(assembly))
        return
    context: Mapping[str, str] = {"team": team} if team else {}
    with tempfile.TemporaryDirectory(prefix="labcycle-cost-") as folder:
        out = Path(folder) / "cdk.out"
        synthesize(Path.cwd(), out, context)
        yield Estate(templates_at(out))
