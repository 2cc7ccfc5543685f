"""Carries events on: rules to their targets, alarms to their actions, schedules to what they start.

moto delivers a rule's events to queues and log groups only and carries out no alarm action. Every delivery is checked
against the policies that were deployed; on AWS one that is not permitted is lost in silence, here it raises.
"""

from __future__ import annotations

import json
import re
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from moto.cloudwatch.models import Alarm, cloudwatch_backends
from moto.events.models import EventTemplateParser, Rule
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends

from tests.cloud.harness import policies
from tests.cloud.harness.place import Place

_OPERATORS: dict[str, Any] = {
    "GreaterThanThreshold": lambda value, limit: value > limit,
    "GreaterThanOrEqualToThreshold": lambda value, limit: value >= limit,
    "LessThanThreshold": lambda value, limit: value < limit,
    "LessThanOrEqualToThreshold": lambda value, limit: value <= limit,
}
_STATISTICS: dict[str, Any] = {
    "Maximum": max,
    "Minimum": min,
    "Sum": sum,
    "SampleCount": len,
    "Average": lambda values: sum(values) / len(values),
}


def patch(stack: ExitStack) -> None:
    """Let moto's rules and alarms act until `stack` closes."""
    send, update = Rule.send_to_targets, Alarm.update_state

    def send_to_targets(rule: Any, event: dict[str, Any], transform_input: bool = True) -> None:
        _send_to_targets(rule, event, lambda: send(rule, event, transform_input))

    def update_state(alarm: Any, reason: str, reason_data: str, state_value: str) -> None:
        before = alarm.state_value
        update(alarm, reason, reason_data, state_value)
        if before != state_value:
            _act(alarm, before)

    stack.enter_context(mock.patch.object(Rule, "send_to_targets", send_to_targets))
    stack.enter_context(mock.patch.object(Alarm, "update_state", update_state))


def _send_to_targets(rule: Any, event: dict[str, Any], moto_sends: Any) -> None:
    if rule.state == "DISABLED" or rule.scheduled_expression or not rule.event_pattern.matches_event(event):
        return
    moment = event["time"]
    if isinstance(moment, int | float):
        event["time"] = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    targets = rule.targets
    for target in targets:
        if target["Arn"].split(":")[2] in {"lambda", "states", "sns"}:
            _deliver(target, _input(target, event), "events.amazonaws.com", rule.arn)
            continue
        rule.targets, text, event["time"] = [target], event["time"], moment  # moto writes the time by itself
        try:
            moto_sends()
        finally:
            rule.targets, event["time"] = targets, text


def _input(target: dict[str, Any], event: dict[str, Any]) -> str:
    if "Input" in target:
        return str(target["Input"])
    if transformer := target.get("InputTransformer"):
        paths = transformer.get("InputPathsMap", {})
        moment = {"ingestion-time": event["time"], **event}
        template = transformer["InputTemplate"]
        if template.startswith("{"):  # there EventBridge quotes texts by itself
            template = re.sub(r'(?<!")(<[^<>]+>)(?!")', r'"\1"', template)
        return json.dumps(EventTemplateParser.parse(template, paths, moment))
    event = {key: value for key, value in event.items() if key != "ingestion-time"}
    part: Any = event
    for key in target.get("InputPath", "$").split(".")[1:]:
        part = part[key]
    return json.dumps(part)


def _deliver(target: dict[str, Any], payload: str, service: str, source_arn: str) -> None:
    arn = target["Arn"]
    place = Place.of_arn(arn)
    kind = arn.split(":")[2]
    if kind == "lambda":
        if "RoleArn" in target:
            policies.require_role(target["RoleArn"], "lambda:InvokeFunction", arn)
        else:
            policies.require_function_permission(arn, service, source_arn)
        _call(arn, payload)
    elif kind == "states":
        policies.require_role(target["RoleArn"], "states:StartExecution", arn)
        place.client("stepfunctions").start_execution(stateMachineArn=arn, input=payload, name=str(uuid.uuid4()))
    elif kind == "sns":
        publish(arn, service, source_arn, payload)
    else:
        raise NotImplementedError(f"delivery to {arn}")


