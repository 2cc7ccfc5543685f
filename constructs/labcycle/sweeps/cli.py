"""The group `labcycle sweep`: run a script at many points, follow it, go on with it, stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from labcycle.client.tables import print_json, print_table
from labcycle.config.price_list import AS_OF, REGION
from labcycle.errors import LabcycleError
from labcycle.sweeps.plan import SweepFile, load_sweep, text_of
from labcycle.sweeps.prices import SPOT_SHARE, usd_hour
from labcycle.sweeps.progress import Progress
from labcycle.sweeps.sweep import Sweeps

LOOK_SECONDS = 10
_SHOWN = 20

app = typer.Typer(
    name="sweep",
    no_args_is_help=True,
    help="Run a script at many points of its parameters: each point a run, all of them one group.",
)
SweepId = Annotated[str, typer.Argument(help="Id of the sweep: that of its parent run.", metavar="SWEEP")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Watch = Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="The sweep, as YAML: docs/sweeps.md says what it holds.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the points and what they cost, and do nothing.")
    ] = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Run a script at many points, on machines of the team."""
    sweep = load_sweep(file)
    script = file.parent / sweep.script
    if not script.is_file():
        raise LabcycleError(f"{file}: script: got {sweep.script}; there is no file {script}. Name one that is there")
    if dry_run:
        return _print_plan(sweep, as_json)
    sweeps = Sweeps()
    found = sweeps.begin(sweep, file.stem, script)
    if watch:
        return _follow(sweeps, found, as_json)
    if as_json:
        return print_json({"sweep": found, "name": file.stem, "points": len(sweep.all_points())})
    typer.echo(f"{file.stem}: the sweep {found} has begun; follow it: labcycle sweep status {found} --watch")


@app.command()
def status(sweep: SweepId, watch: Watch = False, as_json: AsJson = False) -> None:
    """Show how a sweep stands. Exits 1 where it has ended and is not complete."""
    sweeps = Sweeps()
    if watch:
        return _follow(sweeps, sweep, as_json)
    _ended(sweeps.look(sweep), as_json)


@app.command()
def resume(
    sweep: SweepId,
    budget_usd: Annotated[
        float | None, typer.Option(min=0.01, help="In all, in place of the budget of the file.")
    ] = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Run again, in the same group, what failed or never ran; a point that has a finished run is left alone."""
    sweeps = Sweeps()
    found = sweeps.resume(sweep, budget_usd)
    if watch:
        return _follow(sweeps, sweep, as_json)
    _print(found, as_json)


@app.command()
def stop(sweep: SweepId, as_json: AsJson = False) -> None:
    """End a sweep: what runs is ended, and nothing more begins. `resume` goes on with it."""
    _print(Sweeps().stop(sweep), as_json)


def _follow(sweeps: Sweeps, sweep: str, as_json: bool, sleep: Callable[[float], object] = time.sleep) -> None:
    """A line whenever something is new, and in the end how it ended."""
    last = ""
    while not (found := sweeps.look(sweep)).ended:
        line = _line(found)
        if line != last and not as_json:
            typer.echo(line)
        last = line
        sleep(LOOK_SECONDS)
    _ended(found, as_json)


def _ended(found: Progress, as_json: bool) -> None:
    _print(found, as_json)
    if found.ended and found.state != "complete":
        raise typer.Exit(1)


def _line(found: Progress) -> str:
    best = f"; best {found.best.value:g} (point {found.best.point})" if found.best else ""
    left = ""
    if found.seconds_left is not None and found.usd_left is not None:
        left = f"; about {_duration(found.seconds_left)} and {found.usd_left:.2f} USD to go"
    counts = f"{found.done} of {found.points} done, {found.failed} failed, {found.running} running"
    return f"{found.name}: {counts}{best}; about {found.spent_usd:.2f} USD{left}"


def _print(found: Progress, as_json: bool) -> None:
    if as_json:
        return print_json(asdict(found))
    typer.echo(f"{_line(found)}; {found.state}")
    if found.spot_usd is not None:
        typer.echo(f"money is at prices on demand; on spot it is about {found.spot_usd:.2f} USD so far")
    if found.best:
        typer.echo(
            f"best run: {found.best.run_id} with {', '.join(f'{key}={value}' for key, value in found.best.params.items())}"
        )
    if found.without_metric:
        typer.echo(f"{found.without_metric} finished runs have no value of the metric, and are not compared")
    for failure in found.failures[:_SHOWN]:
        reason = failure.reason.strip().splitlines()[-1] if failure.reason.strip() else "no reason is known"
        typer.echo(f"failed: point {failure.point} (run {failure.run_id}, {failure.tries} tries): {reason}")
    if len(found.failures) > _SHOWN:
        typer.echo(f"and {len(found.failures) - _SHOWN} more: --json shows all")
    if found.ended and found.job_reason and found.state != "complete":
        typer.echo(f"AWS Batch says of the job {found.job}: {found.job_reason}")
    if found.ended and found.state != "complete":
        typer.echo(f"to go on with it: labcycle sweep resume {found.sweep}")


def _print_plan(sweep: SweepFile, as_json: bool) -> None:
    points, price = sweep.all_points(), usd_hour(sweep.machine)
    tries = 1 + sweep.retries
    most = len(points) * sweep.timeout_minutes / 60 * price * tries
    capped = most if sweep.budget_usd is None else min(most, sweep.budget_usd)
    lanes = min(sweep.concurrency, len(points))
    if as_json:
        document = {
            "experiment": sweep.experiment,
            "points": points,
            "lanes": lanes,
            "usd_a_point_and_hour": price,
            "usd_a_minute_of_each_point": len(points) * price / 60,
            "usd_at_most": capped,
        }
        return print_json(document)
    rows = [(str(n), *(text_of(value) for value in point.values())) for n, point in enumerate(points[:_SHOWN])]
    print_table(f"{len(points):,} points, {lanes} at once", ("point", *sweep.parameters), rows)
    if len(points) > _SHOWN:
        typer.echo(f"and {len(points) - _SHOWN:,} more: --json shows all")
    typer.echo(
        f"a point costs about {price:.3f} USD an hour on demand, on spot about {price * SPOT_SHARE:.3f} ({REGION}, {AS_OF}, an estimate): "
        f"{len(points) * price / 60:.2f} USD for each minute that a point takes"
    )
    typer.echo(f"at most about {capped:,.2f} USD, by timeout_minutes, retries and budget_usd")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
