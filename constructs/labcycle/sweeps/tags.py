"""Tags by which runs of a sweep are known. They begin with `lineage.`, so that a registered version keeps them as evidence."""

from __future__ import annotations

PARENT = "mlflow.parentRunId"
SWEEP = "lineage.sweep"  # of the parent: the name of the sweep; of its children: the parent's id
POINT, ATTEMPT, LANE, SUBMISSION = (f"lineage.sweep.{what}" for what in ("point", "attempt", "lane", "submission"))
REASON, EXIT_CODE, SCRIPT = (f"lineage.sweep.{what}" for what in ("reason", "exit_code", "script"))
BEST_RUN, BEST, STOPPED = (f"lineage.sweep.{what}" for what in ("best_run", "best", "stopped"))
