"""Advice about the size of a model's server, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from labcycle.client.advice import Advice
from labcycle.client.prices import PRICES
from labcycle.client.tables import print_table

_FIGURES = (
    ("requests", "requests", "{:,}"),
    ("failed", "of them failed", "{:,}"),
    ("starts", "starts of a server", "{:,}"),
    ("most_servers_at_once", "servers at once, at most", "{:,}"),
    ("p50_ms", "p50 ms, up to", "{:g}"),
    ("p99_ms", "p99 ms, up to", "{:g}"),
    ("mean_ms", "mean ms", "{:.3g}"),
    ("cpu_ms_a_request", "processor ms a request", "{:.3g}"),
    ("busiest_processors_a_server", "processors a server, busiest quarter of an hour", "{:.2f}"),
    ("peak_memory_mb", "memory used, at most (MB)", "{:,}"),
    ("needed_mb", "memory that a promotion needs (MB)", "{:,}"),
)


def show(usage: Mapping[str, Any], advice: Advice) -> None:
    """Print what was measured, the advice, and the lines of the team file."""
    model, runs_on = usage["model"], usage["runs_on"] or {}
    size = ", ".join(f"{key} {value}" for key, value in runs_on.items())
    rows = [
        (name, "-" if usage[key] is None else form.format(usage[key])) for key, name, form in _FIGURES if key in usage
    ]
    print_table(f"{model}, the last {usage['days']} days", ("figure", "measured"), rows)
    if size:
        typer.echo(f"runs on: {size}")
    if not usage["whole"]:
        typer.echo(f"there is more than is read; this is since {usage['since']}")
    if advice.verdict == "not_enough":
        typer.echo("no advice: " + "; ".join(advice.reasons))
        return
    typer.echo("advice: change the size" if advice.change else "advice: keep the size")
    for reason in advice.reasons:
        typer.echo(f"- {reason}")
    if advice.change:
        typer.echo(f"in the team file, at the api of {model}:")
        for key, value in advice.change.items():
            typer.echo(f"  {key}: {value}  # now {runs_on[key]}")
    dated = f"{PRICES.region} prices of {PRICES.as_of}, estimate, without the API"
    after = f", after it {advice.advised_usd_a_month:.2f} USD" if advice.change else ""
    typer.echo(f"about {advice.usd_a_month:.2f} USD a month{after} ({dated})")
    if even := advice.break_even:
        task = even.fargate
        typer.echo(
            f"from {even.requests_a_month:,} requests a month Fargate ({task['minimum_tasks']} tasks, cpu {task['cpu']}, "
            f"{task['memory_mb']} MB) costs less than Lambda ({even.lambda_memory_mb} MB); there are about "
            f"{advice.requests_a_month:,}"
        )
