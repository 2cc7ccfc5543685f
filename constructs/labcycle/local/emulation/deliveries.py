"""Deliveries from one service to another happen only where AWS would let them; refused ones are kept, with the reason.

MiniStack delivers whatever the policies of topic, key, function and role say. Here each pair is checked: rule, alarm or
schedule against topic policy and key policy (encrypted topic), against the function's policy, or against the role that
the target names.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.responses import request_scope
from ministack.services import eventbridge, kms, lambda_svc, sns, sqs

from labcycle.local.emulation import policies
from labcycle.local.settings import Settings

_LIMIT = 1_000
_refused: list[dict[str, str]] = []
_settings: Settings | None = None
_LOG = logging.getLogger(__name__)
# What a role must be allowed for a target of that service: https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html
_ACTIONS = {
    "lambda": "lambda:InvokeFunction",
    "states": "states:StartExecution",
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
}


def refused() -> list[dict[str, str]]:
    """Deliveries that were refused, oldest first: source, target, reason."""
    return list(_refused)


def refuse(source: str, target: str, reason: str) -> None:
    _LOG.warning("delivery from %s to %s refused: %s", source, target, reason)
    _refused.append({"source": source, "target": target, "reason": reason})
    del _refused[:-_LIMIT]


def install(settings: Settings) -> None:
    global _settings
    _settings = settings
    original = eventbridge._invoke_target

    def invoke_target(
        target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, Any], view: Any = None
    ) -> None:
        if _may(target, event, rule):
            original(_with_scheduled_time(target, event), event, rule, view)
        else:
            _to_dead_letters(target, event, rule)

    eventbridge._invoke_target = invoke_target


def _with_scheduled_time(target: Mapping[str, Any], event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The time of a schedule in what it gives its target, on the local cloud's clock:
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""
    given = target.get("Input")
    if event.get("Source") != "aws.scheduler" or not isinstance(given, str):
        return target
    at = datetime.fromtimestamp(float(event["Time"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**target, "Input": given.replace("<aws.scheduler.scheduled-time>", at)}


def _to_dead_letters(target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, Any]) -> None:
    """A delivery that was refused ends in the target's dead-letter queue, if it names one that lets the service in."""
    assert _settings is not None
    queue = str((target.get("DeadLetterConfig") or {}).get("Arn") or "")
    if not queue:
        return
    source = str(rule.get("Arn", ""))
    if event.get("Source") == "aws.scheduler":
        allowed = policies.role_may(str(target.get("RoleArn")), "sqs:SendMessage", queue, region=_settings.region)
    else:
        policy = (sqs.queue_policy_for_arn(queue) or (None,))[0]
        allowed = policies.service_may(
            policy,
            "events.amazonaws.com",
            "sqs:SendMessage",
            queue,
            region=_settings.region,
            context={"aws:SourceArn": source},
        )
    if allowed:
        eventbridge._dispatch_to_sqs(parse_arn(queue), target.get("Input") or json.dumps(dict(event), default=str))
    else:
        refuse(source, queue, "the dead-letter queue does not let the service in either")


def topic_takes(topic: str, service: str, source: str) -> bool:
    """Whether a service may publish to a topic, and use its key where it is encrypted. A refusal is kept."""
    assert _settings is not None
    record = sns._topic_by_arn_any_scope(topic)
    if record is None:
        refuse(source, topic, "the topic does not exist")
        return False
    context = {"aws:SourceArn": source, "aws:SourceAccount": _settings.account}
    attributes = record.get("attributes", {})
    # SNS's own default policy lets the account's services in by aws:SourceOwner.
    of_topic = {**context, "aws:SourceOwner": _settings.account}
    policy = attributes.get("Policy")
    if not policies.service_may(policy, service, "sns:Publish", topic, region=_settings.region, context=of_topic):
        refuse(source, topic, f"the topic's policy does not let {service} publish")
        return False
    key = attributes.get("KmsMasterKeyId")
    if not key:
        return True
    found = kms.key_policy_for_arn(key)
    # EventBridge sends no source keys along with its use of the key.
    of_key = {} if service == "events.amazonaws.com" else context
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        document = found[0] if found else None
        if not policies.service_may(document, service, action, "*", region=_settings.region, context=of_key):
            refuse(source, topic, f"the policy of the topic's key {key} does not let {service} use {action}")
            return False
    return True


def invoke_function(arn: str, event: Mapping[str, Any], service: str, source: str) -> None:
    """Invoke a function asynchronously as a service does, if its policy lets the service."""
    if not _function_takes(arn, service, source):
        return
    assert _settings is not None
    with request_scope(_settings.account, _settings.region):
        eventbridge._dispatch_to_lambda(arn, json.dumps(event))


def _function_takes(arn: str, service: str, source: str) -> bool:
    assert _settings is not None
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not config:
        refuse(source, arn, f"the function {name} does not exist")
        return False
    context = {"aws:SourceArn": source, "aws:SourceAccount": _settings.account}
    target = str(config["FunctionArn"])
    policy = function.get("policy")
    if policies.service_may(policy, service, "lambda:InvokeFunction", target, region=_settings.region, context=context):
        return True
    refuse(source, arn, f"the function's policy does not let {service} invoke it")
    return False


def _may(target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    assert _settings is not None
    arn = str(target.get("Arn", ""))
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    scheduled = event.get("Source") == "aws.scheduler"
    source = str(rule.get("Arn") or (event.get("Resources") or [""])[0])
    role = target.get("RoleArn")
    if scheduled or service == "states":
        if not role:
            refuse(source, arn, "the target names no role")
            return False
        if service in _ACTIONS and not policies.role_may(str(role), _ACTIONS[service], arn, region=_settings.region):
            refuse(source, arn, f"the role {role} does not allow {_ACTIONS[service]}")
            return False
        return True
    if service == "lambda":
        return _function_takes(arn, "events.amazonaws.com", source)
    if service == "sns":
        return topic_takes(arn, "events.amazonaws.com", source)
    return True
