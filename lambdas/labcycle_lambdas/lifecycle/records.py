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
from labcycle_lambdas.lifecycle.record_rows import NoRecord, record
from labcycle_lambdas.lifecycle.sent_rows import sent_rows
from labcycle_lambdas.mlflow_error import invalid


def send(call: Call) -> dict[str, Any]:
    """Count and keep up to 5,000 predictions of a version. The same ones again change nothing, and are answered the same. With
    `dry_run` they are checked alone."""
    model = call.path["model"]
    records, body = sent_rows(call, "records", record, NoRecord), call.body()
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
