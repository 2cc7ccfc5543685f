"""Freshness: how long ago the live version was trained, and how long ago it was asked for the last time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import NOTHING_LIVE, Judgement, Subject
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.run_record import times
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.monitoring.environment import Freshness
from labcycle_lambdas.monitoring.judging import Judged, Moment


@dataclass(frozen=True)
class _Age:
    """One age beside its limit; `said` is a sentence with both."""

    value: timedelta
    limit: timedelta
    said: str

    @property
    def share(self) -> float:
        return self.value / self.limit


@dataclass(frozen=True)
class FreshnessJudge:
    """Stale is what is older than its limit. An age needs no persistence: it goes down by new data alone."""

    model: str
    settings: Freshness
    profiles: Profiles
    table: Table

    @property
    def subject(self) -> Subject:
        return "freshness"

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        """`value` in the figures is the age as a share of its limit, of the one that is nearer to it or further beyond."""
        live = moment.live
        if live is None:
            return Judged(Judgement("freshness", "not_enough_data", NOTHING_LIVE), before)
        found: dict[str, _Age] = {}
        unknown: list[str] = []
        for name, age in (("training", self._training(live, moment)), ("traffic", self._traffic(live, moment))):
            if isinstance(age, str):
                unknown.append(age)
            elif age is not None:
                found[name] = age
        if not found:
            return Judged(Judgement("freshness", "not_enough_data", "; ".join(unknown)), before)
        stale = [age for age in found.values() if age.share > 1]
        reason = "; ".join([*(age.said for age in stale or found.values()), *unknown])
        figures: dict[str, Any] = {"value": max(age.share for age in found.values()), "limit": 1.0}
        figures |= {f"{name}_hours": age.value / timedelta(hours=1) for name, age in found.items()}
        verdict, consecutive = ("failed", before.consecutive + 1) if stale else ("good", 0)
        judgement = Judgement("freshness", verdict, reason, figures)  # type: ignore[arg-type]
        state = SubjectState(consecutive, bool(stale))
        return Judged(judgement, state, told={"why": reason, "figures": figures})

    def _training(self, live: Deployed, moment: Moment) -> _Age | str | None:
        """By the end of its run, else by its begin, as a promotion's `newest_data_days` has it."""
        limit = self.settings.training
        if limit is None:
            return None
        began, ended = times(self.table, live.source_run) if live.source_run else (None, None)
        if began is None:
            return f"no run tells when version {live.version} was trained"
        trained = datetime.fromtimestamp((ended or began) / 1000, UTC)
        age = moment.at - trained
        said = f"version {live.version} was trained on {trained:%Y-%m-%d}, {age.days} days ago, of {limit.days} allowed"
        return _Age(age, limit, said)

    def _traffic(self, live: Deployed, moment: Moment) -> _Age | str | None:
        """By the window of the last profile that counts rows; before the first one, by the promotion."""
        limit = self.settings.traffic
        if limit is None:
            return None
        if moment.deployment.pause:
            return "the model is paused, so that no prediction is missed"
        if live.reference is None:
            return f"the run of version {live.version} logged no reference.json, without which its predictions are not counted"
        last = self.profiles.last(self.model, live.version)
        promoted = datetime.fromisoformat(live.promoted_at)
        since = max(promoted, last.window_start) if last else promoted
        age = moment.at - since
        what = "the last prediction was" if last else f"version {live.version} went live, and was asked nothing since,"
        hours, allowed = age / timedelta(hours=1), limit / timedelta(hours=1)
        return _Age(age, limit, f"{what} {hours:.1f} hours ago, of {allowed:g} allowed")
