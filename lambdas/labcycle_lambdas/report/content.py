"""What a report says, read from the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import takewhile
from typing import Any

from labcycle_lambdas.ledger.custody import Custody, Event
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployment, Deployments, Pause
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.profiles import PREDICTION, Method, Profile, Reference, compare, moved
from labcycle_lambdas.report.decisions import Decision, decision, name_of
from labcycle_lambdas.report.environment import Environment
from labcycle_lambdas.report.period import Period

MOST_FEATURES = 5


@dataclass(frozen=True)
class Live:
    """A version that answers; `since` in the report's time zone. `percent` is the share of the one that is tried."""

    version: int
    since: datetime
    by: str
    percent: int = 100


@dataclass(frozen=True)
class Paused:
    """The model answers nothing of its own."""

    since: datetime
    by: str
    reason: str


@dataclass(frozen=True)
class Share:
    """How often a prediction falls into a bin, of all: now and in training, 0 to 1."""

    label: str
    now: float
    training: float


@dataclass(frozen=True)
class Feature:
    """How far a feature is from the training data, by the method of the monitor; `moved`: far enough, and by enough rows to say so."""

    name: str
    index: float
    moved: bool


@dataclass(frozen=True)
class Evaluation:
    """The latest verdict of the drift monitor."""

    at: datetime
    version: int | None
    verdict: str
    reason: str


@dataclass(frozen=True)
class Content:
    """`rows` counts every version of the model; what is compared with training is the live version's.

    `cannot_compare` says why there is no such comparison; "" where there is one, of `compared_rows` rows.
    """

    team: str
    model: str
    business_owner: str
    period: Period
    live: Live | None
    canary: Live | None
    paused: Paused | None
    decisions: list[Decision]
    rows: list[tuple[date, int]]
    predictions: list[Share]
    features: list[Feature]
    method: Method
    threshold: float
    minimum_rows: int
    compared_rows: int
    cannot_compare: str
    evaluation: Evaluation | None

    @property
    def total_rows(self) -> int:
        return sum(rows for _, rows in self.rows)

    @property
    def moved(self) -> list[str]:
        return [feature.name for feature in self.features if feature.moved]


@dataclass(frozen=True)
class Reader:
    """Reads the content of reports about one model."""

    environment: Environment
    deployments: Deployments
    custody: Custody
    profiles: Profiles
    evaluations: Evaluations

    def read(self, at: datetime) -> Content:
        """The report of the time `at`. Raises `Throttled`."""
        environment = self.environment
        period = Period.before(at, environment.days, environment.zone)
        deployment = self.deployments.current(environment.model)
        live, canary, pause = deployment.live, deployment.canary, deployment.pause
        newest = self.custody.newest_first(f"model/{environment.model}")
        events = list(takewhile(lambda event: datetime.fromisoformat(event.at) >= period.start, newest))[::-1]
        rows, merged = self._traffic(period, deployment, events)
        predictions, features, cannot_compare = _compared(live, merged, environment)
        return Content(
            team=environment.team,
            model=environment.model,
            business_owner=environment.business_owner,
            period=period,
            live=_live(live, period) if live else None,
            canary=_live(canary.deployed, period, canary.percent) if canary else None,
            paused=_paused(pause, period) if pause else None,
            decisions=[told for event in events if (told := decision(event, period)) is not None],
            rows=[(day, rows[day]) for day in period.days],
            predictions=predictions,
            features=features,
            method=environment.method,
            threshold=environment.threshold,
            minimum_rows=environment.minimum_rows,
            compared_rows=merged.rows if merged else 0,
            cannot_compare=cannot_compare,
            evaluation=self._evaluation(),
        )

    def _traffic(
        self, period: Period, deployment: Deployment, events: Iterable[Event]
    ) -> tuple[Counter[date], Profile | None]:
        """Rows a day of all versions that answered, and the live version's, counted by its reference if it has one."""
        rows: Counter[date] = Counter()
        live, merged = deployment.live, None
        for version in sorted(_versions(deployment, events)):
            docs = self._docs(version, period, rows)
            if live and live.reference and version == live.version:
                merged = Profile.of(Reference.from_doc(live.reference), docs)
            else:
                for _ in docs:
                    pass
        return rows, merged

    def _docs(self, version: int, period: Period, rows: Counter[date]) -> Iterator[Mapping[str, Any]]:
        """The profiles of the period one after another; `rows` counts theirs by day."""
        for profile in self.profiles.each(self.environment.model, version, period.start):
            if not period.holds(profile.window_start):
                return  # they come in the order of time
            rows[profile.window_start.astimezone(period.zone).date()] += int(profile.doc["rows"])
            yield profile.doc

    def _evaluation(self) -> Evaluation | None:
        found = self.evaluations.last(self.environment.model)
        if found is None:
            return None
        at = datetime.fromisoformat(found["evaluated_at"]).astimezone(self.environment.zone)
        return Evaluation(at, found["version"], str(found["verdict"]), str(found["reason"]))


def _live(live: Deployed, period: Period, percent: int = 100) -> Live:
    since = datetime.fromisoformat(live.promoted_at).astimezone(period.zone)
    return Live(live.version, since, name_of(live.promoted_by), percent)


def _paused(pause: Pause, period: Period) -> Paused:
    since = datetime.fromisoformat(pause.at).astimezone(period.zone)
    return Paused(since, name_of(pause.by), " ".join(pause.reason.split()))


def _versions(deployment: Deployment, events: Iterable[Event]) -> set[int]:
    """Every version that answered at any time since the period began, by what was changed since."""
    found: set[Any] = {deployment.live.version} if deployment.live else set()
    found |= {deployment.canary.deployed.version} if deployment.canary else set()
    for event in events:
        if event.action in ("promoted", "rolled_back", "canary_started", "canary_withdrawn"):
            found |= {event.detail["version"], event.detail.get("previous_version")}
    return found - {None}


def _compared(
    live: Deployed | None, merged: Profile | None, settings: Environment
) -> tuple[list[Share], list[Feature], str]:
    """Predictions and features beside the training data; else why not."""
    if live is None:
        return [], [], "No version is live."
    if merged is None:
        return [], [], f"Version {live.version} came without a table of its training data (reference.json)."
    if not merged.rows:
        return [], [], f"Version {live.version} saw no rows in this period."
    shares = []
    for column, counts in zip(merged.reference.columns, merged.counts, strict=True):
        if column.name == PREDICTION:
            now, then = sum(counts), column.rows
            shares = [
                Share(label, count / now, trained / then)
                for label, count, trained in zip(column.bins.labels(), counts, column.counts, strict=True)
                if count or trained
            ]
    columns = [one for one in compare(merged.reference, merged) if one.name != PREDICTION]
    far = moved(columns, method=settings.method, threshold=settings.threshold, minimum_rows=settings.minimum_rows)
    ranked = sorted(columns, key=lambda one: -one.figure(settings.method))[:MOST_FEATURES]
    return shares, [Feature(one.name, one.figure(settings.method), one in far) for one in ranked], ""
