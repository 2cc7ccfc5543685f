"""Metrics: embedded metric format out of function logs, and timestamps put onto the local cloud's clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from labcycle.local.emulation import clock


def install() -> None:
    """MiniStack reads no embedded metrics, and stores a client's timestamp as it is, whatever its own clock says."""
    store, emit = cloudwatch._store_datum, lambda_svc._emit_lambda_logs

    def store_datum(namespace: str, name: str, dimensions: dict[str, str], timestamp: float, *values: Any) -> None:
        behind = timestamp < clock.now() - clock.offset() / 2
        store(namespace, name, dimensions, timestamp + (clock.offset() if behind else 0.0), *values)

    def emit_logs(function: Any, request_id: str, text: str, *arguments: Any, **named: Any) -> None:
        emit(function, request_id, text, *arguments, **named)
        found = list(embedded(text.splitlines()))
        for namespace, name, value, unit, dimensions in found:
            cloudwatch.record_metric(namespace, name, value, unit, dimensions)
        if found:
            cloudwatch._evaluate_all_alarms()

    cloudwatch._store_datum = store_datum
    lambda_svc._emit_lambda_logs = emit_logs


def embedded(lines: Iterable[str]) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """Metrics in log lines: (namespace, name, value, unit, dimensions).

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    for line in lines:
        if '"_aws"' not in line:
            continue
        try:
            record = json.loads(line[line.index("{") :])
            directives = record["_aws"]["CloudWatchMetrics"]
            for directive in directives:
                for keys in directive.get("Dimensions") or [[]]:
                    dimensions = {key: str(record[key]) for key in keys}
                    for metric in directive["Metrics"]:
                        given = record[metric["Name"]]
                        for value in given if isinstance(given, list) else [given]:
                            yield (
                                directive["Namespace"],
                                metric["Name"],
                                float(value),
                                metric.get("Unit", "None"),
                                dimensions,
                            )
        except (KeyError, TypeError, ValueError):
            continue  # CloudWatch drops what does not fit the format, without a word
