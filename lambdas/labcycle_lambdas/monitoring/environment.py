"""The evaluator's settings, from its environment variables."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from labcycle_lambdas.outcomes import business, performance
from labcycle_lambdas.profiles import Method
from labcycle_lambdas.variables import required

_REQUIRED = ("LEDGER_TABLE", "TEAM", "MODEL", "MONITOR")


@dataclass(frozen=True)
class Drift:
    """`window` is how far back an evaluation looks, never beyond the last promotion; `cohorts` names the fields that are judged apart."""

    method: Method
    threshold: float
    minimum_rows: int
    persistence: int
    window: timedelta
    cohorts: tuple[str, ...] = ()

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Drift:
        """Raises KeyError if a setting is missing."""
        drift = doc["drift"]
        return cls(
            method=drift["method"],
            threshold=float(drift["threshold"]),
            minimum_rows=int(drift["minimum_rows"]),
            persistence=int(drift["persistence"]),
            window=timedelta(hours=float(drift["window_hours"])),
            cohorts=tuple(doc.get("cohorts", ())),
        )


@dataclass(frozen=True)
class Freshness:
    """How old the training of the live version, and its last prediction, may be; None: of any age."""

    training: timedelta | None
    traffic: timedelta | None

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Freshness:
        days, hours = doc.get("training_days"), doc.get("traffic_hours")
        return cls(timedelta(days=days) if days else None, timedelta(hours=hours) if hours else None)


@dataclass(frozen=True)
class Requests:
    """The metric in which the model's API counts what it passed on to the server, by this statistic of it."""

    namespace: str
    name: str
    statistic: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Requests:
        return cls(doc["namespace"], doc["name"], doc["statistic"], tuple(sorted(doc["dimensions"].items())))


@dataclass(frozen=True)
class Environment:
    """`performance`, `outcome` and `freshness` are None where they are not watched, `requests` where no API stands before the model.
    `artifact_bucket` holds the outcomes; "" where none are watched."""

    ledger_table: str
    team: str
    model: str
    drift: Drift
    performance: performance.Settings | None = None
    outcome: business.Settings | None = None
    freshness: Freshness | None = None
    artifact_bucket: str = ""
    requests: Requests | None = None

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Of the variables, MONITOR (what is watched) and REQUESTS are JSON documents. Raises RuntimeError if a variable is
        missing, ValueError or KeyError if a document is not as it should be."""
        table, team, model, monitor = required(_REQUIRED, variables, "evaluator")
        doc, requests = json.loads(monitor), variables.get("REQUESTS")
        told, freshness = (doc.get("performance"), doc.get("outcome")), doc.get("freshness")
        bucket = required(("ARTIFACT_BUCKET",), variables, "evaluator")[0] if any(told) else ""
        return cls(
            ledger_table=table,
            team=team,
            model=model,
            drift=Drift.from_doc(doc),
            performance=performance.Settings.from_doc(told[0]) if told[0] else None,
            outcome=business.Settings.from_doc(told[1]) if told[1] else None,
            freshness=Freshness.from_doc(freshness) if freshness else None,
            artifact_bucket=bucket,
            requests=Requests.from_doc(json.loads(requests)) if requests else None,
        )
