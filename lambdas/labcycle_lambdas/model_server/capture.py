"""Keep profiles of what the model sees, and where that is asked for its predictions: on Lambda inside the requests, since after the
answer a sandbox is frozen; in a process by a timer.

On Lambda a window starts with a request and is written with it, so that the rarest traffic is seen. Later rows of the window are
written at `FLUSH_ROWS`, or by the first request after `WINDOW_SECONDS`. The repeated write of a window replaces the one
before it, so that retries are exact. What a dying sandbox takes along is less than `FLUSH_ROWS` rows of one window, and the windows,
ten at most, that could not be written.

A process only counts in its requests. `flush` writes an open window again and again until its `WINDOW_SECONDS` are over; what a
dying process takes along is what came since the last flush.

The document of a window has, beside what `Profile` counts, `requests` whose rows are in it, and `asked`: all that the server was asked
since it told so last, to hold against what the API in front counted. A dying sandbox takes along less than `FLUSH_ROWS` of these,
unless it never made a prediction: then it has no window, and tells nothing. With `confidence` the sum of the highest chance of each
row tells how often the model expects to be right.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.windows import prediction_id, window_id
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.live import Loaded
from labcycle_lambdas.model_server.prediction_log import OBJECT_BYTES, Answered, Lines, PredictionLog, lines_of, size_of
from labcycle_lambdas.profiles import Profile, Reference
from labcycle_lambdas.profiles.bins import CategoricalBins
from labcycle_lambdas.profiles.chances import Confidence, NoChances, chances_of, sorted_classes
from labcycle_lambdas.profiles.reference import PREDICTION

WINDOW_SECONDS = 60.0
FLUSH_ROWS = 200
_KEPT_VALUES = 1_000  # of a row
_KEPT_WINDOWS = 10  # that could not be written
Chances = Sequence[Mapping[str, float]]


@dataclass
class _Window:
    version: int
    number: int
    start: datetime
    opened: float
    profile: Profile | None
    columns: Sequence[str] = ()
    uncounted: list[Sequence[Any]] = field(default_factory=list)  # rows with these columns, and the answer to each
    answers: list[Any] = field(default_factory=list)
    rows: int = 0
    requests: int = 0
    asked: int = 0
    confidence: Confidence = field(default_factory=Confidence)
    lines: Lines = field(default_factory=Lines)
    tried: bool = False
    told: tuple[int, int] = (0, 0)  # rows, and what was asked, that are in the ledger
    logged: int = 0  # rows that are in the bucket
    written: tuple[int, int] = (0, 0)  # of which both is true

    def add(self, answered: Answered, chances: Chances | None, lines: Sequence[bytes]) -> None:
        self.rows += answered.size
        if self.profile and answered.columns is not None:
            self.requests += 1
            self._profile(answered.columns, answered.rows, answered.predictions)
            if chances is not None:
                self.confidence.add(chances)
        self.lines.add(lines)

    def _profile(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], predictions: Sequence[Any]) -> None:
        """Single rows are counted many at once, which takes a fraction of the time, where they take little memory until then."""
        assert self.profile
        if columns != self.columns:
            self.count()
            self.columns = columns
        if len(rows) == len(predictions) == 1 and _is_small(rows[0], predictions[0]):
            self.uncounted.append(rows[0])
            self.answers.append(predictions[0])
        else:
            self.profile.add(columns, rows, predictions)

    def count(self) -> None:
        if self.profile and self.uncounted:
            self.profile.add(self.columns, self.uncounted, self.answers)
            self.uncounted, self.answers = [], []

    def to_doc(self) -> dict[str, Any] | None:
        """The document in the ledger; None where the version has nothing to be compared with."""
        if self.profile is None:
            return None
        self.count()
        asked = {"requests": self.requests, "asked": self.asked}
        return {**self.profile.to_doc(), **asked, **self.confidence.in_profile()}

    @property
    def unwritten(self) -> int:
        return max(self.rows - self.written[0], self.asked - self.written[1])


def _is_small(row: Sequence[Any], answer: Any) -> bool:
    return len(row) <= _KEPT_VALUES and set(map(type, row)) == {float} and type(answer) in (int, float, str)


class Capture:
    """The windows of one sandbox."""

    def __init__(
        self,
        profiles: Profiles,
        model: str,
        sandbox_id: str,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        by_timer: bool = False,
        keeping: Keeping | None = None,
        log: PredictionLog | None = None,
    ) -> None:
        """`by_timer`: nothing is written but by `flush`, which one thread calls; any number of threads may count. `log`: where
        predictions are kept as `keeping` says; absent: they are not."""
        self.by_timer = by_timer
        self.keeping = keeping or Keeping()
        self._log = log
        self._lock = threading.Lock()
        self._profiles = profiles
        self._model = model
        self._sandbox_id = sandbox_id
        self._monotonic = monotonic
        self._now = now
        self._numbers = 0
        self._window: _Window | None = None
        self._unwritten: list[_Window] = []  # closed, but their write failed
        self._loaded: Loaded | None = None
        self._reference: Reference | None = None
        self._asked = 0  # and in no window yet

    def ask(self) -> None:
        """The server was asked something."""
        with self._lock:
            self._asked += 1

    def count(self, loaded: Loaded, answered: Answered) -> str | None:
        """Count the rows of a request. Answers with the id of the first prediction where they are kept: those of the others have the
        following numbers. A request whose lines would fill more than an object is counted, and not kept."""
        with self._lock:
            self._change_to(loaded)
            reference = self._reference
        chances = chances_in(answered, reference)
        lines = self._lines(answered, chances, reference)
        kept = bool(lines) and size_of(lines) <= OBJECT_BYTES
        with self._lock:
            self._change_to(loaded)
            profiled = self._reference is not None and answered.columns is not None
            if not answered.size or not (kept or profiled):
                return None
            window = self._open_window(loaded, lines if kept else [])
            row = window.lines.rows
            window.add(answered, chances, lines if kept else [])
            if self.by_timer and len(window.uncounted) >= FLUSH_ROWS:
                window.count()
        if not kept:
            return None
        return prediction_id(window.version, self._id_of(window), row)

    def write_due(self) -> None:
        """On Lambda, with each request: write what is due. Raises what the write raises; nothing is lost by that."""
        if self.by_timer:
            return
        with self._lock:
            window = self._with_asked()
            if window and (self._is_over(window) or window.unwritten >= FLUSH_ROWS):
                self._close()
            first = self._window if self._window and not self._window.tried else None
        self._write_closed()
        if first:
            self._write(first)

    def flush(self) -> None:
        """Write what came since the last time. Raises what the write raises; nothing is lost by that."""
        with self._lock:
            if self._window and self._is_over(self._window):
                self._close()
            window = self._with_asked(at_least=1)
        self._write_closed()
        if window and window.unwritten:
            self._write(window)

    def _lines(self, answered: Answered, chances: Chances | None, reference: Reference | None) -> list[bytes]:
        if self._log is None:
            return []
        sampled = self.keeping.samples(answered.request_id)
        return lines_of(answered, self._now(), self.keeping, chances, reference, sampled=lambda _: sampled)

    def _change_to(self, loaded: Loaded) -> None:
        if self._loaded is None or loaded.generation != self._loaded.generation:
            self._close()
            doc = loaded.deployed.reference
            self._reference = Reference.from_doc(doc) if doc else None
            self._loaded = loaded

    def _is_over(self, window: _Window) -> bool:
        return self._monotonic() - window.opened >= WINDOW_SECONDS

    def _open_window(self, loaded: Loaded, lines: Sequence[bytes] = ()) -> _Window:
        """That in which these lines have a place."""
        if self._window and (self._is_over(self._window) or not self._window.lines.fits(lines)):
            self._close()
        if self._window is None:
            self._numbers += 1
            profile = Profile(self._reference, self.keeping.cohorts) if self._reference else None
            self._window = _Window(loaded.deployed.version, self._numbers, self._now(), self._monotonic(), profile)
        return self._window

    def _with_asked(self, at_least: int = FLUSH_ROWS) -> _Window | None:
        """The window, which tells what the server was asked; one is opened where that is `at_least` so much."""
        if self._window is None and self._asked >= at_least and self._loaded and self._reference:
            self._open_window(self._loaded)
        if self._window:
            self._window.asked += self._asked
            self._asked = 0
        return self._window

    def _close(self) -> None:
        if self._window and self._window.unwritten:
            self._unwritten = [*self._unwritten[1 - _KEPT_WINDOWS :], self._window]
        self._window = None

    def _write_closed(self) -> None:
        while self._unwritten:
            window = self._unwritten[0]
            self._write(window)
            with self._lock:
                self._unwritten = [one for one in self._unwritten if one is not window]

    def _write(self, window: _Window) -> None:
        """The profile, then the predictions; what is compressed holds up nobody else."""
        with self._lock:
            window.tried = True
            counted, doc = (window.rows, window.asked), window.to_doc()
            rows, taken = window.lines.rows, window.lines.take()
        content = window.lines.content(taken)
        if doc is not None and counted != window.told:
            self._profiles.write(self._model, window.version, self._sandbox_id, window.number, window.start, doc)
            window.told = counted
        if self._log and rows > window.logged:
            self._log.write(window.version, self._id_of(window), content)
            window.logged = rows
        with self._lock:
            window.written = counted

    def _id_of(self, window: _Window) -> str:
        return window_id(window.start, self._sandbox_id, window.number)


def chances_in(answered: Answered, reference: Reference | None) -> list[dict[str, float]] | None:
    """Of the classes, for each row. Where the model does not name them, they are those that it predicted in training; None where
    they cannot be told."""
    if not answered.outputs:
        return None
    classes: list[str] = []
    column = reference.columns[-1] if reference else None
    if column and column.name == PREDICTION and isinstance(column.bins, CategoricalBins):
        classes = sorted_classes(column.bins.categories)
    try:
        return chances_of({name: [row[name] for row in answered.outputs] for name in answered.outputs[0]}, classes)
    except NoChances:
        return None
