"""Reactions of a model: the lock that keeps them one at a time, and what each has done already.

Each step of a reaction that has an effect leaves a mark in the transaction of the effect, so that a step that is
repeated (Step Functions retries, EventBridge delivers twice) does nothing and answers as it did.

Keys: REACTION#<model> / LOCK, and REACTION#<model> / <execution>#<mark>.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.table import Create, Doc, Exists, Replace, Table, Write
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who

_LOCK = "LOCK"
_BEGUN, _ENDED, _SKIPPED = "BEGUN", "ENDED", "SKIPPED"


@dataclass(frozen=True)
class Lock:
    """Who retrains, until when at most, and until when nobody may; times are UTC in ISO 8601, "" is none."""

    execution: str = ""
    run_id: str = ""
    expires_at: str = ""
    cool_down_until: str = ""


class Busy(Exception):
    """A reaction may not begin now; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Begun:
    """`abandoned_run` is the run of a reaction whose lock had expired."""

    abandoned_run: str = ""


class Reactions:
    """The reactions of a ledger."""

    def __init__(self, table: Table, custody: Custody) -> None:
        self._table = table
        self._custody = custody

    def lock(self, model: str) -> Lock:
        """The lock as it stands; with no execution where nobody retrains."""
        item = self._table.get(_partition(model), _LOCK)
        return Lock(**item.doc) if item else Lock()

    def check(self, model: str, execution: str, now: datetime, *, ignore_cool_down: bool = False) -> None:
        """Raises `Busy` where `execution` may not begin: another one runs, or the last ended too short a time ago."""
        lock = self.lock(model)
        if lock.execution == execution or self.mark(model, execution, _BEGUN):
            return
        if lock.execution and now < datetime.fromisoformat(lock.expires_at):
            raise Busy(f"the reaction {lock.execution} is under way, until {lock.expires_at} at most")
        if lock.cool_down_until and now < datetime.fromisoformat(lock.cool_down_until) and not ignore_cool_down:
            raise Busy(f"the model cools down until {lock.cool_down_until}")

    def begin(
        self,
        model: str,
        execution: str,
        run_id: str,
        now: datetime,
        *,
        longest: timedelta,
        who: Who,
        detail: Mapping[str, Any],
        ignore_cool_down: bool = False,
    ) -> Begun:
        """Take the lock and append `retraining_started`. Again by the same execution: nothing happens.

        Raises
        ------
        Busy
            If it may not begin (`check`).
        Throttled
            If DynamoDB did not take it.
        """

        def once() -> Begun:
            self.check(model, execution, now, ignore_cool_down=ignore_cool_down)
            item = self._table.get(_partition(model), _LOCK)
            before = Lock(**item.doc) if item else Lock()
            if (begun := self.mark(model, execution, _BEGUN)) is not None:
                return Begun(**begun)
            lock = Lock(execution, run_id, stamp(now + longest), before.cool_down_until)
            answer = Begun(before.run_id if before.execution else "")
            self._custody.append(
                f"model/{model}",
                "retraining_started",
                who,
                detail,
                Replace(item, asdict(lock)) if item else Create(_partition(model), _LOCK, asdict(lock)),
                self._mark(model, execution, _BEGUN, asdict(answer)),
            )
            return answer

        return self._table.until_unchanged(once)

    def skip(self, model: str, execution: str, reason: str) -> None:
        """Record that `execution` did nothing, and why."""
        try:
            self._table.write(self._mark(model, execution, _SKIPPED, {"reason": reason}))
        except Exists:
            return

    def skipped(self, model: str, execution: str) -> str | None:
        """Why `execution` did nothing; None where it did."""
        doc = self.mark(model, execution, _SKIPPED)
        return str(doc["reason"]) if doc else None

    def mark(self, model: str, execution: str, name: str) -> Doc | None:
        """What a step left, or None where it has not happened."""
        item = self._table.get(_partition(model), f"{execution}#{name}")
        return item.doc if item else None

    def once(
        self, model: str, execution: str, name: str, doc: Doc, *, action: str, who: Who, detail: Mapping[str, Any]
    ) -> Doc:
        """Append a custody event, and leave `doc` as the mark `name`; the mark that is there already wins."""
        done = self.mark(model, execution, name)
        if done is not None:
            return done
        try:
            self._custody.append(f"model/{model}", action, who, detail, self._mark(model, execution, name, doc))
        except Exists:
            return self.mark(model, execution, name) or doc
        return doc

    def end(
        self,
        model: str,
        execution: str,
        outcome: str,
        *,
        cool_down_until: datetime | None = None,
        event: tuple[str, Who, Mapping[str, Any]] | None = None,
    ) -> bool:
        """Release the lock, start the cool-down, append the event (action, who, detail), in one piece and once.

        Returns whether this call did it; False where the reaction had ended before.
        """

        def once() -> bool:
            if self.mark(model, execution, _ENDED) is not None:
                return False
            item = self._table.get(_partition(model), _LOCK)
            lock = Lock(**item.doc) if item else Lock()
            writes: list[Write] = [self._mark(model, execution, _ENDED, {"outcome": outcome})]
            if item and lock.execution == execution:
                until = stamp(cool_down_until) if cool_down_until else lock.cool_down_until
                writes.append(Replace(item, asdict(Lock(cool_down_until=until))))
            if event:
                action, who, detail = event
                self._custody.append(f"model/{model}", action, who, detail, *writes)
            else:
                self._table.write(*writes)
            return True

        return self._table.until_unchanged(once)

    def _mark(self, model: str, execution: str, name: str, doc: Doc) -> Create:
        return Create(_partition(model), f"{execution}#{name}", doc)


def _partition(model: str) -> str:
    return f"REACTION#{model}"
