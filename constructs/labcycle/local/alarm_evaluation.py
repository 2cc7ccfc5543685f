"""Evaluate a CloudWatch alarm: M of N periods, missing data, thresholds.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html#alarm-evaluation and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# Periods that CloudWatch looks at beyond the evaluation periods, to fill in for missing ones. AWS gives no exact number.
EXTRA_PERIODS = 2


@dataclass(frozen=True)
class Rule:
    """What an alarm compares. `datapoints` of the last `periods` must breach."""

    threshold: float
    comparison: str
    periods: int
    datapoints: int
    missing: str = "missing"  # missing, ignore, breaching, notBreaching


def window_starts(now: float, period: int, count: int) -> list[float]:
    """Starts of the last `count` periods, oldest first, in seconds; the youngest is the one that `now` is in."""
    latest = math.floor(now / period) * period
    return [float(latest - period * back) for back in range(count - 1, -1, -1)]


def evaluate(values: Sequence[float | None], rule: Rule, current: State) -> tuple[State, str]:
    """New state and its reason.

    Parameters
    ----------
    values
        One value a period, oldest first, None where no datapoint came: `rule.periods + EXTRA_PERIODS` of them. The
        extra ones count only where younger ones are missing.
    current
        State before; kept where missing data are to be ignored.
    """
    breaches = COMPARISONS[rule.comparison]
    newest = list(values)[-rule.periods :]
    real = [value for value in values if value is not None]
    counted: list[float | None]
    if len([value for value in newest if value is not None]) == rule.periods:
        counted = list(newest)
    else:
        counted = list(real[-rule.periods :])
        counted += [None] * (rule.periods - len(counted))
    present = [value for value in counted if value is not None]
    absent = len(counted) - len(present)
    if not present:
        if rule.missing == "ignore":
            return current, "no datapoints were received; missing data are ignored"
        if rule.missing in ("breaching", "notBreaching"):
            state: State = "ALARM" if rule.missing == "breaching" else "OK"
            return state, f"no datapoints were received for {rule.periods} periods, treated as {rule.missing}"
        return "INSUFFICIENT_DATA", f"Insufficient Data: {rule.periods} datapoints were unknown."
    over = sum(breaches(value, rule.threshold) for value in present)
    if rule.missing == "breaching":
        over += absent
    shown = ", ".join(f"{value:g}" for value in present)
    reason = f"{over} of {rule.periods} datapoints [{shown}] were {rule.comparison} ({rule.threshold:g})"
    if over >= rule.datapoints:
        return "ALARM", f"Threshold Crossed: {reason} (minimum {rule.datapoints} for OK -> ALARM transition)."
    if absent and rule.missing == "ignore" and over + absent >= rule.datapoints:
        return current, f"{reason}; {absent} missing, ignored"
    return "OK", f"Threshold Crossed: {reason}."
