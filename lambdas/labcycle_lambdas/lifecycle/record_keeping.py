"""What is kept of records: a profile, and the log of their predictions, as of a model server's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.record_rows import Record
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.prediction_log import Answered, Windows, lines_of
from labcycle_lambdas.profiles import Profile, Reference
from labcycle_lambdas.profiles.chances import Confidence
from labcycle_lambdas.s3_calls import s3_call


@dataclass(frozen=True)
class RecordKeeping:
    """Of the records of one call, by the `sender` that their content names, from `start`."""

    call: Call
    model: str
    keeping: Keeping
    deployed: Deployed
    sender: str
    start: datetime

    def keep(self, records: Sequence[Record]) -> list[str]:
        """The ids of the predictions, [] where they are not kept. Both writes replace what a call that broke off left."""
        reference = Reference.from_doc(self.deployed.reference) if self.deployed.reference else None
        ids = self._log(records, reference) if self.keeping.log else []
        if reference:
            self._count(records, reference)
        return ids

    def _log(self, records: Sequence[Record], reference: Reference | None) -> list[str]:
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
