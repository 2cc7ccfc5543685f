"""Reactions of a model: the lock that keeps them one at a time, what each has done already and when, and what trainings cost.

Each step of a reaction that has an effect leaves a mark in the transaction of the effect, so that a step that is
repeated (Step Functions retries, EventBridge delivers twice) does nothing and answers as it did.

A version that waits for its review holds no lock, since that can take weeks in which others must be able to pause the model
or roll it back; it only keeps another retraining from beginning.

Keys: REACTION#<model> / LOCK, and REACTION#<model> / <execution>#<mark>. REACTION_SPENDING#<model> / <year>-<month>.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.table import Create, Doc, Exists, Item, Put, Replace, Table, Write
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who

RETRAIN = "retrain"
APPROVED, REJECTED, UNREVIEWED = "approve", "reject", "none"
BEGUN, REGISTERED, COMPARED, ASKED, REVIEWED, ENDED = "BEGUN", "REGISTERED", "COMPARED", "ASKED", "REVIEWED", "ENDED"
_LOCK, _SKIPPED, _TOKEN = "LOCK", "SKIPPED", "TOKEN"
_AT = "marked_at"
# The marks that people see as stages, in their order.
_STAGES = {
    BEGUN: "begun",
    REGISTERED: "trained",
    COMPARED: "compared",
    ASKED: "asked",
    REVIEWED: "reviewed",
    ENDED: "ended",
    _SKIPPED: "skipped",
}


@dataclass(frozen=True)
class Lock:
    """Who reacts, until when at most; whose version waits for its review, until when at most; and by what is done (`retrain`,
    `roll_back`, ...) until when it may not begin again. Times are UTC in ISO 8601, "" is none."""

    execution: str = ""
    run_id: str = ""
    expires_at: str = ""
    waiting: str = ""
    waiting_until: str = ""
    cool_downs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, item: Item | None) -> Lock:
        if item is None:
            return cls()
        doc = dict(item.doc)
        if until := doc.pop("cool_down_until", ""):  # as it was written before there were others than retrainings
            doc["cool_downs"] = {RETRAIN: until}
        return cls(**doc)

    def holder(self, now: datetime) -> str:
        """The execution that holds it now; "" for none."""
        return self.execution if self.execution and now < datetime.fromisoformat(self.expires_at) else ""

    def reviewed(self, now: datetime) -> str:
        """The execution whose version waits for its review now; "" for none."""
        return self.waiting if self.waiting and now < datetime.fromisoformat(self.waiting_until) else ""


class Busy(Exception):
    """A reaction may not begin now; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OverBudget(Exception):
    """A training would take more than is left of the month's budget; the message holds the figures."""


@dataclass(frozen=True)
class Begun:
    """`abandoned_run` is the run of a reaction whose lock had expired."""

    abandoned_run: str = ""


@dataclass(frozen=True)
class Spending:
    """What a training is about to take, in US dollars, and what all of a month may; no budget: any."""

    job: str
    usd: float
    budget: float | None = None


@dataclass(frozen=True)
class Beginning:
    """What begins: `do` is what the policy says, `run_id` the run of a retraining. The cool-down is a person's to ignore."""

    do: str
    longest: timedelta
    detail: Mapping[str, Any]
    run_id: str = ""
    spending: Spending | None = None
    ignore_cool_down: bool = False


