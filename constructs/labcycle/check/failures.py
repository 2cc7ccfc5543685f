"""What can fail in an estate while nobody looks, and who hears of it.

Calls that somebody waits for are not listed: the caller gets the error. Dead letters count as heard of where they lie, so
that each queue of them is a row of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .delivery import deliveries, kind_of, named_function, redrive_target
from .estate import Estate
from .state_machines import definition, states
from .template import Template
from .values import mapping, mappings
from .watch import alarms_on, rules_on

_Place = tuple[Template, str]
_LYING = ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent")
# Subscriptions by which SNS calls somebody who can refuse; mail and text messages have no answer.
_CALLED = ("firehose", "http", "https", "lambda", "sqs")
_ENDED = {"FAILED": "ExecutionsFailed", "TIMED_OUT": "ExecutionsTimedOut"}


@dataclass(frozen=True)
class Failure:
    """A row of the matrix.

    Parameters
    ----------
    template, logical_id
        What fails.
    failure
        How, in a few words.
    heard
        By what it is heard; empty: by nobody.
    needed
        What would make it heard.
    """

    template: Template
    logical_id: str
    failure: str
    heard: tuple[str, ...]
    needed: str


@lru_cache(maxsize=2)
def failures(estate: Estate) -> tuple[Failure, ...]:
    """The matrix of an estate, in the order of its resources."""
    return tuple(_all(estate))


def as_table(rows: Iterable[Failure]) -> str:
    """The matrix as text, one line a row; what nobody hears says so."""
    cells = [("stack", "what", "fails", "heard by")] + [
        (row.template.name, row.logical_id, row.failure, "; ".join(row.heard) or "NOBODY") for row in rows
    ]
    widths = [max(len(line[n]) for line in cells) for n in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]) for line in cells
    )


def machine_is_watched(estate: Estate, template: Template, logical_id: str, status: str) -> tuple[str, ...]:
    """Alarms and rules on executions of a state machine that end so (`FAILED`, `TIMED_OUT`)."""
    arn = estate.arn(template, logical_id)
    kind, detail = "Step Functions Execution Status Change", {"status": status, "stateMachineArn": arn}
    return (
        *_alarms(alarms_on(estate, template, "AWS/States", [_ENDED[status]], {"StateMachineArn": arn})),
        *(f"rule {rule}" for rule in rules_on(estate, template, "aws.states", kind, detail)),
    )


def handles_failed_calls(estate: Estate, template: Template, logical_id: str) -> tuple[str, ...]:
    """Where the calls of a function go that failed asynchronously for good."""
    return _failed_calls(estate).get(estate.arn(template, logical_id), ())


@lru_cache(maxsize=2)
def _failed_calls(estate: Estate) -> dict[str, tuple[str, ...]]:
    """By function: its dead letters and its destination for failures."""
    found: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for template, logical_id, _ in estate.resources("AWS::Lambda::Function"):
        config = template.properties(logical_id).get("DeadLetterConfig")
        found[estate.arn(template, logical_id)] += _letters(estate, template, config, "TargetArn")
    for template, logical_id, _ in estate.resources("AWS::Lambda::EventInvokeConfig"):
        properties = template.properties(logical_id)
        function = named_function(estate, template, properties.get("FunctionName"))
        outcome = mapping(properties.get("DestinationConfig")).get("OnFailure")
        if function is not None:
            found[estate.arn(*function)] += _letters(estate, template, outcome, "Destination")
    return dict(found)


def _all(estate: Estate) -> Iterator[Failure]:
    letters = _dead_letter_queues(estate)
    called = _called_asynchronously(estate)
    for template, logical_id, resource in estate.resources():
        kind, place = resource.get("Type"), (template, logical_id)
        arn = estate.arn(template, logical_id)
        if kind == "AWS::SQS::Queue":
            yield from _queue(estate, place, arn in letters)
        elif kind == "AWS::Lambda::Function" and arn in called:
            yield _function(estate, place)
        elif kind in ("AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi"):
            yield _api(estate, place)
        elif kind == "AWS::StepFunctions::StateMachine":
            yield from _machine(estate, place)
        elif kind in ("AWS::Events::Rule", "AWS::Scheduler::Schedule"):
            yield from _calls(estate, place, str(kind))
        elif kind == "AWS::Lambda::EventSourceMapping":
            yield from _stream(estate, place)
        elif kind == "AWS::SNS::Subscription":
            yield from _subscription(estate, place)
        elif kind == "AWS::Pipes::Pipe":
            yield _pipe(estate, place)
        elif kind == "AWS::SageMaker::Endpoint":
            yield _endpoint(estate, place)
        elif kind == "AWS::Batch::JobQueue":
            yield _jobs(estate, place)


def _queue(estate: Estate, place: _Place, is_for_dead_letters: bool) -> Iterator[Failure]:
    template, logical_id = place
    arn = estate.arn(*place)
    readers = [f"reader {reader}" for reader in _readers(estate, arn)]
    if is_for_dead_letters:
        name = {"QueueName": estate.name(*place)}
        heard = (*_alarms(alarms_on(estate, template, "AWS/SQS", _LYING, name)), *readers)
        yield Failure(*place, "dead letters lie in it", heard, "an alarm on ApproximateNumberOfMessagesVisible")
    elif readers:
        target = redrive_target(template.properties(logical_id))
        redriven = (f"queue {_named(estate, estate.text(template, target))}",) if target is not None else ()
        yield Failure(*place, "a message cannot be handled", redriven, "a RedrivePolicy to a queue with an alarm")


def _function(estate: Estate, place: _Place) -> Failure:
    template, _ = place
    errors = alarms_on(estate, template, "AWS/Lambda", ["Errors"], {"FunctionName": estate.name(*place)})
    heard = (*handles_failed_calls(estate, *place), *_alarms(errors))
    return Failure(
        *place, "an asynchronous call fails for good", heard, "a destination for failures, or an alarm on Errors"
    )


def _api(estate: Estate, place: _Place) -> Failure:
    template, logical_id = place
    dimensions = {"ApiId": estate.name(*place)}
    if template.resource(logical_id).get("Type") == "AWS::ApiGateway::RestApi":
        dimensions = {"ApiName": estate.text(template, template.properties(logical_id).get("Name", ""))}
    heard = alarms_on(estate, template, "AWS/ApiGateway", ("5xx", "5XXError"), dimensions)
    return Failure(*place, "answers with 5xx", _alarms(heard), "an alarm on 5xx")


def _machine(estate: Estate, place: _Place) -> Iterator[Failure]:
    found = definition(estate, *place)
    tasks = [state for state in states(found) if state.type == "Task"]
    caught = bool(tasks) and all(state.publishes() or state.failure_is_noticed() for state in tasks)
    by_itself = ("notice of its own",) if caught else ()
    needed = "an alarm or a rule on executions that end so"
    watched = machine_is_watched(estate, *place, "FAILED")
    yield Failure(*place, "an execution fails", (*by_itself, *watched), f"a Catch that ends in a notice, or {needed}")
    yield Failure(*place, "an execution runs out of time", machine_is_watched(estate, *place, "TIMED_OUT"), needed)


def _calls(estate: Estate, place: _Place, kind: str) -> Iterator[Failure]:
    template, logical_id = place
    properties = template.properties(logical_id)
    if kind == "AWS::Events::Rule":
        targets = properties.get("Targets")
        name = {"RuleName": estate.name(*place)}
        alarms = alarms_on(
            estate, template, "AWS/Events", ("FailedInvocations", "InvocationsFailedToBeSentToDlq"), name
        )
    else:
        targets = [properties.get("Target")]
        alarms = alarms_on(estate, template, "AWS/Scheduler", ("TargetErrorCount", "InvocationDroppedCount"), {})
    for target in mappings(targets):
        letters = _letters(estate, template, target.get("DeadLetterConfig"), "Arn")
        yield Failure(*place, "its target cannot be reached", (*letters, *_alarms(alarms)), "a DeadLetterConfig")


def _stream(estate: Estate, place: _Place) -> Iterator[Failure]:
    template, logical_id = place
    properties = template.properties(logical_id)
    if kind_of(estate.text(template, properties.get("EventSourceArn", ""))) not in ("table", "stream"):
        return  # what a queue's reader cannot handle stays in the queue
    outcome = properties.get("DestinationConfig")
    letters = _letters(estate, template, mapping(outcome).get("OnFailure"), "Destination")
    yield Failure(*place, "records cannot be handled", letters, "an OnFailure destination")


def _subscription(estate: Estate, place: _Place) -> Iterator[Failure]:
    template, logical_id = place
    properties = template.properties(logical_id)
    if properties.get("Protocol") not in _CALLED:
        return
    topic = {"TopicName": estate.text(template, properties.get("TopicArn", "")).rpartition(":")[2]}
    alarms = alarms_on(estate, template, "AWS/SNS", ["NumberOfNotificationsFailed"], topic)
    target = redrive_target(properties)
    redriven = (f"queue {_named(estate, estate.text(template, target))}",) if target is not None else ()
    yield Failure(*place, "its endpoint cannot be reached", (*redriven, *_alarms(alarms)), "a RedrivePolicy")


def _pipe(estate: Estate, place: _Place) -> Failure:
    template, _ = place
    letters = tuple(
        f"queue {_named(estate, delivery.target)}"
        for delivery in deliveries(estate)
        if delivery.is_dead_letters and (delivery.template, delivery.logical_id) == place
    )
    name = {"PipeName": estate.name(*place)}
    alarms = alarms_on(estate, template, "AWS/EventBridge/Pipes", ("ExecutionFailed", "TargetStageFailed"), name)
    return Failure(*place, "an event cannot be handled", (*letters, *_alarms(alarms)), "an alarm on ExecutionFailed")


def _endpoint(estate: Estate, place: _Place) -> Failure:
    template, logical_id = place
    name = {"EndpointName": estate.text(template, {"Fn::GetAtt": [logical_id, "EndpointName"]})}
    named = template.properties(logical_id).get("EndpointName")
    if named is not None:
        name = {"EndpointName": estate.text(template, named)}
    alarms = alarms_on(estate, template, "AWS/SageMaker", ["Invocation5XXErrors"], name)
    return Failure(*place, "answers with 5xx", _alarms(alarms), "an alarm on Invocation5XXErrors")


def _jobs(estate: Estate, place: _Place) -> Failure:
    rules = rules_on(estate, place[0], "aws.batch", "Batch Job State Change", {"status": "FAILED"})
    heard = tuple(f"rule {rule}" for rule in rules)
    return Failure(*place, "a job fails", heard, "a rule on Batch Job State Change with the status FAILED")


def _letters(estate: Estate, template: Template, config: Any, key: str) -> tuple[str, ...]:
    target = mapping(config).get(key)
    if target is None:
        return ()
    arn = estate.text(template, target)
    return (f"{kind_of(arn) or 'destination'} {_named(estate, arn)}",)


def _named(estate: Estate, arn: str) -> str:
    """What a target is called: its logical id, or the end of its ARN where it is not part of the estate."""
    found = estate.find(arn)
    return found[1] if found else arn.rpartition(":")[2]


def _alarms(logical_ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"alarm {logical_id}" for logical_id in logical_ids)


def _called_asynchronously(estate: Estate) -> set[str]:
    return {
        ":".join(delivery.target.split(":")[:7])
        for delivery in deliveries(estate)
        if delivery.way.invokes == "asynchronously"
    }


def _dead_letter_queues(estate: Estate) -> set[str]:
    found = {delivery.target for delivery in deliveries(estate) if delivery.is_dead_letters}
    for template, logical_id, _ in estate.resources("AWS::SQS::Queue"):
        target = redrive_target(template.properties(logical_id))
        if target is not None:
            found.add(estate.text(template, target))
    return found


def _readers(estate: Estate, arn: str) -> list[str]:
    return [
        delivery.logical_id
        for delivery in deliveries(estate)
        if delivery.target == arn and delivery.way.producer in ("event source mapping", "pipe's source")
    ]
