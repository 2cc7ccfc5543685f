"""State machines of an estate, as Step Functions will read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .estate import Estate
from .template import Template
from .values import listed, mapping, mappings

_PLACEHOLDER = re.compile(r"\$\{([^{}]+)\}")
# What tells somebody of a failure: https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html
_NOTICES = ("sns:publish", "events:putEvents", "aws-sdk:sns:publish", "aws-sdk:eventbridge:putEvents", "aws-sdk:ses")


@dataclass(frozen=True)
class State:
    """A state, with the states beside it that it can go to.

    Parameters
    ----------
    path
        Names of the states around it and its own, with slashes.
    beside
        The states of the same machine, map or branch.
    within
        The map or parallel state that holds it, if it is in one.
    """

    path: str
    name: str
    body: Mapping[str, Any]
    beside: Mapping[str, Any]
    within: State | None = None

    @property
    def type(self) -> str:
        """`Task`, `Choice`, ..."""
        return str(self.body.get("Type", ""))

    @property
    def resource(self) -> str:
        """What a task does, without the partition: `lambda:invoke`, `sns:publish.waitForTaskToken`, or an ARN."""
        resource = self.body.get("Resource")
        return re.sub(r"^arn:aws[a-z-]*:states:[a-z0-9-]*::?:", "", resource) if isinstance(resource, str) else ""

    def publishes(self) -> bool:
        """Whether the state tells somebody: by a topic, a bus, or a mail."""
        return self.type == "Task" and self.resource.startswith(_NOTICES)

    def failure_is_noticed(self) -> bool:
        """Whether what fails here, for whatever reason, comes to a state that publishes; or the same of what holds it."""
        for catch in mappings(self.body.get("Catch")):
            if "States.ALL" in listed(catch.get("ErrorEquals")) and self._notice_from(str(catch.get("Next", ""))):
                return True
        return self.within is not None and self.within.failure_is_noticed()

    def _notice_from(self, start: str) -> bool:
        """Whether each way from a state comes to one that publishes."""
        seen: set[str] = set()
        ways = [start]
        while ways:
            name = ways.pop()
            body = self.beside.get(name)
            if name in seen:
                continue
            seen.add(name)
            if not isinstance(body, Mapping):
                return False
            if State("", name, body, self.beside).publishes():
                continue
            following = _following(body)
            if not following:
                return False
            ways += following
        return True


def definition(estate: Estate, template: Template, logical_id: str) -> dict[str, Any]:
    """The definition of a state machine with its substitutions; empty where it is not in the template, or no JSON object."""
    return _definition(estate, template, logical_id)


@lru_cache(maxsize=4096)
def _definition(estate: Estate, template: Template, logical_id: str) -> dict[str, Any]:
    properties = template.properties(logical_id)
    given = mapping(properties.get("DefinitionSubstitutions"))
    filled = {str(key): estate.text(template, value) for key, value in given.items()}
    whole = estate.value(template, properties.get("Definition", properties.get("DefinitionString")))
    text = whole if isinstance(whole, str) else json.dumps(whole)
    # In a string within JSON, hence escaped as one.
    text = _PLACEHOLDER.sub(lambda found: json.dumps(filled.get(found[1], found[0]))[1:-1], text)
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def states(machine: Mapping[str, Any]) -> Iterator[State]:
    """Every state of a definition, those of maps and branches included."""
    yield from _states(machine, None)


def _states(machine: Mapping[str, Any], within: State | None) -> Iterator[State]:
    found = mapping(machine.get("States"))
    for name, body in found.items():
        if not isinstance(body, Mapping):
            continue
        state = State(f"{within.path}/{name}" if within else str(name), str(name), body, found, within)
        yield state
        for inner in [body.get("ItemProcessor"), body.get("Iterator"), *mappings(body.get("Branches"))]:
            if isinstance(inner, Mapping):
                yield from _states(inner, state)


def _following(body: Mapping[str, Any]) -> list[str]:
    """States that follow one that did its work."""
    following = [
        body.get("Next"),
        body.get("Default"),
        *(choice.get("Next") for choice in mappings(body.get("Choices"))),
    ]
    return [str(one) for one in following if isinstance(one, str)]
