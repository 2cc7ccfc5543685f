"""Hard quotas: requests of a consumer are counted in the ledger before they are answered, and refused above the quota.

A sandbox takes requests in blocks, which count as used once they are taken: so the sandboxes together never answer more than
the quota, and what a sandbox has left when it ends is lost to the consumer.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from labcycle_lambdas.ledger.quotas import Period, Quotas

MOST_AT_ONCE = 100
_PARTS = 1_000  # a block is a thousandth of the quota: a hundred sandboxes that end cost a tenth of it at most
_LONGEST_WAIT = timedelta(days=1)  # told in Retry-After, since clients sleep for as long as they are told


@dataclass(frozen=True)
class HardQuota:
    """`principal` is the ARN of a role, or an account of 12 digits."""

    consumer: str
    principal: str
    requests: int
    per: str

    @classmethod
    def several(cls, text: str) -> list[HardQuota]:
        """As the stack writes them: a JSON list of lists."""
        return [cls(*one) for one in json.loads(text)]


@dataclass(frozen=True)
class UsedUp:
    """`seconds`: after which to ask again."""

    consumer: str
    period: str
    message: str
    seconds: int


@dataclass
class _Block:
    period: Period
    left: int = 0
    exhausted: bool = False


class Quota:
    """What a sandbox holds of the quotas. Threads may share one."""

    def __init__(
        self,
        quotas: Quotas,
        model: str,
        consumers: Sequence[HardQuota],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._quotas = quotas
        self._model = model
        self._consumers = {_identity(one.principal): one for one in consumers}
        self._now = now
        self._blocks: dict[str, _Block] = {}
        self._lock = threading.Lock()

    def used_up(self, user_arn: str) -> UsedUp | None:
        """Count one request of this caller; else why it is refused. Callers without a hard quota are not counted.

        Raises
        ------
        Throttled
            If the ledger did not take it; the request was not counted.
        """
        account, role = _identity(user_arn)
        quota = self._consumers.get((account, role)) or self._consumers.get((account, ""))
        if quota is None:
            return None
        now = self._now()
        period = Period.at(quota.per, now)
        with self._lock:
            block = self._blocks.get(quota.consumer)
            if block is None or block.period != period:
                block = self._blocks[quota.consumer] = _Block(period)
            if not block.left and not block.exhausted:
                block.left = self._take(quota, period)
                block.exhausted = not block.left  # for the rest of the period: asked once
            if block.left:
                block.left -= 1
                return None
        wait = min(period.ends - now, _LONGEST_WAIT)
        return UsedUp(
            quota.consumer,
            period.label,
            f"{quota.consumer} has used its {quota.requests:,} requests of the {quota.per} {period.label}. The next "
            f"{quota.per} begins at {period.ends:%Y-%m-%dT%H:%MZ}; for more requests ask the model's owner.",
            max(1, math.ceil(wait.total_seconds())),
        )

    def _take(self, quota: HardQuota, period: Period) -> int:
        block = min(max(1, quota.requests // _PARTS), MOST_AT_ONCE)
        return self._quotas.take(self._model, quota.consumer, period.label, period.ends, block, most=quota.requests)


def _identity(arn: str) -> tuple[str, str]:
    """Account and role of a caller or of a principal; no role where it is none.

    A session names its role without the role's path, which is unique in the account all the same:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
    """
    fields = arn.split(":", 5)
    if len(fields) < 6:
        return arn, ""
    account, (kind, *parts) = fields[4], fields[5].split("/")
    if kind == "assumed-role" and len(parts) >= 2:
        return account, parts[0]
    return account, parts[-1] if kind == "role" and parts else ""
