"""Records of a model that is served elsewhere: what it predicted, counted and kept as if a model server had answered it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.received import Received
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.decisions import flag_of, version_of
from labcycle_lambdas.lifecycle.record_rows import NoRecord, Record, record
from labcycle_lambdas.mlflow_error import invalid, kind_of
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.prediction_log import Answered, Windows, lines_of
from labcycle_lambdas.profiles import Profile, Reference
from labcycle_lambdas.profiles.chances import Confidence
from labcycle_lambdas.s3_calls import s3_call

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
    ids = _Taking(call, model, keeping, deployed, f"records{digest[:24]}", start).take(records)
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


@dataclass(frozen=True)
class _Taking:
    call: Call
    model: str
    keeping: Keeping
    deployed: Deployed
    sender: str
    start: datetime

    def take(self, records: Sequence[Record]) -> list[str]:
        """The ids of the predictions, [] where they are not kept. Both writes replace what a call that broke off left."""
        reference = Reference.from_doc(self.deployed.reference) if self.deployed.reference else None
        ids = self._keep(records, reference) if self.keeping.log else []
        if reference:
            self._count(records, reference)
        return ids

    def _keep(self, records: Sequence[Record], reference: Reference | None) -> list[str]:
        windows = Windows(self.model, self.deployed.version, self.start, self.sender, self._put)
        ids = [windows.keep(self._line(number, one, reference)) for number, one in enumerate(records)]
        windows.write()
        return ids

    def _line(self, number: int, one: Record, reference: Reference | None) -> bytes:
        answered = Answered(one.id, [one.prediction], list(one.features), [list(one.features.values())])
        chances = [one.chances] if one.chances is not None else None
        sampled = self.keeping.samples(one.id or f"{self.sender} {number}")
        [line] = lines_of(answered, one.at or self.start, self.keeping, chances, reference, sampled=lambda _: sampled)
        return line

    def _count(self, records: Sequence[Record], reference: Reference) -> None:
        columns = sorted({name for one in records for name in one.features})
        profile, confidence = Profile(reference, self.keeping.cohorts), Confidence()
        rows = [[one.features.get(name) for name in columns] for one in records]
        profile.add(columns, rows, [one.prediction for one in records])
        confidence.add([one.chances for one in records if one.chances is not None])
        doc = {**profile.to_doc(), **confidence.in_profile()}  # nobody tells what was asked
        Profiles(self.call.table).write(self.model, self.deployed.version, self.sender, 1, self.start, doc)

    def _put(self, key: str, content: bytes) -> None:
        s3, bucket = self.call.preflight.s3, self.call.preflight.bucket
        s3_call(lambda: s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType="application/gzip"))