def _call(function_arn: str, payload: str) -> None:
    """An asynchronous call, tried as often as the function says; what fails for good goes to its destination.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    place = Place.of_arn(function_arn)
    lambda_ = place.client("lambda")
    found = lambda_.list_function_event_invoke_configs(FunctionName=function_arn)["FunctionEventInvokeConfigs"]
    config = found[0] if found else {}
    attempts = 1 + config.get("MaximumRetryAttempts", 2)
    for _ in range(attempts):
        answer = lambda_.invoke(FunctionName=function_arn, Payload=payload.encode())
        if "FunctionError" not in answer:
            return
    failed = {
        "requestContext": {
            "functionArn": function_arn,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(payload),
        "responsePayload": json.loads(answer["Payload"].read()),
    }
    destination = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if destination:
        role = lambda_.get_function_configuration(FunctionName=function_arn)["Role"]
        policies.require_role(role, "sqs:SendMessage", destination)
        sqs = place.client("sqs")
        url = sqs.get_queue_url(QueueName=destination.rpartition(":")[2])["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(failed))


def publish(topic_arn: str, service: str, source_arn: str, message: str, subject: str = "") -> None:
    """A message of an AWS service to a topic, as far as the topic's policy and its key's policy permit it."""
    place = Place.of_arn(topic_arn)
    topic = sns_backends[place.account][place.region].get_topic(topic_arn)
    context = {
        "aws:SourceArn": [source_arn],
        "aws:SourceAccount": [place.account],
        "AWS:SourceAccount": [place.account],
    }
    policies.require_service(topic.policy, service, "sns:Publish", topic_arn, context)
    if topic.kms_master_key_id:
        key = kms_backends[place.account][place.region].describe_key(topic.kms_master_key_id)
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            policies.require_service(key.policy, service, action, key.arn, context)
    place.client("sns").publish(TopicArn=topic_arn, Message=message, **({"Subject": subject[:99]} if subject else {}))


def _act(alarm: Any, before: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html"""
    place = Place.of_arn(alarm.alarm_arn)
    timestamp = datetime.now(UTC).isoformat()
    actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}.get(
        alarm.state_value, alarm.insufficient_data_actions
    )
    message = {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.alarm_arn,
        "AlarmDescription": alarm.description,
        "AWSAccountId": place.account,
        "NewStateValue": alarm.state_value,
        "OldStateValue": before,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": timestamp,
    }
    for arn in (actions or []) if alarm.actions_enabled else []:
        kind = arn.split(":")[2]
        if kind == "sns":
            subject = f"{alarm.state_value}: {alarm.name}"
            publish(arn, "cloudwatch.amazonaws.com", alarm.alarm_arn, json.dumps(message), subject)
        else:
            _deliver({"Arn": arn}, json.dumps(message), "lambda.alarms.cloudwatch.amazonaws.com", alarm.alarm_arn)
    detail = {
        "alarmName": alarm.name,
        "state": {"value": alarm.state_value, "reason": alarm.state_reason, "timestamp": timestamp},
        "previousState": {"value": before},
        "configuration": {"description": alarm.description},
    }
    event = {"Source": "aws.cloudwatch", "DetailType": "CloudWatch Alarm State Change", "Detail": json.dumps(detail)}
    place.client("events").put_events(Entries=[{**event, "Resources": [alarm.alarm_arn]}])


def evaluate_alarms(place: Place, at: datetime) -> None:
    """Let every alarm of a place look at its metric as CloudWatch would at `at`: M of N periods, missing data, dimensions.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html. Alarms on metric math are
    not evaluated, so that having one raises.
    """
    backend = cloudwatch_backends[place.account][place.region]
    for alarm in list(backend.alarms.values()):
        state = _state(alarm, backend, at)
        if state != alarm.state_value:
            backend.set_alarm_state(alarm.name, "evaluated from its metric", "{}", state)


def forget_metrics(place: Place) -> None:
    """No metric was ever published, and every alarm is as it was created."""
    backend = cloudwatch_backends[place.account][place.region]
    backend.metric_data.clear()
    for alarm in backend.alarms.values():
        alarm.state_value = "INSUFFICIENT_DATA"


def _state(alarm: Any, backend: Any, at: datetime) -> str:
    if alarm.metric_data_queries:
        raise NotImplementedError(f"metric math in {alarm.name}")
    period = int(alarm.period)
    end = datetime.fromtimestamp((int(at.timestamp()) // period + 1) * period, UTC)
    dimensions = {(d.name, d.value) for d in alarm.dimensions}
    points: list[float | None] = []
    for number in range(int(alarm.evaluation_periods)):
        start = end - timedelta(seconds=period * (number + 1))
        values = [
            float(datum.value)
            for datum in backend.metric_data
            if datum.namespace == alarm.namespace
            and datum.name == alarm.metric_name
            and {(d.name, d.value) for d in datum.dimensions} == dimensions
            and start <= _aware(datum.timestamp) < start + timedelta(seconds=period)
        ]
        points.append(_STATISTICS[alarm.statistic](values) if values else None)
    if all(point is None for point in points) and alarm.treat_missing_data in (None, "missing"):
        return "INSUFFICIENT_DATA"
    if all(point is None for point in points) and alarm.treat_missing_data == "ignore":
        return str(alarm.state_value)
    beyond = _OPERATORS[alarm.comparison_operator]
    breaches = [
        alarm.treat_missing_data == "breaching" if point is None else beyond(point, float(alarm.threshold))
        for point in points
    ]
    return "ALARM" if sum(breaches) >= int(alarm.datapoints_to_alarm or alarm.evaluation_periods) else "OK"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def fire_schedule(place: Place, name: str, at: datetime, group: str = "default") -> None:
    """What EventBridge Scheduler does when a schedule is due.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    schedule = place.client("scheduler").get_schedule(Name=name, GroupName=group)
    target = schedule["Target"]
    payload = target.get("Input", json.dumps({"source": "aws.scheduler"}))
    for attribute, value in (
        ("scheduled-time", at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("schedule-arn", schedule["Arn"]),
        ("execution-id", str(uuid.uuid4())),
        ("attempt-number", "1"),
    ):
        payload = payload.replace(f"<aws.scheduler.{attribute}>", value)
    if "DeadLetterConfig" in target:  # in the role's name, unlike a rule's
        policies.require_role(target["RoleArn"], "sqs:SendMessage", target["DeadLetterConfig"]["Arn"])
    _deliver(target, payload, "scheduler.amazonaws.com", schedule["Arn"])
