"""What people and the platform decided about a model, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.custody import Event
from labcycle_lambdas.report.period import Period


@dataclass(frozen=True)
class Decision:
    """`at` in the report's time zone."""

    at: datetime
    by: str
    what: str


def decision(event: Event, period: Period) -> Decision | None:
    """An event of a model's chain of custody as a decision of the period; None for any other."""
    at, detail = datetime.fromisoformat(event.at), event.detail
    said = _SENTENCES.get(event.action)
    if said is None or not period.holds(at):
        return None
    reason = " ".join(str(detail.get("reason", "")).split())
    who = str(event.who["member"] or name_of(str(event.who["role"])))
    return Decision(at.astimezone(period.zone), who, said(detail) + (f" Reason given: {reason}" if reason else ""))


def name_of(who: str) -> str:
    """Who it was, as people call them: a role without its session."""
    return who if who.startswith("arn:") else who.partition("/")[0]


def _promoted(detail: Mapping[str, Any]) -> str:
    before = detail.get("previous_version")
    return f"Version {detail['version']} went live" + (f", in place of version {before}." if before else ".")


def _rolled_back(detail: Mapping[str, Any]) -> str:
    return f"Version {detail['previous_version']} was taken back; version {detail['version']} is live again."


def _drift(detail: Mapping[str, Any]) -> str:
    moved = ", ".join(detail.get("features", {}))
    return f"Drift: version {detail['version']} sees other data than it was trained on. Moved most: {moved}."


def _retrained(detail: Mapping[str, Any]) -> str:
    live, new = detail["champion_version"], detail["version"]
    figures = f"{detail['metric']} {detail['challenger']:.4g}, version {live} has {detail['champion']:.4g}"
    return f"Version {new} was trained anew and compared: {figures}."


_DONE = {"tell": "to tell the owner", "pause": "to pause the model", "roll_back": "to roll back"}


def _reaction(detail: Mapping[str, Any]) -> str:
    return f"A reaction was started, {_DONE.get(str(detail.get('do')), 'of another kind')}."


def _ended(how: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda detail: f"Version {detail['version']} {how}: {_in_a_line(detail.get('why', ''))}"


def _in_a_line(text: object) -> str:
    return " ".join(str(text).split())


_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "promoted": _promoted,
    "rolled_back": _rolled_back,
    "canary_started": lambda detail: (
        f"Version {detail['version']} is tried with {detail['percent']} % of the requests."
    ),
    "canary_changed": lambda detail: (
        f"Version {detail['version']} is tried with {detail['percent']} % of the requests."
    ),
    "canary_withdrawn": lambda detail: f"Version {detail['version']} is not tried any longer: it did not go live.",
    "shadow_started": lambda detail: f"Version {detail['version']} is compared with the live one, and answers nothing.",
    "shadow_changed": lambda detail: (
        f"Version {detail['version']} is compared on {detail['percent']} % of the requests."
    ),
    "shadow_ended": lambda detail: f"Version {detail['version']} is not compared any longer.",
    "promotion_requested": lambda detail: f"The promotion of version {detail['version']} was asked for.",
    "promotion_refused": _ended("was not promoted"),
    "promotion_taken_back": _ended("was taken back"),
    "promotion_given_up": lambda detail: f"The promotion of version {detail['version']} was given up.",
    "promotion_failed": _ended("was not promoted, since its promotion broke off"),
    "paused": lambda detail: "The model was paused: it gives no predictions.",
    "resumed": lambda detail: "The model gives predictions again.",
    "drift_detected": _drift,
    "performance_fell": lambda detail: f"Its predictions are not good enough: {_in_a_line(detail['why'])}.",
    "value_fell": lambda detail: f"It was worth too little: {_in_a_line(detail['why'])}.",
    "data_stale": lambda detail: f"Its data are too old: {_in_a_line(detail['why'])}.",
    "retraining_started": lambda detail: "A retraining was started.",
    "reaction_started": _reaction,
    "reaction_refused": lambda detail: f"No retraining was started: {detail.get('why')}.",
    "reaction_resumed": lambda detail: "A reaction that had failed was let go on.",
    "reaction_ended": lambda detail: f"A reaction changed nothing: {detail.get('why')}",
    "reaction_failed": lambda detail: f"A reaction failed: {_in_a_line(detail.get('cause', ''))}",
    "review_asked": lambda detail: f"Version {detail['version']} waits for a review.",
    "review_approved": lambda detail: f"Version {detail['version']} was approved.",
    "review_rejected": lambda detail: f"Version {detail['version']} was rejected.",
    "retrained": _retrained,
    "challenger_rejected": lambda detail: f"Version {detail['version']} was not better: it does not go live.",
    "retraining_failed": lambda detail: f"The retraining failed: {_in_a_line(detail.get('cause', ''))}",
}
