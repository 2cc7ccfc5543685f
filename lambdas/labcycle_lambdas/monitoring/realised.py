"""Performance and business: judged by the outcomes that were taken in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import Judgement, Subject
from labcycle_lambdas.ledger.outcomes import Outcomes
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.monitoring.judging import Judged, Moment
from labcycle_lambdas.outcomes import business, performance
from labcycle_lambdas.outcomes.predicted import count_predicted
from labcycle_lambdas.profiles.chances import Confidence

_CONFIDENCE = timedelta(days=1)  # of which profiles are read, for the estimate


@dataclass(frozen=True)
class PerformanceJudge:
    """The realised metric of the live version against its limit."""

    model: str
    settings: performance.Settings
    outcomes: Outcomes
    profiles: Profiles

    @property
    def subject(self) -> Subject:
        return "performance"

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        live = moment.live
        version = live.version if live else None
        since = _day(moment.at - timedelta(days=self.settings.window_days - 1))
        judgement, state = performance.judge(
            self.settings,
            version,
            self.outcomes.days(self.model, version, since) if version is not None else [],
            at=moment.at,
            promoted_at=_promoted(moment),
            before=before,
            confidence=self._confidence(version, moment.at) if version is not None else None,
        )
        return Judged(judgement, state, told=_told(judgement))

    def _confidence(self, version: int, at: datetime) -> Confidence | None:
        if self.settings.metric != "accuracy":
            return None
        stored = self.profiles.each(self.model, version, at - _CONFIDENCE)
        return Confidence.of(profile.doc for profile in stored)


@dataclass(frozen=True)
class BusinessJudge:
    """The sum of the values of whole days against the minimum."""

    model: str
    settings: business.Settings
    outcomes: Outcomes
    profiles: Profiles

    @property
    def subject(self) -> Subject:
        return "business"

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        back = self.settings.window_days + business.LOOKED_BACK_DAYS
        since = _day(moment.at - timedelta(days=back))
        live = moment.live
        known = set(self.outcomes.versions(self.model)) | ({live.version} if live else set())
        days = {version: self.outcomes.days(self.model, version, since) for version in sorted(known)}
        predicted = {
            version: count_predicted(self.outcomes, self.profiles, self.model, version, at=moment.at, days=back)
            for version, there in days.items()
            if there or (live and version == live.version)
        }
        judgement, state = business.judge(
            self.settings,
            live.version if live else None,
            [day for there in days.values() for day in there],
            predicted,
            at=moment.at,
            promoted_at=_promoted(moment),
            before=before,
        )
        return Judged(judgement, state, told=_told(judgement))


def _day(at: datetime) -> str:
    return at.date().isoformat()


def _promoted(moment: Moment) -> datetime | None:
    return datetime.fromisoformat(moment.live.promoted_at) if moment.live else None


def _told(judgement: Judgement) -> dict[str, Any]:
    return {"why": judgement.reason, "figures": judgement.figures}
