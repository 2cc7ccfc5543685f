"""One evaluation: read the profiles of the live version, compare, judge, record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from labcycle_lambdas.drift.environment import Environment
from labcycle_lambdas.ledger.deployments import Deployment, Deployments
from labcycle_lambdas.ledger.evaluations import DriftState, Evaluations
from labcycle_lambdas.ledger.profiles import Profiles, StoredProfile
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.profiles import Profile, Reference, compare, moved

NOT_ENOUGH_DATA, STABLE, DRIFTING, DRIFTED = "not_enough_data", "stable", "drifting", "drifted"
_NAMED_IN_EVENT = 5  # features that moved most


@dataclass(frozen=True)
class Evaluator:
    """Judges the live version of one model.

    Drift needs an effect (an index of the threshold or above in any column, more than chance explains), a sample (the minimum of rows) and
    persistence (that many evaluations in a row, each with new rows). A change of the deployment starts from nothing.
    """

    environment: Environment
    table: Table
    deployments: Deployments
    profiles: Profiles
    evaluations: Evaluations

    def evaluate(self, at: datetime, who: Who) -> dict[str, Any]:
        """The evaluation of the time `at`; it is made once, and asking again gives the recorded answer.

        Returns
        -------
        A document with `verdict` (not_enough_data, stable, drifting: above the threshold but not yet long enough,
        drifted), `reason`, `rows`, `features` (column -> index) and `table` (all figures of each column).

        Raises
        ------
        Throttled
            If DynamoDB did not take the calls; nothing was recorded.
        """
        return self.table.until_unchanged(lambda: self._once(at, who))

    def _once(self, at: datetime, who: Who) -> dict[str, Any]:
        model, key = self.environment.model, stamp(at)
        recorded = self.evaluations.find(model, key)
        if recorded:
            return recorded
        before, item = self.evaluations.state(model)
        deployment = self.deployments.current(model)
        if before is None or before.generation != deployment.generation:
            before = DriftState(deployment.generation, last_key=before.last_key if before else "")
        evaluation, state = self._judge(at, deployment, before)
        if key < before.last_key:  # a late repeat of an older time: it is kept, but it decides nothing
            state = before
            evaluation |= {
                "verdict": NOT_ENOUGH_DATA,
                "reason": f"a later evaluation ({before.last_key}) was made before",
            }
        starts = state.in_episode and not before.in_episode
        detail = {
            name: evaluation[name] for name in ("version", "rows", "threshold", "consecutive", "evaluated_at")
        } | {"features": dict(list(evaluation["features"].items())[:_NAMED_IN_EVENT])}
        self.evaluations.record(model, key, evaluation, state, item, drift_detected=(who, detail) if starts else None)
        return evaluation

    def _judge(self, at: datetime, deployment: Deployment, before: DriftState) -> tuple[dict[str, Any], DriftState]:
        """The evaluation, and the state that it leaves."""
        settings, live = self.environment, deployment.live
        state = replace(before, last_key=stamp(at))
        answer: dict[str, Any] = {
            "model": settings.model,
            "version": live.version if live else None,
            "verdict": NOT_ENOUGH_DATA,
            "reason": "",
            "rows": 0,
            "new_rows": 0,
            "threshold": settings.threshold,
            "minimum_rows": settings.minimum_rows,
            "persistence": settings.persistence,
            "consecutive": before.consecutive,
            "evaluated_at": stamp(at),
            "window_start": None,
            "features": {},
            "table": [],
        }
        if live is None:
            return answer | {"reason": "no version is live"}, state
        if live.reference is None:
            reason = f"the run of version {live.version} logged no reference.json to compare with"
            return answer | {"reason": reason}, state
        reference = Reference.from_doc(live.reference)
        since = max(at - settings.window, datetime.fromisoformat(live.promoted_at))
        stored = [
            profile
            for profile in self.profiles.read(settings.model, live.version, since)
            if profile.doc["reference"] == reference.fingerprint and profile.window_start <= at + timedelta(minutes=5)
        ]
        merged = Profile.of(reference, (profile.doc for profile in stored))
        new_rows, seen = _new(stored, before.seen)
        answer |= {"rows": merged.rows, "new_rows": new_rows, "window_start": stamp(since)}
        if merged.rows < settings.minimum_rows:
            return answer | {"reason": f"{merged.rows} rows of at least {settings.minimum_rows}"}, state
        results = sorted(compare(reference, merged), key=lambda feature: -feature.psi)
        answer |= {
            "features": {feature.name: feature.psi for feature in results},
            "table": [feature.to_doc() for feature in results],
        }
        if not new_rows:
            return answer | {"reason": "no traffic since the last evaluation"}, state
        state = replace(state, seen=seen)
        found = moved(results, method="psi", threshold=settings.threshold, minimum_rows=settings.minimum_rows)
        if not found:
            reason = f"no column reaches {settings.threshold:g} beyond chance; {results[0].name} moved most"
            answer |= {"verdict": STABLE, "reason": reason, "consecutive": 0}
            return answer, replace(state, consecutive=0, in_episode=False)
        consecutive = before.consecutive + 1
        persists = consecutive >= settings.persistence
        reason = (
            f"{len(found)} of {len(results)} columns reach {settings.threshold:g}, {found[0].name} moved most; "
            f"evaluation {consecutive} in a row of {settings.persistence} needed"
        )
        answer |= {"verdict": DRIFTED if persists else DRIFTING, "reason": reason, "consecutive": consecutive}
        return answer, replace(state, consecutive=consecutive, in_episode=persists)


def _new(stored: Sequence[StoredProfile], seen: dict[str, list[int]]) -> tuple[int, dict[str, list[int]]]:
    """Rows that no earlier evaluation counted, and the marks up to which all are counted now."""
    new, marks = 0, {}
    for profile in sorted(stored, key=lambda p: (p.sandbox_id, p.number)):
        rows = int(profile.doc["rows"])
        number, counted = seen.get(profile.sandbox_id, [-1, 0])
        if profile.number > number:
            new += rows
        elif profile.number == number:
            new += max(0, rows - counted)
        marks[profile.sandbox_id] = [profile.number, rows]
    return new, marks
