"""How a promotion in steps goes: a line for each thing that happens."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import typer

from labcycle.client.api import LifecycleClient
from labcycle.client.tables import print_json

LOOK_SECONDS = 5
_OUTCOMES = {
    "live": "is live",
    "refused": "was not promoted",
    "taken_back": "was taken back",
    "given_up": "was given up",
    "failed": "failed",
}


def progress(promotion: Mapping[str, Any]) -> str:
    """Where it stands, in a line."""
    version, said = f"version {promotion['version']}", "; ".join(promotion["said"])
    why = f": {said}" if said else ""
    if promotion["state"] == "requested":
        return f"{version} is loaded and tried out, without traffic, since {promotion['requested_at']}"
    if promotion["state"] == "watching":
        return f"{version} answers {promotion['percent']} % of the requests since {promotion['since']}{why}"
    return f"{version} {_OUTCOMES.get(promotion['outcome'], promotion['outcome'])}{why}"


def follow(client: LifecycleClient, model: str, promotion: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a line whenever something is new, until the promotion has ended; with `as_json` only its end. Raises `typer.Exit` (1)
    where its version did not go live, and `ApiError`."""
    execution, last = promotion["execution"], ""
    while True:
        line = f"{model}: {progress(promotion)}"
        if line != last and not as_json:
            typer.echo(line)
        last = line
        if promotion["state"] == "ended" or promotion["execution"] != execution:
            break
        time.sleep(LOOK_SECONDS)
        promotion = client.promotion(model)["promotion"]
    if as_json:
        print_json({"promotion": promotion})
    if promotion["outcome"] != "live" or promotion["execution"] != execution:
        raise typer.Exit(1)
