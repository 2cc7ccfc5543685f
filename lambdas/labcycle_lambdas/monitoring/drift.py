"""Drift: the profiles of the live version beside its reference, of all rows and of each cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import NOTHING_LIVE, Judgement, Subject
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.monitoring.coverage import LEAST_SHARE, Counted, Coverage
from labcycle_lambdas.monitoring.environment import Drift
from labcycle_lambdas.monitoring.judging import Judged, Moment
from labcycle_lambdas.monitoring.window import Window
from labcycle_lambdas.profiles import ColumnComparison, Profile, Reference, compare, moved

NOTHING: dict[str, Any] = {"rows": 0, "new_rows": 0, "window_start": None, "coverage": None}
NOTHING |= {"features": {}, "table": [], "cohorts": {}}
_NAMED = 5  # columns that moved most
_KEPT = 200  # an item holds 400 KB
_CLOCKS = timedelta(minutes=5)  # by which those of sandboxes may be ahead
_GROWS = timedelta(hours=2)  # after its begin: a sandbox that was frozen writes its last rows when it is asked again
_WHOLE = {"share": 1.0}  # of a model in batches: what scores it writes its profile first


@dataclass(frozen=True)
class DriftJudge:
    """Drift needs an effect (the method's figure at the threshold or above in any column, of all rows or of a cohort alone, that
    chance does not explain), a sample (the minimum of rows, of 95 % of the requests) and persistence (that many
    evaluations in a row, each with new rows).
    """

    model: str
    settings: Drift
    profiles: Profiles
    counted: Counted | None

    @property
    def subject(self) -> Subject:
        return "drift"

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        """`more` has the rows, coverage, and the figures of the columns, the one that moved most first."""
        settings, live = self.settings, moment.live
        if live is None:
            return _nothing(before, NOTHING_LIVE, NOTHING)
        if live.reference is None:
            reason = f"the run of version {live.version} logged no reference.json to compare with"
            return _nothing(before, reason, NOTHING)
        reference = Reference.from_doc(live.reference)
        since = max(moment.at - settings.window, datetime.fromisoformat(live.promoted_at))
        windows: list[Window] = []
        merged = Profile.of(reference, self._docs(live.version, since, moment.at, windows))
        coverage = self._coverage(moment, windows, since)
        new_rows, seen = _new(
            [one for one in windows if one.reference == reference.fingerprint], before.seen, moment.at
        )
        is_whole = self.counted is None and all(window.asked is not None for window in windows)
        covered = coverage.to_doc() if coverage else _WHOLE if is_whole else None
        more = NOTHING | {"rows": merged.rows, "new_rows": new_rows, "window_start": stamp(since), "coverage": covered}
        if coverage and coverage.share < LEAST_SHARE:
            reason = (
                f"the profiles tell of {coverage.asked} of {coverage.requests} requests ({coverage.share:.1%}), of at least "
                f"{LEAST_SHARE:.0%} needed"
            )
            return _nothing(before, reason, more)
        if merged.rows < settings.minimum_rows:
            return _nothing(before, f"{merged.rows} rows of at least {settings.minimum_rows}", more)
        whole = sorted(compare(reference, merged), key=lambda column: -column.figure(settings.method))
        apart = {(field, label): compare(of.reference, of) for field, label, of in self._cohorts(merged)}
        more |= {
            "features": {column.name: column.figure(settings.method) for column in whole[:_KEPT]},
            "table": [column.to_doc() for column in whole[:_KEPT]],
        }
        found = self._moved([*whole, *(_named(*cohort, one) for cohort, many in apart.items() for one in many)])
        more |= {"cohorts": self._of_cohorts(apart, {column.name for column in found})}
        if not new_rows:
            return _nothing(before, "no traffic since the last evaluation", more)
        return self._found(before, whole, found, more, seen)

    def _docs(self, version: int, since: datetime, at: datetime, windows: list[Window]) -> Iterator[dict[str, Any]]:
        """The profiles one after another, since a long window has more of them than memory holds; `windows` keeps what else
        is asked of each."""
        for stored in self.profiles.each(self.model, version, since):
            if stored.window_start <= at + _CLOCKS:
                windows.append(Window.of(stored))
                yield stored.doc

    def _coverage(self, moment: Moment, windows: Sequence[Window], since: datetime) -> Coverage | None:
        """The API counts what the canary answered, too."""
        if self.counted is None:
            return None
        beside: list[Window] = []
        if canary := moment.deployment.canary:
            for _ in self._docs(canary.deployed.version, since, moment.at, beside):
                pass
        return self.counted.coverage([*windows, *beside], since, moment.at)

    def _cohorts(self, merged: Profile) -> Iterator[tuple[str, str, Profile]]:
        """Those with enough rows to be judged apart."""
        for field in self.settings.cohorts:
            for label, profile in merged.cohorts.get(field, {}).items():
                if profile.rows >= self.settings.minimum_rows:
                    yield field, label, profile

    def _moved(self, columns: Sequence[ColumnComparison]) -> list[ColumnComparison]:
        """All columns and cohorts are looked at together, so that many of them make no chance find."""
        settings = self.settings
        return moved(columns, method=settings.method, threshold=settings.threshold, minimum_rows=settings.minimum_rows)

    def _of_cohorts(
        self, apart: dict[tuple[str, str], list[ColumnComparison]], found: set[str]
    ) -> dict[str, dict[str, Any]]:
        """Field -> category -> rows, figures of the columns that moved most, and which of them count as moved."""
        answer: dict[str, dict[str, Any]] = {}
        for (field, label), columns in apart.items():
            most = sorted(columns, key=lambda column: -column.figure(self.settings.method))[:_NAMED]
            answer.setdefault(field, {})[label] = {
                "rows": max(column.rows for column in columns),
                "features": {column.name: column.figure(self.settings.method) for column in most},
                "moved": [column.name for column in most if _named(field, label, column).name in found],
            }
        return answer

    def _found(
        self,
        before: SubjectState,
        whole: Sequence[ColumnComparison],
        found: Sequence[ColumnComparison],
        more: dict[str, Any],
        seen: dict[str, Any],
    ) -> Judged:
        settings = self.settings
        figures: dict[str, Any] = {
            "value": whole[0].figure(settings.method),
            "limit": settings.threshold,
            "method": settings.method,
        }
        if not found:
            reason = f"no column reaches {settings.threshold:g} beyond chance; {whole[0].name} moved most"
            return Judged(Judgement("drift", "good", reason, figures), SubjectState(0, False, seen), more)
        consecutive = before.consecutive + 1
        persists = consecutive >= settings.persistence
        names = {column.name for column in whole}
        alone = [column.name for column in found if column.name not in names]
        cohorts = f", and in a cohort {alone[0]}" if alone else ""
        reason = (
            f"{len(found) - len(alone)} of {len(whole)} columns reach {settings.threshold:g}, {found[0].name} moved most{cohorts}; "
            f"evaluation {consecutive} in a row of {settings.persistence} needed"
        )
        figures |= {
            "value": found[0].figure(settings.method),
            "moved": [column.name for column in found[:_NAMED]],
        }
        told = {
            "rows": more["rows"],
            "method": settings.method,
            "threshold": settings.threshold,
            "consecutive": consecutive,
            "features": {column.name: column.figure(settings.method) for column in found[:_NAMED]},
        }
        judgement = Judgement("drift", "failed" if persists else "failing", reason, figures)
        return Judged(judgement, SubjectState(consecutive, persists, seen), more, told)


def _nothing(before: SubjectState, reason: str, more: dict[str, Any]) -> Judged:
    return Judged(Judgement("drift", "not_enough_data", reason), before, more)


def _named(field: str, label: str, column: ColumnComparison) -> ColumnComparison:
    """A column of a cohort, by a name of its own."""
    return replace(column, name=f"{column.name} where {field} is {label}")


def _new(windows: Sequence[Window], seen: dict[str, Any], at: datetime) -> tuple[int, dict[str, Any]]:
    """Rows that no earlier evaluation counted, and the marks up to which all are counted now: for each sandbox the number and the rows of
    its last window. Only windows that may still grow have marks; what began before those is never new."""
    marks: dict[str, list[int]] = seen.get("marks", {})
    begin = datetime.fromisoformat(seen["from"]) if "from" in seen else None
    new, following = 0, at - _GROWS
    left: dict[str, list[int]] = {}
    for one in sorted(windows, key=lambda one: (one.sandbox_id, one.number)):
        number, counted = marks.get(one.sandbox_id, [-1, 0])
        if begin is None or one.start >= begin:
            if one.number > number:
                new += one.rows
            elif one.number == number:
                new += max(0, one.rows - counted)
        if one.start >= following:
            left[one.sandbox_id] = [one.number, one.rows]
    return new, {"from": stamp(following), "marks": left}
