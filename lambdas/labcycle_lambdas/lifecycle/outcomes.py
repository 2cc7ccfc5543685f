"""Outcomes over the API: send them, and see what was made of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from labcycle_lambdas.ledger.outcomes import Outcomes
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.sent_rows import sent_rows
from labcycle_lambdas.outcomes.measures import figures, value_of
from labcycle_lambdas.outcomes.rows import Invalid, outcome
from labcycle_lambdas.outcomes.store import folder
from labcycle_lambdas.outcomes.sums import Part, Sums
from labcycle_lambdas.s3_calls import s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAYS, MOST_DAYS = 28, 92
_TOLD = 20  # objects that were taken in last
_MOST_WAITING = 1_000  # as S3 lists at once


@dataclass(frozen=True)
class Place:
    """The bucket that outcomes go to."""

    s3: S3Client
    bucket: str

    def put(self, key: str, body: bytes, sent_by: str) -> None:
        s3_call(
            lambda: self.s3.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType="application/jsonl",
                Metadata={"sent-by": sent_by.encode("ascii", "replace").decode()[:500]},
            )
        )

    def waiting(self, model: str) -> int:
        found = s3_call(
            lambda: self.s3.list_objects_v2(Bucket=self.bucket, Prefix=folder(model), MaxKeys=_MOST_WAITING)
        )
        return sum(not one["Key"].endswith("/") for one in found.get("Contents", ()))


def send(call: Call) -> dict[str, Any]:
    """Put up to 5,000 outcomes among what the model's evaluator takes in. The same ones again are the same object."""
    model = call.path["model"]
    sent_rows(call, "outcomes", outcome, Invalid)
    rows = call.body()["outcomes"]
    Registry(call.table).model(model)
    lines = "".join(json.dumps(row, separators=(",", ":"), sort_keys=True) + "\n" for row in rows).encode()
    key = f"{folder(model)}{hashlib.sha256(lines).hexdigest()}.jsonl"
    _place(call).put(key, lines, str(call.who))
    return {"model": model, "object": key, "rows": len(rows)}


def outcomes(call: Call) -> dict[str, Any]:
    """What is known of a model's predictions of the last days, by version and day, and what became of the objects that brought it."""
    model = call.path["model"]
    since = _since(call)
    Registry(call.table).model(model)
    kept = Outcomes(call.table)
    versions = []
    for version in kept.versions(model):
        days = kept.days(model, version, since)
        parts = [(day, Sums.from_doc(day.sums)) for day in days]
        if days:
            together = Sums.together(sums for _, sums in parts).total()
            told = [{"day": day.day, **_told(sums.total())} for day, sums in parts]
            versions.append({"version": version, **_told(together), "days": told})
    return {
        "model": model,
        "since": since,
        "versions": versions,
        "waiting": _place(call).waiting(model),
        "objects": list(kept.last_objects(model, _TOLD)),
    }


def _place(call: Call) -> Place:
    return Place(call.preflight.s3, call.preflight.bucket)


def _told(part: Part) -> dict[str, Any]:
    return {
        "rows": part.get(("rows",), 0),
        "unmeasured": part.get(("unmeasured",), 0),
        "contradicted": part.get(("contradicted",), 0),
        "metrics": figures(part),
        "value": value_of(part),
    }


def _since(call: Call) -> str:
    days = call.number("days", MOST_DAYS) or DAYS
    return (datetime.now(UTC) - timedelta(days=days - 1)).date().isoformat()
