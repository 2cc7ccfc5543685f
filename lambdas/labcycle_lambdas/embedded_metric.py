"""A metric as a line of the log, which CloudWatch reads: no call, no right, and nothing where nothing is written.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from datetime import datetime


def metric_line(team: str, name: str, value: float, unit: str, at: datetime) -> str:
    """One datum in the team's namespace, by team; `unit` is one of CloudWatch's, such as Count or Seconds."""
    return json.dumps(
        {
            "_aws": {
                "Timestamp": int(at.timestamp() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": f"labcycle/{team}",
                        "Dimensions": [["team"]],
                        "Metrics": [{"Name": name, "Unit": unit}],
                    }
                ],
            },
            "team": team,
            name: value,
        }
    )
