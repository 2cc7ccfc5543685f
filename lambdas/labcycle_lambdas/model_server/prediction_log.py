"""The predictions that were given, an object a window, by which outcomes are joined with them: JSON lines, gzip.

A line is a row of a request that was answered:
`{"row": 0, "request": "<x-request-id>", "at": "<UTC>", "prediction": 1, "chances": {"0": 0.2, "1": 0.8}, "cohort": {"country": "de"},
"features": {"amount": 12.5}}`, the last three where they are known or kept. `row` counts the rows of the window from 0.
"""

from __future__ import annotations

import gzip
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.config import Config

from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.windows import log_key, prediction_id, window_id
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.profiles import Reference
from labcycle_lambdas.profiles.bins import category
from labcycle_lambdas.s3_calls import s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from labcycle_lambdas.model_server.scoring import Scored

OBJECT_BYTES = 4_000_000  # of lines, before they are compressed
LONGEST_VALUE = 1_000  # characters of a prediction or a feature
# Who waits for an answer waits for this as well. The second try is for a connection that was cut while the sandbox was frozen.
PUT = Config(connect_timeout=0.5, read_timeout=1.0, retries={"total_max_attempts": 2, "mode": "standard"})
REST_SECONDS = 10.0
_ENCODE = msgspec.json.Encoder().encode  # NaN and infinities, which JSON does not have, become null


@dataclass(frozen=True)
class Answered:
    """A request that was answered.

    Parameters
    ----------
    predictions
        The answer to each row.
    columns, rows
        What the model was given; without `columns` where its values have no names.
    outputs
        All outputs of each row by name, where they are known.
    """

    request_id: str
    predictions: Sequence[Any]
    columns: Sequence[str] | None = None
    rows: Sequence[Sequence[Any]] = ()
    outputs: Sequence[Mapping[str, Any]] | None = None

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.predictions) if self.columns is None else len(self.rows)


def answered_by(scored: Scored, request_id: str = "") -> Answered:
    """What a request was answered. Tensors have no named values, and are no rows."""
    data = scored.data
    if isinstance(data, Table) and data.columns is not None:
        return Answered(request_id, scored.first, data.columns, data.rows, scored.outputs)
    return Answered(request_id, scored.first, outputs=scored.outputs)


def lines_of(
    answered: Answered,
    at: datetime,
    keeping: Keeping,
    chances: Sequence[Mapping[str, float]] | None = None,
    reference: Reference | None = None,
    *,
    sampled: Callable[[int], bool],
) -> list[bytes]:
    """A line for each prediction, without its beginning `{"row": <number>`, which `Lines.add` puts before it. `sampled` tells of which
    rows of the request the features are kept. Rows are told apart by the cohorts that the reference has, as in profiles."""
    columns = (
        answered.columns if answered.columns is not None and len(answered.rows) == len(answered.predictions) else ()
    )
    known = reference.cohorts if reference else {}
    cohorts = [
        (name, columns.index(name), known[name])
        for name in keeping.cohorts
        if name in columns and name in known and name not in keeping.redact
    ]
    kept = [(name, place) for place, name in enumerate(columns) if name not in keeping.redact]
    lines = []
    always = {"request": answered.request_id, "at": stamp(at)}
    for number, prediction in enumerate(answered.predictions):
        line: dict[str, Any] = {**always, "prediction": _short(prediction)}
        if chances is not None:
            line["chances"] = chances[number]
        row = answered.rows[number] if columns else ()
        cohort = {name: label for name, place, labels in cohorts if (label := category(row[place])) in labels}
        if cohort:
            line["cohort"] = cohort
        if columns and sampled(number):
            line["features"] = {name: _short(row[place]) for name, place in kept}
        lines.append(b"," + _encoded(line)[1:] + b"\n")
    return lines


@dataclass
class Lines:
    """The lines of a window, of which one thread makes the content. What is compressed once is not compressed again: a gzip file may
    have several members (RFC 1952, section 2.2)."""

    rows: int = 0
    size: int = 0  # bytes, before they are compressed
    _compressed: bytes = b""
    _new: list[bytes] = field(default_factory=list)

    def fits(self, lines: Sequence[bytes]) -> bool:
        return self.size + size_of(lines) <= OBJECT_BYTES

    def add(self, lines: Sequence[bytes]) -> None:
        self._new += [b'{"row":%d' % number + line for number, line in enumerate(lines, self.rows)]
        self.rows += len(lines)
        self.size += size_of(lines)

    def take(self) -> list[bytes]:
        """Those that are in no content yet, for `content`."""
        taken, self._new = self._new, []
        return taken

    def content(self, taken: Sequence[bytes]) -> bytes:
        """The object as it is written: what it was the last time, and these."""
        if taken:
            self._compressed += gzip.compress(b"".join(taken), compresslevel=6, mtime=0)
        return self._compressed


@dataclass
class Windows:
    """Windows of a version that begin at `start`, as many as the lines of one sender need. `put` writes an object by its key."""

    model: str
    version: int
    start: datetime
    sender: str  # lower-case letters and digits
    put: Callable[[str, bytes], object]
    _number: int = 1
    _lines: Lines = field(default_factory=Lines)

    def keep(self, line: bytes) -> str:
        """The id of the prediction whose line this is, as `lines_of` made it. Raises what `put` raises."""
        if not self._lines.fits([line]):
            self.write()
            self._number, self._lines = self._number + 1, Lines()
        row = self._lines.rows
        self._lines.add([line])
        return prediction_id(self.version, self._window, row)

    def write(self) -> None:
        """Write the last window. Raises what `put` raises."""
        if self._lines.rows:
            self.put(log_key(self.model, self.version, self._window), self._lines.content(self._lines.take()))

    @property
    def _window(self) -> str:
        return window_id(self.start, self.sender, self._number)


def size_of(lines: Sequence[bytes]) -> int:
    """Bytes with the number of the row."""
    return sum(map(len, lines)) + 16 * len(lines)


class PredictionLog:
    """Writes the objects of one model. Where S3 does not answer, it is left alone for a while, so that not every request waits."""

    def __init__(
        self,
        client: Callable[[], S3Client],
        bucket: str,
        model: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client` is asked for with the first object."""
        self._client, self._bucket, self._model, self._monotonic = client, bucket, model, monotonic
        self._made: S3Client | None = None
        self._rests_until = float("-inf")

    def write(self, version: int, window: str, content: bytes) -> None:
        """Keep the object of a window: the last one counts. Raises `Throttled`, or what else S3 refuses it with."""
        if self._monotonic() < self._rests_until:
            raise Throttled("S3 did not take the last predictions, and is left alone for some seconds")
        self._made = s3 = self._made or self._client()
        key = log_key(self._model, version, window)
        try:
            s3_call(lambda: s3.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType="application/gzip"))
        except Exception:
            self._rests_until = self._monotonic() + REST_SECONDS
            raise


def _short(value: Any) -> Any:
    """A text of the first characters in the place of what is longer."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE]
    if value is None or isinstance(value, int | float):
        return value
    text = _encoded(value)
    return value if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE].decode("utf-8", "ignore")


def _encoded(value: Any) -> bytes:
    try:
        return _ENCODE(value)
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can write and UTF-8 cannot
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
