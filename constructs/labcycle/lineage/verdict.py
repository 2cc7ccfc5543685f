"""Whether the metrics of two runs are the same, within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labcycle.errors import LabcycleError
from labcycle.lineage.comparison import number

DEFAULT = 1e-6
# Of values around zero a relative difference says nothing.
ABSOLUTE = 1e-12
SYSTEM = "system/"  # MLflow's own measurements of the machine


@dataclass(frozen=True)
class Tolerance:
    """Relative to the larger of two values; `metrics` names metrics with one of their own, infinity takes any value."""

    everything: float = DEFAULT
    metrics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Sequence[str]) -> Tolerance:
        """From `1e-6` and `accuracy=0.01`. Raises `LabcycleError`."""
        everything, named = DEFAULT, {}
        for text in given:
            key, equals, value = text.rpartition("=")
            try:
                size = float(value)
            except ValueError:
                size = math.nan
            if not size >= 0 or (equals and not key):
                raise LabcycleError(
                    f"--tolerance {text}: write a number of 0 or more, or METRIC=NUMBER, for instance accuracy=0.01"
                )
            if equals:
                named[key] = size
            else:
                everything = size
        return cls(everything, named)

    def document(self) -> dict[str, Any]:
        """`relative`, and `metrics` with one of their own; infinity as text, as JSON has none."""
        return {
            "relative": number(self.everything),
            "metrics": {key: number(size) for key, size in self.metrics.items()},
        }

    def holds(self, key: str, a: float, b: float) -> bool:
        size = self.metrics.get(key, self.everything)
        if math.isinf(size) or a == b or (math.isnan(a) and math.isnan(b)):
            return True
        return math.isclose(a, b, rel_tol=size, abs_tol=ABSOLUTE)


def compared(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those that a second run is held against."""
    return {key: value for key, value in metrics.items() if not key.startswith(SYSTEM)}


def judge(was: Mapping[str, float], now: Mapping[str, float], tolerance: Tolerance) -> list[dict[str, Any]]:
    """Each metric of the first run: `key`, `was`, `now` (None where it was not measured again), `same`."""
    return [
        {
            "key": key,
            "was": number(value),
            "now": number(now.get(key)),
            "same": key in now and tolerance.holds(key, value, now[key]),
        }
        for key, value in sorted(compared(was).items())
    ]
