"""Which of the versions that were live before was good, by what the chain of custody tells of each.

A version is good unless, since it was last promoted, it was taken back, its canary was withdrawn, it was rejected or the model was
paused while it was live, or it was live when drift, predictions that come true less often, or too little worth was found. Data that is
only stale says nothing of a version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labcycle_lambdas.ledger.custody import Event
from labcycle_lambdas.ledger.deployments import Previous

# What an event says of the version that its detail names.
_AGAINST = {
    "canary_withdrawn": "its canary was withdrawn",
    "challenger_rejected": "it was rejected",
    "review_rejected": "it was rejected",
    "paused": "the model was paused while it was live",
    "drift_detected": "drift was detected while it was live",
    "performance_fell": "its predictions came true less often than was asked",
    "value_fell": "it was worth less than was asked",
}


def newest_good(previous: Sequence[Previous], events: Iterable[Event]) -> tuple[Previous | None, dict[int, str]]:
    """The newest of `previous` (newest first) that was good, None where none was; and those before it, with what is against each.
    `events` is the chain of the model, oldest first."""
    against: dict[int, str] = {}
    for event in events:
        version, day = event.detail.get("version"), event.at[:10]
        if event.action == "promoted":
            against.pop(int(event.detail["version"]), None)
        elif event.action == "rolled_back":
            against[int(event.detail["previous_version"])] = f"it was taken back on {day}"
        elif event.action in _AGAINST and version is not None:
            against[int(version)] = f"{_AGAINST[event.action]} on {day}"
    passed: dict[int, str] = {}
    for candidate in previous:
        if candidate.version not in against:
            return candidate, passed
        passed[candidate.version] = against[candidate.version]
    return None, passed
