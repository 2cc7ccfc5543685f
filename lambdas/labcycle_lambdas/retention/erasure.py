"""Let a run go: its artifacts, in every version, and its metric points. What it was (params, latest metrics, tags) stays.

Insights are worth keeping when bytes are not. Every step can be repeated: a run that is not finished within the time
of a call goes on with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
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

        A page: `after` is the id of the last run that was looked at, and is given back; "" at the end. A run without a rule
        is one whose erasure was begun and is not finished.
        """
        states, last = Runs(self.table).erasable(experiment_id, self._may_go, after, _LOOKED_AT)
        ruled = [(run, self._rule(run)) for run in states if not run.ended]
        going = [(run, rule) for run, rule in ruled if rule or run.begun]
        lineage = Lineage.read(self.table) if going else Lineage({}, {})
        roots = self._roots(experiment_id, [run for run, _ in going])
        return [
            {
                "run_id": run.run_id,
                "name": run.name,
                "status": run.status,
                "lifecycle_stage": run.stage,
                "idle_days": (self.now_ms() - run.changed_ms) // 86_400_000,
                "rule": asdict(rule) if rule else None,
                "kept_for": lineage.holds(run.run_id, roots[run.run_id]),
            }
            for run, rule in going
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
        run = runs.erasable_one(run_id)
        roots = self._roots(run.experiment_id, [run])[run_id]
        if not run.begun:
            if run.ended or (rule := self._rule(run)) is None:
                raise InUse(
                    f"No rule of this team lets the run {run_id} go: it is {run.status} and {run.stage}, and was changed "
                    f"{(self.now_ms() - run.changed_ms) // 86_400_000} days ago. See tracking.retention in the team file."
                )
            if kept := Lineage.read(self.table).holds(run_id, roots):
                raise InUse(f"The run {run_id} stays: {kept} is built from it.")
            runs.begin_erasure(run_id, who, asdict(rule))
        for root in roots:
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
        return first_that_lets_go(self.rules, run.status, run.stage, run.changed_ms, self.now_ms())

    def _roots(self, experiment_id: str, runs: Collection[Erasable]) -> dict[str, list[str]]:
        """Where the artifacts lie of runs of an experiment, and of the models that they logged, by run."""
        logged = LoggedModels(self.table).of_experiment(experiment_id, deleted=True) if runs else ()
        found: dict[str, list[str]] = {run.run_id: [] for run in runs}
        for run_id, root in [
            *((run.run_id, run.artifact_uri) for run in runs),
            *((model.source_run_id, model.artifact_uri) for model in logged),
        ]:
            if run_id in found and root.startswith(f"s3://{self.bucket}/experiments/"):
                found[run_id].append(root)
        return found

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
