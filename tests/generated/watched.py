"""What is watched of a model and what happens then: in turn, by a number, so that nothing else is drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, TypeVar, get_args

from labcycle.config import DriftMethod
from labcycle.config.metrics import Metric
from labcycle.config.training_prices import USD_HOUR

Data = dict[str, Any]
_T = TypeVar("_T")

_COLUMN = "é" * 100
_METRICS = get_args(Metric)
_METHODS = get_args(DriftMethod)
_COHORTS: tuple[list[str], ...] = ([], ["country"], ["a", "country of birth", "ü" * 100])
_CAPTURES: tuple[Data | None, ...] = (
    None,
    {},
    {"percent": 0.01, "redact": ["name", _COLUMN], "days": 1},
    {"percent": 100, "days": 3650},
    {"percent": 2.5, "redact": [], "days": 30},
)
_PERFORMANCES: tuple[Data | None, ...] = (
    None,
    {"limit": 0.9},
    {"limit": -1e9, "minimum_rows": 1, "persistence": 1, "window_days": 1},
    {"limit": 1e9, "minimum_rows": 100_000_000, "persistence": 100, "window_days": 92},
    {"limit": 0, "minimum_rows": 200, "persistence": 2, "window_days": 28},
)
_OUTCOMES: tuple[Data | None, ...] = (
    None,
    {"metric": "money-saved", "minimum": 10_000},
    {"metric": "m", "minimum": -0.5, "expected": 1e12, "minimum_rows": 1, "persistence": 1, "window_days": 1},
    {
        "metric": "m" * 63,
        "minimum": 0.0,
        "expected": 0,
        "minimum_rows": 100_000_000,
        "persistence": 100,
        "window_days": 92,
    },
    {"metric": "clicks", "minimum": 1, "expected": 2.5, "minimum_rows": 50, "persistence": 2, "window_days": 28},
)
_FRESHNESS: tuple[Data | None, ...] = (
    None,
    {"training_days": 1},
    {"traffic_hours": 8760},
    {"training_days": 3650, "traffic_hours": 1},
    {"training_days": 90, "traffic_hours": 24},
)
_TIMES: tuple[Data, ...] = (
    {"schedule": "rate(7 days)"},
    {"schedule": "cron(0 3 ? * SUN *)", "time_zone": "Europe/Berlin"},
    {"schedule": "cron(30 18 1 * ? 2026-2199)", "time_zone": "Asia/Tokyo"},
    {"schedule": "rate(999 hours)", "time_zone": "Etc/UTC"},
)
_RETRAININGS: tuple[Data, ...] = (
    {},
    {"promote": "automatic", "cool_down_hours": 0, "monthly_budget_usd": 0.01},
    {"promote": "after_review", "review_hours": 1, "otherwise": "keep", "cool_down_hours": 8760},
    {"review_hours": 720, "otherwise": "pause", "monthly_budget_usd": 1_000_000},
    {"review_hours": 48, "cool_down_hours": 24, "monthly_budget_usd": 12.5},
)
_LOSSES: tuple[float | None, ...] = (None, 0, 0.05)


def watch(data: Data, number: int, *, whole: bool) -> None:
    """Give the model `data` the rest of its monitor, and its reactions; `whole`: those of drift and retraining, too."""
    monitor = data.get("monitor")
    if monitor is not None:
        if number % 2 or whole:
            how = _some(
                method=_turn(_METHODS, number // 2),
                threshold=_turn((0.01, 10, 0.2, None), number // 5),
                window_hours=_turn((1, 744, 168, None), number // 3),
            )
            monitor["drift"] = monitor.get("drift", {}) | how
        monitor |= _some(
            cohorts=_turn(_COHORTS, number) or None,
            capture=_turn(_CAPTURES, number // 3),
            performance=_performance(number // 5),
            outcome=_turn(_OUTCOMES, number // 7),
            freshness=_turn(_FRESHNESS, number // 11),
            dashboard=_turn((None, True, False), number // 13),
        )
        _keep_long_enough(monitor)
    if data.get("retrain") is not None:
        data["retrain"] |= _some(maximum_cohort_loss=_turn(_LOSSES, number // 17))
    data["react"] = _reactions(data, number, whole)
    if any("monthly_budget_usd" in one for one in data["react"]):
        data["retrain"] |= {"instance_type": _turn(tuple(USD_HOUR), number)}  # a budget needs a price
    if not data["react"] and number % 2:
        del data["react"]


def _keep_long_enough(monitor: Data) -> None:
    """What is joined with what becomes known is kept until then."""
    windows = [monitor[name].get("window_days", 7) for name in ("performance", "outcome") if name in monitor]
    if "capture" in monitor and windows and monitor["capture"].get("days", 30) < max(windows):
        monitor["capture"] = {**monitor["capture"], "days": max(windows)}


def _performance(number: int) -> Data | None:
    made = _turn(_PERFORMANCES, number)
    return made if made is None or number % 3 == 0 else {"metric": _turn(_METRICS, number // 3), **made}


def _reactions(data: Data, number: int, whole: bool) -> list[Data]:
    monitor, retrains = data.get("monitor"), data.get("retrain") is not None
    causes = ["manual"] if number % 2 else []
    if monitor is not None:
        causes += [cause for cause, by in (("performance", "performance"), ("business", "outcome")) if by in monitor]
    made: list[Data] = []
    if retrains and monitor is not None and (whole or number % 3):
        made.append({"on": ["drift"], "do": "retrain", **_turn(_RETRAININGS, number // 3)})
    elif monitor is not None and number % 5 == 0:
        made.append({"on": ["drift"], "do": _turn(("tell", "pause", "roll_back"), number // 5)})
    if causes and number // 19 % 2:
        made.append({"on": causes, "do": _turn(("roll_back", "pause", "tell"), number // 23)})
    if retrains and number // 29 % 2:
        time, how = _turn(_TIMES, number // 31), _turn(_RETRAININGS, number // 37)
        made.append({"on": ["schedule"], "do": "retrain", **time, **how})
    return made


def _turn(several: Sequence[_T], number: int) -> _T:
    """A copy: what is made of it may be broken on purpose, in the same process."""
    return deepcopy(several[number % len(several)])


def _some(**values: Any) -> Data:
    return {key: value for key, value in values.items() if value is not None}
