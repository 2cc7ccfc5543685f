"""How a shadow does, beside the version that answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import typer

from labcycle.client.api import LifecycleClient
from labcycle.client.sides import print_sides
from labcycle.client.tables import print_json

LOOK_SECONDS = 5
_NOT_SEEN = {
    "too_large": "too large to be shown",
    "not_taken": "not taken by its function or its queue",
    "not_arrived": "on their way, or dropped by its limit or its age",
}


def show(client: LifecycleClient, model: str, *, watch: bool, as_json: bool) -> None:
    """Print it once; with `watch` whenever something is new. Raises `ApiError`."""
    last: dict[str, Any] = {}
    while True:
        said = client.shadow(model)
        if said != last:
            print_json(said) if as_json else _print(model, said)
        if not watch or not said["sides"]:
            return
        last = said
        time.sleep(LOOK_SECONDS)


def _print(model: str, said: Mapping[str, Any]) -> None:
    if not said["sides"]:
        typer.echo(f"{model}: no version is the shadow; begin one: labcycle models shadow {model} VERSION")
        return
    requests, agreement = said["requests"], said["agreement"]
    print_sides(f"{model}, {said['percent']} % shown to the shadow since {said['since']}", said["sides"])
    typer.echo(f"seen: {requests['seen']} of {requests['offered']} requests")
    for name, what in _NOT_SEEN.items():
        if requests[name]:
            typer.echo(f"not seen: {requests[name]} {what}")
    if agreement["rows"]:
        typer.echo(
            f"the same prediction: {agreement['same']} of {agreement['rows']} rows ({agreement['same_share']:.1%})"
        )
    if agreement["numbers"]:
        difference = agreement["mean_absolute_difference"]
        typer.echo(f"mean absolute difference: {difference:.6g} over {agreement['numbers']} rows")
    if said["problem"]:
        typer.echo(f"last failure: {said['problem']}")
