"""What the model server writes to its log: JSON lines, never a payload. Counts are metrics in the embedded format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

PROFILE_WRITE_FAILURES = "ProfileWriteFailures"
REFUSED_VERSIONS = "RefusedVersions"
CANARY_FAILURES = "CanaryFailures"
QUOTA_REFUSALS = "QuotaRefusals"


class Journal:
    """`count` publishes a metric only when there is something to count: an idle model has none to pay for."""

    def __init__(
        self,
        team: str,
        model: str,
        write: Callable[[str], object] = print,
        milliseconds: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._team = team
        self._model = model
        self._write = write
        self._milliseconds = milliseconds

    def count(self, metric: str, message: str, **fields: object) -> None:
        """One more of `metric`, with a log line that says why."""
        dimensions = {"Team": self._team, "Model": self._model}
        embedded = {
            "Timestamp": self._milliseconds(),
            "CloudWatchMetrics": [
                {
                    "Namespace": f"labcycle/{self._team}",
                    "Dimensions": [list(dimensions)],
                    "Metrics": [{"Name": metric, "Unit": "Count"}],
                }
            ],
        }
        line = {"level": "ERROR", "message": message, **dimensions, **fields, metric: 1, "_aws": embedded}
        self._write(json.dumps(line, default=str))

    def error(self, message: str, **fields: object) -> None:
        line = {"level": "ERROR", "message": message, "Team": self._team, "Model": self._model, **fields}
        self._write(json.dumps(line, default=str))
