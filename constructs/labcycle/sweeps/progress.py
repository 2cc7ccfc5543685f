"""How a sweep stands, by the runs of its group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from labcycle.config import names
from labcycle.lineage.runs_client import Run
from labcycle.sweeps import tags
from labcycle.sweeps.jobs import JobView
from labcycle.sweeps.plan import SweepFile
from labcycle.sweeps.prices import SPOT_SHARE
from labcycle.sweeps.store import Manifest

State = Literal["under way", "complete", "incomplete", "out of budget", "stopped", "not submitted"]
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Best:
    run_id: str
    point: int
    value: float
    params: dict[str, str]


@dataclass(frozen=True)
class Failure:
    """A point whose last try failed or was cut off."""

    point: int
    run_id: str
    tries: int
    reason: str


@dataclass(frozen=True)
class Progress:
    """`done`, `failed`, `running` and `waiting` are points, each in one of them. Money is at prices on demand; `spot_usd` about what it is
    where all of it was on spot. `usd_left` and `seconds_left` are None while no point has ended."""

    sweep: str
    name: str
    state: State
    points: int
    done: int
    failed: int
    running: int
    waiting: int
    best: Best | None
    spent_usd: float
    spot_usd: float | None
    budget_usd: float | None
    usd_left: float | None
    seconds_left: float | None
    failures: tuple[Failure, ...]
    without_metric: int
    job: str
    job_status: str
    job_reason: str

    @property
    def ended(self) -> bool:
        return self.state != "under way"

    @property
    def stopped(self) -> bool:
        return self.state == "stopped"


def progress_of(
    manifest: Manifest,
    parent: Run,
    children: Sequence[Run],
    *,
    job: JobView,
    ended: bool,
    lanes: int,
    out_of_budget: bool,
    now_ms: int,
    spot: bool,
) -> Progress:
    file = manifest.plan
    by_point: dict[int, list[Run]] = {}
    for run in sorted(children, key=lambda run: (int(run.tags[tags.POINT]), run.start_time, run.run_id)):
        by_point.setdefault(int(run.tags[tags.POINT]), []).append(run)
    done = finished(children)
    running = {point for point, runs in by_point.items() if point not in done and runs[-1].status == "RUNNING"}
    failures = tuple(
        Failure(point, runs[-1].run_id, len(runs), runs[-1].tags.get(tags.REASON, ""))
        for point, runs in by_point.items()
        if point not in done and point not in running
    )
    total, spent = len(manifest.points), spent_usd(children, manifest.usd_hour, now_ms)
    waiting = total - len(done) - len(running) - len(failures)
    took = [run.end_time - run.start_time for run in children if run.end_time and run.status in ("FINISHED", "FAILED")]
    mean = sum(took) / len(took) if took else None
    left = 0 if ended else waiting + len(running)
    valued = [(run, run.metrics[file.metric]) for run in done.values() if file.metric in run.metrics]
    return Progress(
        sweep=manifest.sweep,
        name=manifest.name,
        state=_state(parent, job, total == len(done), ended=ended, out_of_budget=out_of_budget),
        points=total,
        done=len(done),
        failed=len(failures),
        running=len(running),
        waiting=waiting,
        best=_best(file, valued),
        spent_usd=spent,
        spot_usd=spent * SPOT_SHARE if spot else None,
        budget_usd=file.budget_usd,
        usd_left=None if mean is None else left * mean / _HOUR_MS * manifest.usd_hour,
        seconds_left=None if mean is None else left * mean / 1000 / max(min(lanes, left), 1),
        failures=failures,
        without_metric=len(done) - len(valued),
        job=job.job,
        job_status=job.status,
        job_reason=job.reason,
    )


def finished(children: Iterable[Run]) -> dict[int, Run]:
    """By point, its finished run."""
    return {int(run.tags[tags.POINT]): run for run in children if run.status == "FINISHED"}


def spent_usd(children: Iterable[Run], usd_hour: float, now_ms: int | None = None) -> float:
    """What the time of all tries costs; those that run count until now."""
    took = sum(max((run.end_time or now_ms or run.start_time) - run.start_time, 0) for run in children)
    return took / _HOUR_MS * usd_hour


def _best(file: SweepFile, valued: Sequence[tuple[Run, float]]) -> Best | None:
    sound = [(run, value) for run, value in valued if not isnan(value)]
    if not sound:
        return None
    sign = 1 if file.mode == "max" else -1
    run, value = max(sound, key=lambda one: (sign * one[1], -int(one[0].tags[tags.POINT])))
    return Best(run.run_id, int(run.tags[tags.POINT]), value, {key: run.params.get(key, "") for key in file.parameters})


def _state(parent: Run, job: JobView, is_complete: bool, *, ended: bool, out_of_budget: bool) -> State:
    if not ended:
        return "under way"
    if not job.job:
        return "not submitted"
    if is_complete:
        return "complete"
    if parent.tags.get(tags.STOPPED) or job.reason.startswith(names.JOB_STOPPED):
        return "stopped"
    return "out of budget" if out_of_budget else "incomplete"
