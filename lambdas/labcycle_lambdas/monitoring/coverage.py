"""Whether the profiles tell of all that the model was asked: what they count beside what its API counted.

Edges: the API counts in whole minutes, some minutes late; a profile counts the minute after its start, and the last one may not
be written yet. So the API's count is of whole five minutes, from the first that begin a minute after the window, to the last that
ended three minutes ago; ours is of all profiles that began by then. What a profile counts beyond either end makes
coverage look better, never worse, by a minute of requests at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from labcycle_lambdas.monitoring.environment import Requests
from labcycle_lambdas.monitoring.window import Window

LEAST_SHARE = 0.95
_GRID = timedelta(minutes=5)  # what CloudWatch keeps for 63 days; single minutes are gone after 15
_PROFILE = timedelta(minutes=1)  # the longest that one counts
_LATE = timedelta(minutes=3)  # a minute of the API is known by then


@dataclass(frozen=True)
class Coverage:
    """Of `requests` that the API passed on from `start` to `end`, the servers' profiles count `asked`."""

    start: datetime
    end: datetime
    asked: int
    requests: int

    @property
    def share(self) -> float:
        return min(1.0, self.asked / self.requests)

    def to_doc(self) -> dict[str, Any]:
        return {
            "share": self.share,
            "asked": self.asked,
            "requests": self.requests,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
        }


@dataclass(frozen=True)
class Counted:
    """Reads what the API counted."""

    cloudwatch: Any
    metric: Requests

    def coverage(self, windows: Iterable[Window], since: datetime, at: datetime) -> Coverage | None:
        """Of the windows that began from `since` to `at`; None where they do not tell what they were asked, where the time is
        too short, or where the API passed nothing on."""
        start, end = _up(since + _PROFILE), _down(at - _LATE)
        counts = [window.asked for window in windows if window.start < end]
        asked = [count for count in counts if count is not None]
        if start >= end or len(asked) < len(counts):
            return None
        requests = self._requests(start, end)
        return Coverage(start, end, sum(asked), requests) if requests else None

    def _requests(self, start: datetime, end: datetime) -> int:
        """How many requests the API passed on."""
        query: Any = {
            "Id": "requests",
            "MetricStat": {
                "Metric": {
                    "Namespace": self.metric.namespace,
                    "MetricName": self.metric.name,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in self.metric.dimensions],
                },
                "Period": int(_GRID.total_seconds()),
                "Stat": self.metric.statistic,
            },
        }
        pages = self.cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[query], StartTime=start, EndTime=end
        )
        return round(sum(sum(result["Values"]) for page in pages for result in page["MetricDataResults"]))


def _down(at: datetime) -> datetime:
    seconds = int(_GRID.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)


def _up(at: datetime) -> datetime:
    down = _down(at)
    return down if down == at else down + _GRID
