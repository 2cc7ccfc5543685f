"""Promotions in steps: one at a time for a model, by whom it was asked for, and how far it is.

The record is lock and progress in one. Whatever a promotion does to the deployment is written together with its record
(`hold`), which names the execution that may do it: one that was given up, or whose lease has ended, can change nothing any
more, however late its last call arrives.

Key: PROMOTION#<model> / CURRENT, the promotion that is under way, or the last one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.table import Create, Item, Replace, Table, Write
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who

REQUESTED, WATCHING, ENDED = "requested", "watching", "ended"
LIVE, REFUSED, TAKEN_BACK, GIVEN_UP, FAILED = "live", "refused", "taken_back", "given_up", "failed"
LEASE = timedelta(hours=1)  # without a sign of life; a step takes minutes at most
_CURRENT = "CURRENT"


@dataclass(frozen=True)
class Promotion:
    """`step` counts the shares that were reached, from 1; `since` is when the last one was. `outcome` is one of `live`,
    `refused`, `taken_back` (by itself), `given_up` (by somebody), `failed`; "" while it is under way. `said` tells why, or what
    was seen last. Times are UTC in ISO 8601."""

    execution: str
    version: int
    state: str
    requested_at: str
    requested_by: str
    lease_until: str
    reason: str = ""
    new_inputs: bool = False
    step: int = 0
    percent: int = 0
    since: str = ""
    outcome: str = ""
    said: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        return self.state != ENDED


class Superseded(Exception):
    """The promotion has ended, or another one began: this execution may do nothing any more."""


class Promotions:
    """The promotions of a ledger. `now` gives the time of a change."""

    def __init__(self, table: Table, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._table = table
        self._now = now

    def current(self, model: str) -> Promotion | None:
        """The promotion that is under way, or else the last one; None before the first. Raises `Throttled`."""
        item = self._table.get(_partition(model), _CURRENT)
        return _promotion(item) if item else None

    def begin(self, model: str, version: int, who: Who, *, new_inputs: bool = False, reason: str = "") -> Promotion:
        """Ask for a promotion. Asked again for the version that is under way, the answer is that promotion.

        Raises
        ------
        Refused
            If another version is being promoted.
        Throttled
            If DynamoDB did not take it.
        """

        def once() -> Promotion:
            item = self._table.get(_partition(model), _CURRENT)
            before, now = _promotion(item) if item else None, self._now()
            if before and before.under_way and stamp(now) < before.lease_until:
                if before.version == version:
                    return before
                raise Refused(
                    f"Version {before.version} of {model} is being promoted since {before.requested_at}, by "
                    f"{before.requested_by}: wait for it (labcycle models promotion {model} --watch), or take it back "
                    f"(labcycle models rollback {model})."
                )
            rev = item.rev if item else 0
            made = Promotion(
                # With the time, since Step Functions takes a name once, and a table that was restored counts again.
                execution=f"v{version}-{hashlib.sha256(f'{model} {rev} {stamp(now)}'.encode()).hexdigest()[:12]}",
                version=version,
                state=REQUESTED,
                requested_at=stamp(now),
                requested_by=str(who),
                lease_until=stamp(now + LEASE),
                reason=reason,
                new_inputs=new_inputs,
            )
            said = {"version": version, "execution": made.execution, **({"reason": reason} if reason else {})}
            write = Replace(item, asdict(made)) if item else Create(_partition(model), _CURRENT, asdict(made))
            Custody(self._table, self._now).append(f"model/{model}", "promotion_requested", who, said, write)
            return made

        return self._table.until_unchanged(once)

    def held(self, model: str, execution: str) -> Promotion:
        """The promotion of this execution, while it is under way. Raises `Superseded`, `Throttled`."""
        return self._held(model, execution)[1]

    def hold(self, model: str, execution: str, **changed: Any) -> Callable[[], Sequence[Write]]:
        """What writes a change of the promotion's record, and its lease, together with something else: for `also` of
        `Deployments`. Called, it raises `Superseded` where the promotion is not this execution's any more."""

        def writes() -> Sequence[Write]:
            item, promotion = self._held(model, execution)
            lease = stamp(self._now() + LEASE)
            return [Replace(item, asdict(replace(promotion, **{"lease_until": lease, **changed})))]

        return writes

    def keep(self, model: str, execution: str, **changed: Any) -> None:
        """Change the record alone. Raises `Superseded`, `Throttled`."""
        hold = self.hold(model, execution, **changed)
        self._table.until_unchanged(lambda: self._table.write(*hold()))

    def tell(
        self, model: str, execution: str, action: str, who: Who, detail: Mapping[str, Any], **changed: Any
    ) -> None:
        """Change the record together with an event of custody. Raises `Superseded`, `Throttled`."""
        hold = self.hold(model, execution, **changed)
        said = {"execution": execution, **detail}
        self._table.until_unchanged(
            lambda: Custody(self._table, self._now).append(f"model/{model}", action, who, said, *hold())
        )

    def _held(self, model: str, execution: str) -> tuple[Item, Promotion]:
        item = self._table.get(_partition(model), _CURRENT)
        promotion = _promotion(item) if item else None
        if item is None or promotion is None or promotion.execution != execution or not promotion.under_way:
            raise Superseded(f"the promotion {execution} of {model} is not under way any more")
        return item, promotion


def _partition(model: str) -> str:
    return f"PROMOTION#{model}"


def _promotion(item: Item) -> Promotion:
    return Promotion(**{**item.doc, "said": tuple(item.doc["said"])})
