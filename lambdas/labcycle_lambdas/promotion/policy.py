"""What the team's policy asks of a version before it is tried: a whole record, a second person, fresh data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.promotions import Promotion
from labcycle_lambdas.ledger.registry import ModelVersion, Registry
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.lineage.parts import parts
from labcycle_lambdas.lineage.run_reader import RunReader
from labcycle_lambdas.promotion.environment import Environment


@dataclass(frozen=True)
class Policy:
    environment: Environment
    reader: RunReader

    def check(self, promotion: Promotion, now: datetime) -> None:
        """Raises `Refused` with all that is wrong, and `NotFound` where there is no such version."""
        version = Registry(self.reader.table).version(self.environment.model, promotion.version)
        run = self._run(version)
        found = [self._whole(run), self._second_person(promotion, version, run), self._fresh(run, now)]
        if problems := [problem for problem in found if problem]:
            raise Refused(f"Version {version.version} of {self.environment.model}: {'; '.join(problems)}.")

    def _run(self, version: ModelVersion) -> Run | None:
        try:
            return Runs(self.reader.table).get(version.run_id) if version.run_id else None
        except NotFound:
            return None

    def _whole(self, run: Run | None) -> str:
        if not self.environment.complete_runs:
            return ""
        if run is None:
            return "it was registered without a run of this team, and the policy asks for the whole record of one (complete_runs)"
        missing = [part.name for part in parts(self.reader.record(run)) if part.state != "found"]
        if not missing:
            return ""
        return (
            f"the record of its run {run.run_id} is not whole: {', '.join(missing)} (complete_runs). What is missing, and how to "
            f"supply it: labcycle runs parts {run.run_id}"
        )

    def _second_person(self, promotion: Promotion, version: ModelVersion, run: Run | None) -> str:
        if not self.environment.second_person or promotion.requested_by not in (
            version.user_id,
            run.user_id if run else "",
        ):
            return ""
        return f"{promotion.requested_by} made it and asked for its promotion; another person must ask (second_person)"

    def _fresh(self, run: Run | None, now: datetime) -> str:
        days = self.environment.newest_data_days
        if days is None:
            return ""
        if run is None:
            return f"nothing tells how old its data is, and the policy asks for at most {days} days (newest_data_days)"
        trained = datetime.fromtimestamp((run.end_time or run.start_time) / 1000, UTC)
        if now - trained <= timedelta(days=days):
            return ""
        return (
            f"it was trained on {trained:%Y-%m-%d}, {(now - trained).days} days ago; the policy asks for data of at most {days} "
            f"days (newest_data_days). Train it again"
        )
