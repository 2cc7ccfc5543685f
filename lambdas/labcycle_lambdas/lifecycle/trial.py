"""How a version does that is tried beside the live one: what both answered since the trial began, and what is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.traffic import Tally, Traffic
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.profiles import Profile, Reference, compare

ENOUGH = 100  # answers of the canary, below which it is not called good
FAILURES = 3  # that many are no accident
FAILED_SHARE = 0.01  # above that of the live version
SLOWER = 2.0  # times the live version's time for 99 of 100 answers
SLOWER_MS = 50.0  # and by so much, since the bins are coarse
MOVED = 0.25  # stability index of the predictions: a large change, by custom
NOT_ENOUGH, GOOD, BAD = "not_enough", "good", "bad"


@dataclass(frozen=True)
class Side:
    """What one version answered. `moved`: stability index of its predictions against training; None where it is not known."""

    name: str
    version: int
    tally: Tally
    rows: int
    moved: float | None

    def to_doc(self) -> dict[str, Any]:
        return {
            "side": self.name,
            "version": self.version,
            "requests": self.tally.requests,
            "failed": self.tally.failed,
            "failed_share": round(self.tally.failed_share, 6),
            "p50_ms": self.tally.milliseconds(0.5),
            "p99_ms": self.tally.milliseconds(0.99),
            "profiled_rows": self.rows,
            "prediction_psi": self.moved,
        }


def trial(call: Call) -> dict[str, Any]:
    """Both sides of the trial, and the verdict; without sides where no version is tried."""
    model = call.path["model"]
    deployment = Deployments(call.table).current(model)
    if deployment.live is None:
        Registry(call.table).model(model)
    if deployment.live is None or deployment.canary is None:
        return {"model": model, "percent": None, "since": None, "sides": [], "verdict": None, "reasons": []}
    tried = deployment.canary.deployed
    live, canary = sides(call.table, model, deployment.live, tried, datetime.fromisoformat(tried.promoted_at))
    verdict, reasons = judged(live, canary)
    return {
        "model": model,
        "percent": deployment.canary.percent,
        "since": tried.promoted_at,
        "sides": [live.to_doc(), canary.to_doc()],
        "verdict": verdict,
        "reasons": reasons,
    }


def sides(table: Table, model: str, live: Deployed, canary: Deployed, since: datetime) -> tuple[Side, Side]:
    """What both answered since then. Raises `Throttled`."""
    return _side(table, model, "live", live, since), _side(table, model, "canary", canary, since)


def judged(live: Side, canary: Side, enough: int = ENOUGH) -> tuple[str, list[str]]:
    """The verdict on the canary (`bad`, `not_enough` or `good`), and why. `enough` are the answers that it needs to be good.

    Failures count at once; that it is slower, or predicts otherwise than in training while the live version does not, needs
    answers as well.
    """
    ours, theirs = canary.tally, live.tally
    bad = []
    if ours.failed >= FAILURES and ours.failed_share > theirs.failed_share + FAILED_SHARE:
        bad.append(
            f"{ours.failed} of {ours.requests} answers failed ({ours.failed_share:.1%}); of the live version "
            f"{theirs.failed} of {theirs.requests} ({theirs.failed_share:.1%})"
        )
    if min(ours.requests, theirs.requests) >= ENOUGH:
        slow, usual = ours.milliseconds(0.99), theirs.milliseconds(0.99)
        if usual is not None and (slow is None or slow > max(SLOWER * usual, usual + SLOWER_MS)):
            took = "more than can be told" if slow is None else f"{slow:g} ms"
            bad.append(f"99 of 100 answers took up to {took}; of the live version up to {usual:g} ms")
    if canary.moved is not None and canary.rows >= ENOUGH and canary.moved >= MOVED > (live.moved or 0.0):
        bad.append(f"its predictions moved from its training by {canary.moved:.2f} ({MOVED:g} is much)")
    if bad:
        return BAD, bad
    if ours.requests < enough:
        return NOT_ENOUGH, [f"{ours.requests} answers of at least {enough}"]
    return GOOD, [f"{ours.requests} answers, {ours.failed} of them failed"]


def _side(table: Table, model: str, name: str, deployed: Deployed, since: datetime) -> Side:
    return side(Profiles(table), model, name, deployed, since, Traffic(table).since(model, deployed.version, since))


def side(profiles: Profiles, model: str, name: str, deployed: Deployed, since: datetime, tally: Tally) -> Side:
    """A side with this tally, and its predictions in `profiles` since then. Raises `Throttled`."""
    if deployed.reference is None:
        return Side(name, deployed.version, tally, 0, None)
    reference = Reference.from_doc(deployed.reference)
    stored = profiles.each(model, deployed.version, since)
    merged = Profile.of(reference, (profile.doc for profile in stored))
    if not merged.rows:
        return Side(name, deployed.version, tally, 0, None)
    prediction = compare(reference, merged)[-1]  # the last column
    return Side(name, deployed.version, tally, merged.rows, round(prediction.psi, 4))
