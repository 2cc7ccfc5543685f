"""Alarms as CloudWatch evaluates them, and what they do when their state changes.

MiniStack ignores dimensions, M of N and missing data, evaluates only when a metric arrives, sends no event, and delivers
to an encrypted topic that CloudWatch could not write to.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, eventbridge, sns

from labcycle.local.alarm_evaluation import COMPARISONS, EXTRA_PERIODS, Rule, evaluate, window_starts
from labcycle.local.emulation import clock, deliveries
from labcycle.local.settings import Settings

EVERY_SECONDS = 10.0  # AWS: once a minute; the local cloud looks more often, so that nobody waits

_lock = threading.Lock()
_scope: tuple[str, str] = ("", "")


def install(settings: Settings) -> None:
    global _scope
    _scope = (settings.account, settings.region)
    cloudwatch._evaluate_alarm = _evaluate
    cloudwatch._dispatch_alarm_actions = _dispatch
    threading.Thread(target=_watch, daemon=True, name="labcycle-alarms").start()


def evaluate_all() -> None:
    """Evaluate every alarm now."""
    with request_scope(*_scope):
        cloudwatch._evaluate_all_alarms()


def _watch() -> None:
    while True:
        time.sleep(EVERY_SECONDS)
        evaluate_all()


def _evaluate(alarm: dict[str, Any]) -> None:
    if alarm.get("ComparisonOperator") not in COMPARISONS or not alarm.get("MetricName"):
        return
    periods = int(alarm.get("EvaluationPeriods") or 1)
    rule = Rule(
        threshold=float(alarm.get("Threshold") or 0),
        comparison=alarm["ComparisonOperator"],
        periods=periods,
        datapoints=int(alarm.get("DatapointsToAlarm") or periods),
        missing=alarm.get("TreatMissingData") or "missing",
    )
    with _lock:
        before = alarm["StateValue"]
        state, reason = evaluate(_values(alarm, periods + EXTRA_PERIODS), rule, before)
        if state == before:
            return
        alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(clock.now()))
    cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
    _dispatch(alarm, before, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _values(alarm: Mapping[str, Any], count: int) -> list[float | None]:
    period = int(alarm.get("Period") or 60)
    wanted = {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []}
    points = [
        point
        for (namespace, name, _), found in list(cloudwatch._metrics.items())
        if (namespace, name) == (alarm["Namespace"], alarm["MetricName"])
        for point in list(found)
        if (point.get("Dimensions") or {}) == wanted and alarm.get("Unit") in (None, "", point.get("Unit"))
    ]
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    values: list[float | None] = []
    for start in window_starts(clock.now(), period, count):
        inside = [point for point in points if start <= point["Timestamp"] < start + period]
        stats = cloudwatch._calc_stats(inside)
        values.append(cloudwatch._stat_value(stats, statistic, inside) if stats else None)
    return values


def _dispatch(alarm: Mapping[str, Any], before: str, state: str, reason: str) -> None:
    eventbridge._put_events({"Entries": [_event(alarm, before, state, reason)]}, allow_aws_source=True)
    if not alarm.get("ActionsEnabled", True):
        return
    field = {"ALARM": "AlarmActions", "OK": "OKActions"}.get(state, "InsufficientDataActions")
    for action in alarm.get(field) or []:
        service = action.split(":")[2]
        if service == "sns":
            _publish(action, alarm, before, state, reason)
        elif service == "lambda":
            deliveries.invoke_function(
                action,
                _for_function(alarm, before, state, reason),
                "lambda.alarms.cloudwatch.amazonaws.com",
                alarm["AlarmArn"],
            )
        else:
            deliveries.refuse(alarm["AlarmArn"], action, f"alarm actions on {service} are not part of the local cloud")


def _publish(topic: str, alarm: Mapping[str, Any], before: str, state: str, reason: str) -> None:
    if not deliveries.topic_takes(topic, "cloudwatch.amazonaws.com", alarm["AlarmArn"]):
        return
    account, region = alarm["AlarmArn"].split(":")[4], alarm["AlarmArn"].split(":")[3]
    trigger_keys = ("MetricName", "Namespace", "Statistic", "Unit", "Period", "EvaluationPeriods", "DatapointsToAlarm",
                    "ComparisonOperator", "Threshold", "TreatMissingData")  # fmt: skip
    message = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": _iso(alarm.get("AlarmConfigurationUpdatedTimestamp") or clock.now()),
        "NewStateValue": state,
        "NewStateReason": reason,
        "StateChangeTime": _iso(clock.now()),
        "Region": region,
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": before,
        "Trigger": {key: alarm.get(key) for key in trigger_keys}
        | {"Dimensions": [{"name": d["Name"], "value": d["Value"]} for d in alarm.get("Dimensions") or []]},
    }
    sns.publish_internal(topic, json.dumps(message), f'{state}: "{alarm["AlarmName"]}" in {region}'[:100])


def _event(alarm: Mapping[str, Any], before: str, state: str, reason: str) -> dict[str, Any]:
    """The event on the default bus: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html"""
    metric = {
        "id": "m1",
        "metricStat": {
            "metric": {
                "namespace": alarm.get("Namespace"),
                "name": alarm.get("MetricName"),
                "dimensions": {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []},
            },
            "period": alarm.get("Period"),
            "stat": alarm.get("ExtendedStatistic") or alarm.get("Statistic"),
        },
        "returnData": True,
    }
    detail = {
        "alarmName": alarm["AlarmName"],
        "state": {"value": state, "reason": reason, "timestamp": _stamp()},
        "previousState": {"value": before, "reason": "", "timestamp": _stamp()},
        "configuration": {"description": alarm.get("AlarmDescription") or "", "metrics": [metric]},
    }
    return {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Resources": [alarm["AlarmArn"]],
        "Detail": json.dumps(detail),
    }


def _for_function(alarm: Mapping[str, Any], before: str, state: str, reason: str) -> dict[str, Any]:
    detail = json.loads(_event(alarm, before, state, reason)["Detail"])
    return {
        "source": "aws.cloudwatch",
        "alarmArn": alarm["AlarmArn"],
        "accountId": alarm["AlarmArn"].split(":")[4],
        "time": _stamp(),
        "region": alarm["AlarmArn"].split(":")[3],
        "alarmData": detail,
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _stamp() -> str:
    return datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
