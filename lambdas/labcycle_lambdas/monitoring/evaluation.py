"""One evaluation: judge each subject by itself, record what was found."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.custody import News
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations, MonitorState, SubjectState
from labcycle_lambdas.ledger.judgement import Judgement
from labcycle_lambdas.ledger.table import Changed, Exists, Table
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.monitoring import drift
from labcycle_lambdas.monitoring.environment import Environment
from labcycle_lambdas.monitoring.judging import Judge, Judged, Moment

EVENTS = {
    "drift": "drift_detected",
    "performance": "performance_fell",
    "business": "value_fell",
    "freshness": "data_stale",
}
_WORDS = {"good": "stable", "failing": "drifting", "failed": "drifted"}  # of drift, as they were always told
_TOLD = 300  # characters of an error


@dataclass(frozen=True)
class Evaluator:
    """Judges the live version of one model; a change of the live version starts from nothing."""

    environment: Environment
    table: Table
    deployments: Deployments
    evaluations: Evaluations
    judges: Sequence[Judge]

    def evaluate(self, at: datetime, who: Who, has_time: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        """The evaluation of the time `at`; it is made once, and asking again gives the recorded answer. Subjects that could not
        be judged are then judged again, unless another evaluation was made since, or another version is live.

        Returns
        -------
        A document with `judgements` (subject, verdict, reason and figures of each), `errors` (subject -> why it could not be
        judged; the others are whole). Of drift, beside them: `verdict` (not_enough_data, stable, drifting: over the threshold but
        not yet long enough, drifted), `reason`, `rows`, `coverage` (the share of the requests that the profiles tell of,
        None where it is not known), `features` (column -> figure) and `table` (all figures of each
        column), of the 200 that moved most, and `cohorts`. `outcomes`: what was taken in before performance and value were judged.

        Raises
        ------
        Throttled
            If DynamoDB did not take the calls; nothing was recorded.
        """
        return self.table.until_unchanged(lambda: self._once(at, who, has_time))

    def _once(self, at: datetime, who: Who, has_time: Callable[[], bool]) -> dict[str, Any]:
        model, key = self.environment.model, stamp(at)
        recorded = self.evaluations.item(model, key)
        before, item = self.evaluations.state(model)
        before = before or MonitorState()
        if recorded and (not recorded.doc.get("errors") or before.last_key != key):
            return recorded.doc
        moment = Moment(at, self.deployments.current(model), has_time)
        since = moment.live.promoted_at if moment.live else ""
        if before.since not in ("", since):
            if recorded:
                return recorded.doc
            before = MonitorState(last_key=before.last_key)
        judges = [judge for judge in self.judges if not recorded or judge.subject in recorded.doc["errors"]]
        judged, errors = _judged(judges, moment, before)
        late = key < before.last_key  # a late repeat of an older time: it is kept, but it decides nothing
        if late:
            reason = f"a later evaluation ({before.last_key}) was made before"
            judged = {one: _undecided(found, reason) for one, found in judged.items()}
            state = before
        else:
            left = {subject: found.state for subject, found in judged.items()}
            state = MonitorState(since, key, {**before.subjects, **left})
        evaluation = self._document(moment, judged, errors, state, recorded.doc if recorded else None)
        news = [
            News(EVENTS[subject], who, {"version": evaluation["version"], "evaluated_at": key, **found.told})
            for subject, found in judged.items()
            if state.of(subject).in_episode and not before.of(subject).in_episode
        ]
        self.evaluations.record(model, key, evaluation, state, item, again=recorded, news=news)
        return evaluation

    def _document(
        self,
        moment: Moment,
        judged: Mapping[str, Judged],
        errors: Mapping[str, str],
        state: MonitorState,
        recorded: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        settings = self.environment.drift
        judgements = {doc["subject"]: doc for doc in recorded["judgements"]} if recorded else {}
        judgements |= {subject: found.judgement.to_doc() for subject, found in judged.items()}
        document = {
            "model": self.environment.model,
            "version": moment.live.version if moment.live else None,
            "method": settings.method,
            "threshold": settings.threshold,
            "minimum_rows": settings.minimum_rows,
            "persistence": settings.persistence,
            "evaluated_at": stamp(moment.at),
            **drift.NOTHING,
            **(recorded or {}),
            "judgements": list(judgements.values()),
            "errors": dict(errors),
        }
        for found in judged.values():
            document |= found.more
        if "drift" in judged:
            judgement = judged["drift"].judgement
            document |= {
                "verdict": _WORDS.get(judgement.verdict, judgement.verdict),
                "reason": judgement.reason,
                "consecutive": state.of("drift").consecutive,
            }
        return document


def _judged(judges: Sequence[Judge], moment: Moment, before: MonitorState) -> tuple[dict[str, Judged], dict[str, str]]:
    """What was found of each subject, and why some could not be judged."""
    judged: dict[str, Judged] = {}
    errors: dict[str, str] = {}
    for judge in judges:
        state = before.of(judge.subject)
        try:
            judged[judge.subject] = judge.judge(moment, state)
        except (Exists, Changed):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is: it must not hide what the others find
            print(json.dumps({"level": "ERROR", "subject": judge.subject, "trace": traceback.format_exc()}))
            errors[judge.subject] = f"{type(error).__name__}: {error}"[:_TOLD]
            judged[judge.subject] = _failed(judge, state, errors[judge.subject])
    return judged, errors


def _failed(judge: Judge, state: SubjectState, error: str) -> Judged:
    return Judged(Judgement(judge.subject, "not_enough_data", f"it could not be judged: {error}"), state)


def _undecided(found: Judged, reason: str) -> Judged:
    return replace(found, judgement=replace(found.judgement, verdict="not_enough_data", reason=reason))
