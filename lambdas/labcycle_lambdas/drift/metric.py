"""The one metric that the alarm watches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from labcycle_lambdas.drift.evaluation import DRIFTED, NOT_ENOUGH_DATA

NAME = "DriftDetected"


def namespace(team: str) -> str:
    """A team's own: to publish takes no resource, so that the namespace is all that a policy can bound."""
    return f"labcycle/{team}"


def publish(cloudwatch: Any, team: str, evaluation: Mapping[str, Any]) -> bool:
    """Put 1 for drifted, 0 for judged and not drifted, nothing where nothing was judged: an idle model costs nothing.

    The time of the datum is the evaluation's, and the alarm looks at the maximum: putting it again changes nothing.
    """
    if evaluation["verdict"] == NOT_ENOUGH_DATA:
        return False
    cloudwatch.put_metric_data(
        Namespace=namespace(team),
        MetricData=[
            {
                "MetricName": NAME,
                "Dimensions": [{"Name": "team", "Value": team}, {"Name": "model", "Value": evaluation["model"]}],
                "Timestamp": datetime.fromisoformat(evaluation["evaluated_at"]),
                "Value": 1.0 if evaluation["verdict"] == DRIFTED else 0.0,
                "Unit": "None",
            }
        ],
    )
    return True
