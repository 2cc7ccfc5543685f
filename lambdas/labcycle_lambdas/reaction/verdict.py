"""Which of the versions shall be live, by their values on the same holdout."""

from __future__ import annotations

import math
from enum import StrEnum

from labcycle_lambdas.reaction.scoring import gain

_ROUNDING = 1e-9  # 0.95 - 0.9 is a little less than 0.05


class Verdict(StrEnum):
    """PROMOTE the challenger, ROLL_BACK to the version before the champion, or KEEP the champion."""

    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    KEEP = "keep"


def decide(
    metric: str, minimum_gain: float, *, challenger: float | None, champion: float, previous: float | None
) -> Verdict:
    """What the values of `metric` say; `previous` is None where there is no version before, or none that can be measured, and
    `challenger` where that goes live in no case.

    Who replaces the champion gains something over it, and at least `minimum_gain`: equal is not better. The challenger
    goes first, unless the version before is better than both.
    """

    def replaces(value: float) -> bool:
        gained = gain(metric, value, champion)
        return gained > 0 and (gained >= minimum_gain or math.isclose(gained, minimum_gain, rel_tol=_ROUNDING))

    if (
        challenger is not None
        and replaces(challenger)
        and (previous is None or gain(metric, challenger, previous) >= 0)
    ):
        return Verdict.PROMOTE
    if previous is not None and replaces(previous):
        return Verdict.ROLL_BACK
    return Verdict.KEEP
