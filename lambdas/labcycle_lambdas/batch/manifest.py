"""Last step: the manifest, which says what became of a run, and what its owner is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labcycle_lambdas.batch.environment import Environment
from labcycle_lambdas.batch.places import Places
from labcycle_lambdas.batch.plan import Plan
from labcycle_lambdas.batch.scoring import FAILED, SCORED
from labcycle_lambdas.batch.store import Store
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.notice import Notice

COMPLETE, PARTIAL, NOTHING_SCORED, EMPTY = "complete", "partial", "failed", "empty"
_NAMED = 10
_NO_RESULT = "it has no result: each try failed, or ran out of time or memory; the execution's history has the cause. Split it if it is large"


@dataclass(frozen=True)
class Concluding:
    environment: Environment
    store: Store

    def __call__(self, plan: Plan, now: datetime) -> dict[str, Any]:
        """Write the manifest of the run. `notice` is what the owner is told, None where all is well."""
        places = Places(self.environment.model)
        objects = [self._outcome(places, plan.run, name) for name in plan.objects]
        failed = [one for one in objects if one["status"] == FAILED]
        rows, failed_rows = (sum(one.get(count, 0) for one in objects) for count in ("rows", "failed_rows"))
        verdict = self._verdict(objects, failed, rows, failed_rows)
        key = places.manifest(plan.run)
        manifest = {
            "format": 1,
            "team": self.environment.team,
            "model": self.environment.model,
            "run": plan.run,
            "execution": plan.execution,
            "version": plan.deployed.version,
            "model_sha256": plan.deployed.model_file.sha256,
            "source_run": plan.deployed.source_run,
            "generation": plan.generation,
            "started": plan.started,
            "ended": stamp(now),
            "verdict": verdict,
            "tolerated_failure_percent": self.environment.tolerated_failure_percent,
            "rows": rows,
            "failed_rows": failed_rows,
            "failed_objects": len(failed),
            "objects": objects,
        }
        self.store.keep(key, manifest)
        notice = None if verdict == COMPLETE else self._notice(manifest, key, failed)
        why = "" if verdict == COMPLETE else f"{len(failed)} of {len(objects)} objects failed; the manifest says why"
        where = f"s3://{self.store.bucket}/{key}"
        return {"verdict": verdict, "run": plan.run, "manifest": where, "why": why, "notice": notice}

    def _outcome(self, places: Places, run: str, name: str) -> dict[str, Any]:
        result = self.store.document(places.result(run, name))
        return result or {"object": name, "status": FAILED, "why": _NO_RESULT}

    def _verdict(self, objects: Sequence[Any], failed: Sequence[Any], rows: int, failed_rows: int) -> str:
        if not objects:
            return EMPTY
        if not any(one["status"] == SCORED for one in objects):
            return NOTHING_SCORED
        too_many = failed_rows * 100 > self.environment.tolerated_failure_percent * rows
        return PARTIAL if failed or too_many else COMPLETE

    def _notice(self, manifest: dict[str, Any], key: str, failed: Sequence[Any]) -> dict[str, str]:
        team, model, run = self.environment.team, self.environment.model, manifest["run"]
        said = {
            PARTIAL: "was scored in part",
            NOTHING_SCORED: "could not be scored",
            EMPTY: "found nothing to score",
        }[manifest["verdict"]]
        incoming = f"s3://{self.store.bucket}/{Places(model).incoming}"
        lines = [f"The batch {run} of {model} (version {manifest['version']}) {said}.", ""]
        if manifest["verdict"] == EMPTY:
            lines.append(f"There is no object below {incoming}: see why its source put none there.")
            return Notice.of(f"labcycle {team}: batch of {model} {said}", lines).to_doc()
        total = len(manifest["objects"])
        lines.append(f"Objects: {total}, of which {len(failed)} failed.")
        lines.append(
            f"Rows of the others: {manifest['rows']}, of which {manifest['failed_rows']} failed; "
            f"{manifest['tolerated_failure_percent']:g} % are tolerated."
        )
        lines += [f"- {one['object'][:200]}: {one['why']}" for one in failed[:_NAMED]]
        if len(failed) > _NAMED:
            lines.append(f"- and {len(failed) - _NAMED} more")
        lines += [
            "",
            f"All figures: s3://{self.store.bucket}/{key}; rows that failed: the folder errors beside it. Mend the objects "
            f"below {incoming}, and start the state machine with the input " + f'{{"resume": "{run}"}}: it scores only what has '
            "no result yet, with the same version.",
        ]  # fmt: skip
        return Notice.of(f"labcycle {team}: batch of {model} {said}", lines).to_doc()
