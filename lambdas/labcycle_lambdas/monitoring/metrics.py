"""The metrics that the alarms watch: one a subject."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

NAMES = {
    "drift": "DriftDetected",
    "performance": "PerformanceFell",
    "business": "ValueFell",
    "freshness": "DataStale",
}


def namespace(team: str) -> str:
    """A team's own: to publish takes no resource, so that the namespace is all that a policy can bound."""
    return f"labcycle/{team}"


def publish(cloudwatch: Any, team: str, evaluation: Mapping[str, Any]) -> list[str]:
    """Put 1 for what failed and 0 for what was judged and did not, nothing for what was not judged: an idle model costs nothing.
    The names of what was put.

    The time of a datum is the evaluation's, and the alarms look at the maximum: putting it again changes nothing.
    """
    judged = [one for one in evaluation["judgements"] if one["verdict"] != "not_enough_data"]
    if judged:
        cloudwatch.put_metric_data(
            Namespace=namespace(team),
            MetricData=[
                {
                    "MetricName": NAMES[one["subject"]],
                    "Dimensions": [{"Name": "team", "Value": team}, {"Name": "model", "Value": evaluation["model"]}],
                    "Timestamp": datetime.fromisoformat(evaluation["evaluated_at"]),
                    "Value": 1.0 if one["verdict"] == "failed" else 0.0,
                    "Unit": "None",
                }
                for one in judged
            ],
        )
    return [NAMES[one["subject"]] for one in judged]
