"""How things came to be: a run's six parts and ancestry, and the whole chain of a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lineage.ancestry import ancestry as ancestors
from labcycle_lambdas.lineage.explanation import explain
from labcycle_lambdas.lineage.parts import complete, parts
from labcycle_lambdas.lineage.run_reader import RunReader
from labcycle_lambdas.mlflow_error import invalid

_VERSION_DIGITS = 12


def completeness(call: Call) -> dict[str, Any]:
    """The six parts of a run: what is recorded, what is missing, and how to supply it; and the data sets that it used."""
    run = _run(call)
    record = _reader(call).record(run)
    found = parts(record)
    return {
        "run_id": run.run_id,
        "complete": complete(found),
        "parts": [asdict(part) for part in found],
        "inputs": [asdict(item) for item in record.inputs],
    }


def ancestry(call: Call) -> dict[str, Any]:
    """The runs that a run comes from, the nearest first."""
    run = _run(call)
    found = ancestors(Runs(call.table), run)
    return {"run_id": run.run_id, "name": run.name, "ancestry": [asdict(ancestor) for ancestor in found]}


def explanation(call: Call) -> dict[str, Any]:
    """The chain of a version; `version` or `alias` in the query name it, else it is the live or the newest one."""
    query = dict(call.request.query)
    version, alias = query.get("version"), query.get("alias")
    if version is not None and alias is not None:
        raise invalid("Give either 'version' or 'alias', not both.")
    if version is not None and not (version.isdecimal() and version.isascii() and len(version) <= _VERSION_DIGITS):
        raise invalid(f"Parameter 'version' must be an integer, got {version[:60]!r}.")
    return explain(_reader(call), call.path["model"], version=int(version) if version else None, alias=alias)


def _run(call: Call) -> Run:
    return Runs(call.table).get(call.path["run_id"])


def _reader(call: Call) -> RunReader:
    return RunReader(call.table, call.preflight.s3, call.preflight.bucket)
