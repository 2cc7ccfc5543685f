"""Records of a model that is served elsewhere: what it predicted, counted and kept as if a model server had answered it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.received import Received
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.decisions import flag_of, version_of
from labcycle_lambdas.lifecycle.record_rows import NoRecord, Record, record
from labcycle_lambdas.mlflow_error import invalid, kind_of

MOST_ROWS, MOST_BYTES = 5_000, 5_000_000
_TOLD = 20  # rows that are wrong


def send(call: Call) -> dict[str, Any]:
    """Count and keep up to 5,000 predictions of a version. The same ones again change nothing, and are answered the same. With
    `dry_run` they are checked alone."""
    model = call.path["model"]
    if len(call.request.body) > MOST_BYTES:
        raise invalid(f"The body has {len(call.request.body)} bytes; at most {MOST_BYTES} are taken: send it in parts.")
    body = call.body()
    records = _records(body.get("records"))
    if "version" not in body:
        raise invalid("Missing value for required parameter 'version': the one that made these predictions.")
    Registry(call.table).model(model)
    keeping = call.preflight.records(model)
    if keeping is None:
        raise invalid(
            f"The model {model} takes no records: its own servers keep what they predict. Where it is served elsewhere, write "
            "deliver: [{form: external}] in the team file, and deploy."
        )
    deployed = _deployed(call, model, version_of(body["version"], "version"))
    if flag_of(body, "dry_run"):
        return {"model": model, "version": deployed.version, "rows": 0, "prediction_ids": []}
    content = json.dumps([deployed.version, body["records"]], separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()
    start = Received(call.table).first(model, digest, datetime.now(UTC))
    from labcycle_lambdas.lifecycle.record_keeping import RecordKeeping  # msgspec, which no other call needs

    ids = RecordKeeping(call, model, keeping, deployed, f"records{digest[:24]}", start).keep(records)
    return {"model": model, "version": deployed.version, "rows": len(records), "prediction_ids": ids}


def _records(rows: object) -> list[Record]:
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_ROWS:
        got = f"{len(rows)} rows" if isinstance(rows, list) else kind_of(rows)
        raise invalid(f"records: got {got}; allowed is a list of 1 to {MOST_ROWS} rows. Send more in parts.")
    found: list[Record] = []
    wrong: list[str] = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(record(row))
        except NoRecord as error:
            wrong.append(f"Row {number}: {error}")
    if wrong:
        more = f" And {len(wrong) - _TOLD} more." if len(wrong) > _TOLD else ""
        told = " ".join(wrong[:_TOLD])
        raise invalid(f"{len(wrong)} of {len(rows)} rows are no records, and none was taken. {told}{more}")
    return found


def _deployed(call: Call, model: str, version: int) -> Deployed:
    """A version that is or was live, with what it was promoted with."""
    deployments = Deployments(call.table)
    current = deployments.current(model)
    for side in (current.live, current.canary.deployed if current.canary else None):
        if side and side.version == version:
            return side
    before = next((one for one in current.previous if one.version == version), None)
    if before is None:
        raise invalid(
            f"Version {version} of {model} is not live, and was not of late, so that there is nothing to hold its predictions against. "
            f"Tell when it goes live where it is served: labcycle models promote {model} {version}."
        )
    return deployments.whole(model, before)
