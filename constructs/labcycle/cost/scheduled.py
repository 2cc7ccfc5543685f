"""What runs by a schedule although nobody asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labcycle.check.state_machines import definition, states
from labcycle.check.values import listed, mapping, mappings

from .assumptions import IDLE_READS, IDLE_SECONDS
from .calls import HOUR_SECONDS, computing, watching
from .prices import NoPrice
from .resource import Resource
from .schedules import runs_a_month


@dataclass(frozen=True)
class Training:
    """The longest training that a state machine can start."""

    instance_type: str
    instances: float
    seconds: float

    def usd(self, resource: Resource) -> float:
        hour = resource.prices.usd(f"sagemaker_instance_hour.{self.instance_type}")
        return self.instances * self.seconds / HOUR_SECONDS * hour


def runs(resource: Resource) -> tuple[float, float]:
    """Of a schedule, or a rule with one: how often it runs in a month, and what one run costs that finds nothing to do.

    Raises
    ------
    NoPrice
        If it cannot be counted, or what it starts is not known.
    """
    times = times_a_month(resource)
    if not times:
        return 0.0, 0.0
    usd = 0.0
    if resource.type == "AWS::Scheduler::Schedule":
        usd += resource.prices.usd("schedule_run")
    for started in started_by(resource):
        if started.type == "AWS::Lambda::Function":
            usd += _call(started)
        elif started.type == "AWS::StepFunctions::StateMachine":
            usd += transitions(started) + sum(map(_call, functions_of(started)))
        elif started.type not in ("AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::Events::EventBus"):
            raise NoPrice(f"what a run of {started.type} costs is not known")
    return times, usd


def times_a_month(resource: Resource) -> float:
    """0 of what is switched off, runs once, or has no schedule."""
    expression = resource.text("ScheduleExpression")
    if not expression or resource.text("State") == "DISABLED":
        return 0.0
    times = runs_a_month(expression)
    if times is None:
        raise NoPrice(f"the schedule {expression} cannot be counted")
    return times


def started_by(resource: Resource) -> Iterator[Resource]:
    targets = mappings(resource.get("Targets")) or mappings(listed(resource.get("Target")))
    for target in targets:
        arn = str(target.get("Arn", ""))
        found = resource.estate.find(arn)
        if found is None:
            raise NoPrice(f"what it starts is not in the templates: {arn}")
        yield resource.at(*found)


def transitions(machine: Resource) -> float:
    """An execution that passes each state once."""
    if machine.text("StateMachineType") == "EXPRESS":
        raise NoPrice("express state machines are paid by time and memory, and are not in the table")
    count = sum(1 for _ in states(definition(machine.estate, machine.template, machine.logical_id)))
    return count * machine.prices.usd("states_transition")


def functions_of(machine: Resource) -> list[Resource]:
    """The functions of the same template that it may call."""
    given = mapping(machine.raw("DefinitionSubstitutions"))
    arns = [machine.estate.text(machine.template, value) for value in given.values()]
    found = [machine.at(*place) for arn in arns if (place := machine.estate.find(arn)) is not None]
    return [one for one in found if one.type == "AWS::Lambda::Function"]


def training_of(machine: Resource) -> Training | None:
    """The training that it starts; None where it starts none."""
    for state in states(definition(machine.estate, machine.template, machine.logical_id)):
        if "createTrainingJob" in state.resource:
            asked: Any = mapping(state.body.get("Arguments") or state.body.get("Parameters"))
            hardware, limit = mapping(asked.get("ResourceConfig")), mapping(asked.get("StoppingCondition"))
            return Training(
                str(hardware.get("InstanceType")),
                float(hardware.get("InstanceCount", 1)),
                float(limit.get("MaxRuntimeInSeconds", 86_400)),
            )
    return None


def _call(function: Resource) -> float:
    reads = IDLE_READS.value * function.prices.usd("dynamodb_read")
    return computing(function, IDLE_SECONDS.value) + watching(function) + reads
