"""Where a run comes from: the runs that it was derived from, reproduces, or has as its parent."""

from __future__ import annotations

from dataclasses import dataclass

from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs

# The first that a run carries is the one that is followed.
RELATIONS = {
    "lineage.reproduces": "reproduces",
    "lineage.derived_from": "derived from",
    "mlflow.parentRunId": "child of",
}
RETRAINED = "retrained from"
EXECUTION = "labcycle.execution"  # of the reaction that retrained
MOST_GENERATIONS = 20


@dataclass(frozen=True)
class Ancestor:
    """A run, and how the one before it in the list relates to it. `name` is None where the ledger does not have it."""

    relation: str
    run_id: str
    name: str | None
    status: str
    user_id: str
    start_time: int
    lifecycle_stage: str


def ancestry(runs: Runs, run: Run) -> list[Ancestor]:
    """The nearest first. It ends at a run without a source, one that is not there, a circle, or after 20 generations."""
    found: list[Ancestor] = []
    seen, current = {run.run_id}, run
    while len(found) < MOST_GENERATIONS and (link := _link(current)) and link[1] not in seen:
        relation, run_id = link
        seen.add(run_id)
        try:
            current = runs.get(run_id)
        except NotFound:
            found.append(Ancestor(relation, run_id, None, "", "", 0, ""))
            break
        found.append(
            Ancestor(
                relation,
                run_id,
                current.name,
                current.status,
                current.user_id,
                current.start_time,
                current.lifecycle_stage,
            )
        )
    return found


def _link(run: Run) -> tuple[str, str] | None:
    for tag, relation in RELATIONS.items():
        if run_id := run.tags.get(tag):
            retrained = tag == "mlflow.parentRunId" and EXECUTION in run.tags
            return RETRAINED if retrained else relation, run_id
    return None
