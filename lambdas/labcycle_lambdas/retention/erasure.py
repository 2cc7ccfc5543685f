"""Let a run go: its artifacts, in every version, and its metric points. What it was (params, latest metrics, tags) stays.

Insights are worth keeping when bytes are not. Every step can be repeated: a run that is not finished within the time
of a call goes on with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labcycle_lambdas.ledger.errors import InUse
from labcycle_lambdas.ledger.logged_models import LoggedModels
from labcycle_lambdas.ledger.run_record import Erasable
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table, Throttled
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.retention.lineage import Lineage
from labcycle_lambdas.retention.rules import Rule, first_that_lets_go
from labcycle_lambdas.s3_calls import s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_LOOKED_AT = 500
_AT_ONCE = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html


@dataclass(frozen=True)
class Retention:
    """The rules of a team over its ledger. `client` makes the S3 client; `now_ms` is the time in milliseconds."""

    table: Table
    client: Callable[[], S3Client]
    bucket: str
    rules: list[Rule]
    now_ms: Callable[[], int]

    def plan(self, experiment_id: str, after: str = "") -> tuple[list[dict[str, Any]], str]:
        """What the rules would let go of an experiment, and what lineage keeps of that; nothing is changed.

        A page: `after` is the id of the last run that was looked at, and is given back; "" at the end.
        """
        states, last = Runs(self.table).erasable(experiment_id, self._may_go, after, _LOOKED_AT)
        gone = [(state, rule) for state in states if (rule := self._rule(state))]
        lineage = Lineage.read(self.table) if gone else Lineage({}, {})
        return [
            {
                "run_id": state.run_id,
                "name": state.name,
                "status": state.status,
                "lifecycle_stage": state.stage,
                "idle_days": (self.now_ms() - state.changed_ms) // 86_400_000,
                "rule": {"status": rule.status, "days": rule.days},
                "kept_for": lineage.holds(state.run_id, self._roots(state.run_id)),
            }
            for state, rule in gone
        ], last

    def erase(self, run_id: str, who: Who, has_time: Callable[[], bool]) -> bool:
        """Let a run go that the rules let go; False where the time was over before it was finished.

        Raises
        ------
        NotFound
            If there is no such run.
        InUse
            If no rule lets it go, or a version is built from it.
        Throttled
            If AWS did not take it; what was done stays done.
        """
        runs = Runs(self.table)
        state = runs.erasable_one(run_id)
        if not state.begun:
            if (rule := self._rule(state)) is None:
                raise InUse(
                    f"No rule of this team lets the run {run_id} go: it is {state.status} and {state.stage}, and was changed "
                    f"{(self.now_ms() - state.changed_ms) // 86_400_000} days ago. See tracking.retention in the team file."
                )
            if kept := Lineage.read(self.table).holds(run_id, self._roots(run_id)):
                raise InUse(f"The run {run_id} stays: {kept} is built from it.")
            runs.begin_erasure(run_id, who, {"status": rule.status, "days": rule.days})
        for root in self._roots(run_id):
            for keys in self._versions(root.removeprefix(f"s3://{self.bucket}/").rstrip("/") + "/"):
                if not has_time():
                    return False
                self._delete(keys)
        if not runs.erase_points(run_id, has_time):
            return False
        runs.end_erasure(run_id)
        return True

    def _may_go(self, status: str, stage: str) -> bool:
        return first_that_lets_go(self.rules, status, stage, 0, 2**63) is not None

    def _rule(self, run: Erasable) -> Rule | None:
        if run.ended:
            return None
        if run.begun:
            return Rule(run.status.lower(), 0)  # begun by a rule, and not finished
        return first_that_lets_go(self.rules, run.status, run.stage, run.changed_ms, self.now_ms())

    def _roots(self, run_id: str) -> list[str]:
        """Where the artifacts lie of a run, and of the models that it logged."""
        run = Runs(self.table).get(run_id)
        logged = LoggedModels(self.table)
        models = [m for m in logged.of_experiment(run.experiment_id, deleted=True) if m.source_run_id == run_id]
        roots = [run.artifact_uri, *(model.artifact_uri for model in models)]
        return [root for root in roots if root.startswith(f"s3://{self.bucket}/experiments/")]

    def _delete(self, keys: list[ObjectIdentifierTypeDef]) -> None:
        said = s3_call(
            lambda: self.client().delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
        )
        for error in said.get("Errors", []):
            raise Throttled(f"S3 did not delete {error.get('Key')}: {error.get('Code')}")

    def _versions(self, prefix: str) -> Iterator[list[ObjectIdentifierTypeDef]]:
        while True:
            page = s3_call(
                lambda: self.client().list_object_versions(Bucket=self.bucket, Prefix=prefix, MaxKeys=_AT_ONCE)
            )
            entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if not entries:
                return
            yield [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