class Reactions:
    """The reactions of a ledger. `now` gives the time of a mark."""

    def __init__(self, table: Table, custody: Custody, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._table = table
        self._custody = custody
        self._now = now

    def lock(self, model: str) -> Lock:
        """The lock as it stands; with no execution where nobody reacts."""
        return Lock.of(self._table.get(_partition(model), _LOCK))

    def check(self, model: str, execution: str, do: str, now: datetime, *, ignore_cool_down: bool = False) -> None:
        """Raises `Busy` where `execution` may not begin: another one runs, or the last that did the same ended too short a time
        ago; or, of a retraining, a version waits for its review."""
        lock = self.lock(model)
        if execution in (lock.execution, lock.waiting) or self.mark(model, execution, BEGUN):
            return
        if holder := lock.holder(now):
            raise Busy(f"the reaction {holder} is under way, until {lock.expires_at} at most")
        if do == RETRAIN and (waiting := lock.reviewed(now)):
            raise Busy(
                f"what the reaction {waiting} trained waits for its review, until {lock.waiting_until} at most: "
                f"labcycle models review {model} --approve, or --reject"
            )
        until = lock.cool_downs.get(do, "")
        if until and now < datetime.fromisoformat(until) and not ignore_cool_down:
            raise Busy(f"the model cools down until {until}")

    def begin(self, model: str, execution: str, now: datetime, beginning: Beginning, who: Who) -> Begun:
        """Take the lock and append `retraining_started`, or of what trains nothing `reaction_started`. Again by the same
        execution: nothing happens.

        Raises
        ------
        Busy
            If it may not begin (`check`).
        OverBudget
            If its training would take more than is left of the month.
        Throttled
            If DynamoDB did not take it.
        """

        def once() -> Begun:
            self.check(model, execution, beginning.do, now, ignore_cool_down=beginning.ignore_cool_down)
            if (begun := self.mark(model, execution, BEGUN)) is not None:
                return Begun(begun["abandoned_run"])
            item = self._table.get(_partition(model), _LOCK)
            before = Lock.of(item)
            lock = replace(
                before, execution=execution, run_id=beginning.run_id, expires_at=stamp(now + beginning.longest)
            )
            answer = Begun(before.run_id if before.execution else "")
            doc = {"abandoned_run": answer.abandoned_run, "do": beginning.do, **_told(beginning.detail)}
            writes = [self._lock_write(model, item, lock), self._mark(model, execution, BEGUN, doc)]
            if beginning.spending:
                writes.append(self._spend(model, now, beginning.spending))
            action = "retraining_started" if beginning.do == RETRAIN else "reaction_started"
            self._custody.append(f"model/{model}", action, who, beginning.detail, *writes)
            return answer

        return self._table.until_unchanged(once)

    def hold(self, model: str, execution: str, now: datetime, longest: timedelta) -> None:
        """See that the lock is this execution's, or take it where it is free, as after a time-out of the machine or a review. Of
        one that ended nothing is asked.

        Raises
        ------
        Busy
            If another reaction holds it.
        Throttled
            If DynamoDB did not take it.
        """

        def once() -> None:
            item = self._table.get(_partition(model), _LOCK)
            lock = Lock.of(item)
            if lock.holder(now) == execution or self._has_ended(model, execution):
                return
            self._table.write(self._lock_write(model, item, _taken(lock, execution, now, longest)))

        self._table.until_unchanged(once)

    def resume(self, model: str, execution: str, now: datetime, longest: timedelta, *, at: str, who: Who) -> None:
        """Let a reaction that ended as failed go on: it takes the lock again, where it had begun, and can end again. Again:
        nothing happens.

        Raises
        ------
        Busy
            If another reaction holds the lock.
        Throttled
            If DynamoDB did not take it.
        """

        def once() -> None:
            ended = self._table.get(_partition(model), f"{execution}#{ENDED}")
            if ended is None or ended.doc.get("resumed"):
                return
            writes: list[Write] = [Replace(ended, {**ended.doc, "resumed": True})]
            if self.mark(model, execution, BEGUN) is not None:
                item = self._table.get(_partition(model), _LOCK)
                writes.append(self._lock_write(model, item, _taken(Lock.of(item), execution, now, longest)))
            detail = {"execution": execution, "at": at}
            self._custody.append(f"model/{model}", "reaction_resumed", who, detail, *writes)

        self._table.until_unchanged(once)

    def skip(
        self, model: str, execution: str, reason: str, *, event: tuple[str, Who, Mapping[str, Any]] | None = None
    ) -> None:
        """Record that `execution` did nothing, and why; one that was refused, with the event (action, who, detail)."""
        mark = self._mark(model, execution, _SKIPPED, {"reason": reason, "refused": event is not None})
        try:
            if event:
                action, who, detail = event
                self._custody.append(f"model/{model}", action, who, detail, mark)
            else:
                self._table.write(mark)
        except Exists:
            return

    def skipped(self, model: str, execution: str) -> Doc | None:
        """Why `execution` did nothing, its `reason`, and whether it was `refused`; None where it did."""
        return self.mark(model, execution, _SKIPPED)

    def mark(self, model: str, execution: str, name: str) -> Doc | None:
        """What a step left, or None where it has not happened."""
        item = self._table.get(_partition(model), f"{execution}#{name}")
        return {key: value for key, value in item.doc.items() if key != _AT} if item else None

    def leave(self, model: str, execution: str, name: str, doc: Doc) -> Doc:
        """Leave `doc` as the mark `name`, without an event; the mark that is there already wins."""
        try:
            self._table.write(self._mark(model, execution, name, doc))
        except Exists:
            return self.mark(model, execution, name) or doc
        return doc

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

    def ask(self, model: str, execution: str, until: datetime, who: Who, detail: Mapping[str, Any]) -> None:
        """Let its version wait for a review: the lock is free, and `review_asked` is appended. Again: nothing happens. Raises
        `Throttled`."""

        def once() -> None:
            if self.mark(model, execution, ASKED) is not None:
                return
            item = self._table.get(_partition(model), _LOCK)
            waits = _waiting(Lock.of(item), execution, until)
            writes = [self._lock_write(model, item, waits), self._mark(model, execution, ASKED, dict(detail))]
            self._custody.append(f"model/{model}", "review_asked", who, detail, *writes)

        self._table.until_unchanged(once)

    def keep_token(self, model: str, execution: str, token: str, until: datetime) -> None:
        """The token with which its wait is ended; it replaces the one of the wait before. Where the execution was let go on after a
        failure, it gives the lock up again.

        Raises
        ------
        Busy
            If the version of another reaction waits for its review by now.
        Throttled
            If DynamoDB did not take it.
        """

        def once() -> None:
            item = self._table.get(_partition(model), _LOCK)
            lock = Lock.of(item)
            if (other := lock.reviewed(self._now())) not in ("", execution):
                raise Busy(
                    f"what the reaction {other} trained waits for its review, until {lock.waiting_until} at most"
                )
            if lock.execution == execution or lock.waiting != execution:
                self._table.write(self._lock_write(model, item, _waiting(lock, execution, until)))

        self._table.until_unchanged(once)
        self._table.write(Put(_partition(model), f"{execution}#{_TOKEN}", {"token": token}))

    def token(self, model: str, execution: str) -> str:
        """The token of its last wait; "" before the first."""
        item = self._table.get(_partition(model), f"{execution}#{_TOKEN}")
        return str(item.doc["token"]) if item else ""

    def waiting(self, model: str) -> str:
        """The execution whose version waits for a review that nobody gave yet; "" for none."""
        execution = self.lock(model).waiting
        return execution if execution and self.mark(model, execution, REVIEWED) is None else ""

    def decide(self, model: str, execution: str, decision: str, who: Who, reason: str) -> Doc:
        """Keep what the reviewer says (`approve` or `reject`), with the event `review_approved` or `review_rejected`. Again: the same.

        Raises
        ------
        Refused
            If no version of it waits for a review, or it was decided otherwise.
        Throttled
            If DynamoDB did not take it.
        """
        asked = self.mark(model, execution, ASKED)
        if asked is None:
            raise Refused(f"No version of {model} waits for a review of the reaction {execution}.")
        version = asked["version"]
        said = {"decision": decision, "who": who.to_doc(), "reason": reason}
        detail = {"execution": execution, "version": version, **({"reason": reason} if reason else {})}
        action = "review_approved" if decision == APPROVED else "review_rejected"
        kept = self.once(model, execution, REVIEWED, said, action=action, who=who, detail=detail)
        if kept["decision"] == UNREVIEWED:
            raise Refused(
                f"The time to review version {version} of {model} is over. To make it live: labcycle models promote {model} {version}"
            )
        if kept["decision"] != decision:
            raise Refused(
                f"Version {version} of {model} was reviewed already, by {Who(**kept['who'])}: {kept['decision']}."
            )
        return kept

    def close_review(self, model: str, execution: str) -> Doc:
        """What the reviewer said; from now on nobody can say it any more."""
        return self.leave(model, execution, REVIEWED, {"decision": UNREVIEWED, "who": {}, "reason": ""})

    def end(
        self,
        model: str,
        execution: str,
        outcome: str,
        *,
        do: str,
        cool_down_until: datetime | None = None,
        event: tuple[str, Who, Mapping[str, Any]] | None = None,
    ) -> bool:
        """Release the lock, start the cool-down of `do`, append the event (action, who, detail), in one piece and once.

        Returns whether this call did it; False where the reaction had ended before.
        """

        def once() -> bool:
            ended = self._table.get(_partition(model), f"{execution}#{ENDED}")
            if ended and not ended.doc.get("resumed"):
                return False
            item = self._table.get(_partition(model), _LOCK)
            lock = Lock.of(item)
            doc = {"outcome": outcome, _AT: stamp(self._now())}
            mark = Replace(ended, doc) if ended else self._mark(model, execution, ENDED, {"outcome": outcome})
            writes: list[Write] = [mark]
            if item and execution in (lock.execution, lock.waiting):
                writes.append(Replace(item, asdict(_released(lock, execution, do, cool_down_until))))
            if event:
                action, who, detail = event
                self._custody.append(f"model/{model}", action, who, detail, *writes)
            else:
                self._table.write(*writes)
            return True

        return self._table.until_unchanged(once)

    def spent(self, model: str, now: datetime) -> float:
        """US dollars that trainings took in the calendar month (UTC) of `now`: by their real time where that is known, else by what
        they were expected to take at most."""
        item = self._table.get(_spending(model), _month(now))
        return sum(item.doc["trainings"].values()) if item else 0.0

    def reserve(self, model: str, now: datetime, spending: Spending) -> None:
        """Count a training that is about to begin. Again: the same. Raises `OverBudget`, `Throttled`."""
        self._table.until_unchanged(lambda: self._table.write(self._spend(model, now, spending)))

    def settle(self, model: str, now: datetime, job: str, usd: float) -> None:
        """Replace what a training was expected to take by what it took. Raises `Throttled`."""

        def once() -> None:
            for month in (
                _month(now),
                _month(now.replace(day=1) - timedelta(days=1)),
            ):  # it may have begun before midnight
                item = self._table.get(_spending(model), month)
                if item and job in item.doc["trainings"]:
                    if item.doc["trainings"][job] != usd:
                        self._table.write(Replace(item, {"trainings": {**item.doc["trainings"], job: usd}}))
                    return

        self._table.until_unchanged(once)

    def listing(self, model: str, most: int) -> list[dict[str, Any]]:
        """The newest reactions first: what each did, with its stages, when they were reached, and seconds from the one before. The
        first stage, `noticed`, is when the alarm changed. `outcome` is None while it is under way."""
        marks: dict[str, dict[str, Doc]] = {}
        for item in self._table.query(_partition(model)):
            execution, _, name = item.sk.rpartition("#")
            if execution and name in _STAGES and _AT in item.doc:
                marks.setdefault(execution, {})[name] = item.doc
        found = [_reaction(execution, left) for execution, left in marks.items()]
        return sorted(found, key=lambda one: one["stages"][0]["at"], reverse=True)[:most]

    def _has_ended(self, model: str, execution: str) -> bool:
        ended = self.mark(model, execution, ENDED)
        return ended is not None and not ended.get("resumed")

    def _spend(self, model: str, now: datetime, spending: Spending) -> Write:
        item = self._table.get(_spending(model), _month(now))
        before: dict[str, float] = item.doc["trainings"] if item else {}
        others = sum(usd for job, usd in before.items() if job != spending.job)
        if spending.budget is not None and others + spending.usd > spending.budget:
            raise OverBudget(
                f"a training may take up to {spending.usd:.2f} USD; of {spending.budget:.2f} USD for {_month(now)}, "
                f"{others:.2f} USD are spent"
            )
        doc = {"trainings": {**before, spending.job: spending.usd}}
        return Replace(item, doc) if item else Create(_spending(model), _month(now), doc)

    def _lock_write(self, model: str, item: Item | None, lock: Lock) -> Write:
        return Replace(item, asdict(lock)) if item else Create(_partition(model), _LOCK, asdict(lock))

    def _mark(self, model: str, execution: str, name: str, doc: Mapping[str, Any]) -> Create:
        return Create(_partition(model), f"{execution}#{name}", {**doc, _AT: stamp(self._now())})


def _taken(lock: Lock, execution: str, now: datetime, longest: timedelta) -> Lock:
    if (holder := lock.holder(now)) not in ("", execution):
        raise Busy(f"the reaction {holder} is under way, until {lock.expires_at} at most: try again when it has ended")
    if lock.waiting == execution:
        lock = replace(lock, waiting="", waiting_until="")
    run_id = lock.run_id if lock.execution == execution else ""
    return replace(lock, execution=execution, run_id=run_id, expires_at=stamp(now + longest))


def _waiting(lock: Lock, execution: str, until: datetime) -> Lock:
    free = replace(lock, execution="", run_id="", expires_at="") if lock.execution == execution else lock
    return replace(free, waiting=execution, waiting_until=stamp(until))


def _released(lock: Lock, execution: str, do: str, cool_down_until: datetime | None) -> Lock:
    if lock.execution == execution:
        lock = replace(lock, execution="", run_id="", expires_at="")
    if lock.waiting == execution:
        lock = replace(lock, waiting="", waiting_until="")
    return replace(lock, cool_downs={**lock.cool_downs, do: stamp(cool_down_until)}) if cool_down_until else lock


def _told(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What of the beginning the listing tells."""
    return {key: detail[key] for key in ("cause", "policy", "noticed_at", "run_id", "live_version") if key in detail}


def _reaction(execution: str, left: Mapping[str, Doc]) -> dict[str, Any]:
    begun, ended = left.get(BEGUN, {}), left.get(ENDED, {})
    reached = [(_STAGES[name], left[name][_AT]) for name in _STAGES if name in left]
    if noticed := begun.get("noticed_at"):
        reached.insert(0, ("noticed", noticed))
    stages: list[dict[str, Any]] = []
    for stage, at in reached:
        before = datetime.fromisoformat(stages[-1]["at"]) if stages else None
        took = round((datetime.fromisoformat(at) - before).total_seconds(), 3) if before else None
        stages.append({"stage": stage, "at": at, "seconds": took})
    skipped = left.get(_SKIPPED, {}).get("reason")
    outcome = "skipped" if skipped else None if ended.get("resumed") else ended.get("outcome")
    return {
        "execution": execution,
        "cause": begun.get("cause"),
        "do": begun.get("do"),
        "run_id": begun.get("run_id"),
        "outcome": outcome,
        "reason": skipped,
        "review": left.get(REVIEWED, {}).get("decision"),
        "stages": stages,
        "seconds": round(sum(stage["seconds"] or 0.0 for stage in stages), 3),
    }


def _partition(model: str) -> str:
    return f"REACTION#{model}"


def _spending(model: str) -> str:
    return f"REACTION_SPENDING#{model}"


def _month(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m}"
