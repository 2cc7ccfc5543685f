"""What a state machine does when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.planted.draft import Draft, fault

MODEL = "labcycle-fraud-model-card-fraud"
States = dict[str, dict[str, Any]]


def changed(draft: Draft, change: Callable[[dict[str, Any]], None]) -> str:
    """Change the definition of the state machine."""
    machine = draft.find("AWS::StepFunctions::StateMachine")
    definition = json.loads(draft.properties(machine)["DefinitionString"])
    change(definition)
    draft.properties(machine)["DefinitionString"] = json.dumps(definition)
    return machine


def task(definition: dict[str, Any], key: str) -> dict[str, Any]:
    """The first task that has this key."""
    states: States = definition["States"]
    return next(state for state in states.values() if state["Type"] == "Task" and key in state)


@fault(MODEL, "state-dangling")
def dangling_state(draft: Draft) -> str:
    """A state goes on to a state that there is not."""
    return changed(draft, lambda definition: task(definition, "Next").update(Next="Nowhere"))


@fault(MODEL, "state-unreachable")
def unreachable_state(draft: Draft) -> str:
    """No state goes on to one of the states."""
    return changed(draft, lambda definition: definition["States"].update(Lost={"Type": "Succeed"}))


@fault(MODEL, "state-has-timeout")
def state_without_timeout(draft: Draft) -> str:
    """A task may hang for ever."""
    return changed(draft, lambda definition: task(definition, "TimeoutSeconds").pop("TimeoutSeconds"))


@fault(MODEL, "state-machine-has-timeout")
def machine_without_timeout(draft: Draft) -> str:
    """The machine as a whole has no time-out."""
    return changed(draft, lambda definition: definition.pop("TimeoutSeconds"))


@fault(MODEL, "state-retries-with-jitter")
def retry_without_jitter(draft: Draft) -> str:
    """A task retries at the same moments as all others."""
    return changed(draft, lambda definition: task(definition, "Retry")["Retry"][0].pop("JitterStrategy"))


@fault(MODEL, "state-failure-ends-in-notice")
def no_catch(draft: Draft) -> str:
    """The failure of a task is not caught."""
    return changed(draft, lambda definition: task(definition, "Catch").pop("Catch"))


@fault(MODEL, "jsonata-syntax")
def broken_expression(draft: Draft) -> str:
    """A condition's expression lacks its bracket."""

    def change(definition: dict[str, Any]) -> None:
        choice = next(state for state in definition["States"].values() if state["Type"] == "Choice")
        choice["Choices"][0]["Condition"] = "{% ($begun.proceed %}"

    return changed(draft, change)
