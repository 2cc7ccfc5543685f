"""statelint: the states of every state machine, and the syntax of its JSONata expressions."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.finding import Finding
from labcycle.check.template import Template

from .checker import OneByOne

# The library's problems have no ids; these are by the form of its messages.
_RULES = (
    (re.compile(r'^No state found named "'), "state-dangling"),
    (re.compile(r"^StartAt value .* not found in "), "state-dangling"),
    (re.compile(r"^No transition found to state "), "state-unreachable"),
    (re.compile(r"^No terminal state found in machine "), "state-no-end"),
    (re.compile(r'^Field ".*" not allowed in '), "state-field-unknown"),
    (re.compile(r" does not have required field "), "state-field-missing"),
)
_OTHER = "state-invalid"
_EXPRESSION = re.compile(r"\s*\{%(.*)%\}\s*", re.DOTALL)


class StateLint(OneByOne):
    """Checks state machines in JSONPath and in JSONata."""

    def __init__(self) -> None:
        from jsonata import Jsonata
        from statelint.linter import Linter

        self.name = f"statelint {importlib.metadata.version('statelint')}"
        self._linter: Any = Linter
        self._jsonata: Any = Jsonata

    def check_one(self, template: Template, estate: Estate) -> Iterator[Finding]:
        """Findings about states: dangling, unreachable, without an end, with unknown or missing fields, or with bad JSONata.

        A definition that is no JSON object, or that is not in the template, is the finding `state-machine-unreadable`.
        """
        for logical_id, _ in template.resources("AWS::StepFunctions::StateMachine"):
            properties = estate.value(template, dict(template.properties(logical_id)))
            key = "Definition" if "Definition" in properties else "DefinitionString"
            for rule, message in self._problems(properties, key):
                yield template.finding(
                    logical_id, rule, "statelint", "error", message, property_path=f"Properties.{key}"
                )

    def _problems(self, properties: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
        if key not in properties:
            yield "state-machine-unreadable", "the definition lies in S3. Give it as Definition or DefinitionString"
            return
        try:
            machine = _machine(properties[key], properties.get("DefinitionSubstitutions", {}))
        except (TypeError, ValueError) as error:
            yield "state-machine-unreadable", f"the definition is no JSON object: {error}"
            return
        for message in self._linter.validate(machine):
            yield next((rule for form, rule in _RULES if form.search(message)), _OTHER), message
        for place, expression in _expressions(machine, "State Machine", "JSONPath"):
            try:
                self._jsonata(expression)
            except Exception as error:  # noqa: BLE001 - whatever its parser stumbles over
                yield "jsonata-syntax", f"{place}: {{%{expression}%}}: {error}"


def _machine(definition: Any, substitutions: Any) -> dict[str, Any]:
    given = substitutions if isinstance(substitutions, dict) else {}
    text = definition if isinstance(definition, str) else json.dumps(definition)
    for name, value in given.items():
        in_json = json.dumps(value)
        # a text stands between quotes already
        text = text.replace(f"${{{name}}}", in_json[1:-1] if isinstance(value, str) else in_json)
    machine = json.loads(text)
    if not isinstance(machine, dict):
        raise TypeError(f"got {text[:40]}")
    _as_floats(machine)
    _without_computed_times(machine)
    return machine


def _as_floats(value: Any) -> None:
    """Whole BackoffRates as floats: the library refuses 2, which in JSON, and on AWS, is the same number as 2.0."""
    if isinstance(value, list):
        for one in value:
            _as_floats(one)
    elif isinstance(value, dict):
        rate = value.get("BackoffRate")
        if isinstance(rate, int) and not isinstance(rate, bool):
            value["BackoffRate"] = float(rate)
        for one in value.values():
            _as_floats(one)


def _without_computed_times(machine: dict[str, Any]) -> None:
    """The library knows no time-out that is an expression, which a state in JSONata may have:
    https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html"""
    states = machine.get("States")
    for state in states.values() if isinstance(states, dict) else ():
        computed = (
            isinstance(state, dict)
            and isinstance(time := state.get("TimeoutSeconds"), str)
            and _EXPRESSION.fullmatch(time)
        )
        if computed and state.get("QueryLanguage", machine.get("QueryLanguage")) == "JSONata":
            state["TimeoutSeconds"] = 1


def _expressions(value: Any, place: str, language: str) -> Iterator[tuple[str, str]]:
    """The JSONata expressions of a machine, each with its place. A state has the language of its machine, or its own."""
    if isinstance(value, str):
        found = _EXPRESSION.fullmatch(value) if language == "JSONata" else None
        if found:
            yield place, found[1]
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _expressions(one, f"{place}[{number}]", language)
    elif isinstance(value, dict):
        own = value.get("QueryLanguage", language)
        for key, one in value.items():
            yield from _expressions(one, f"{place}.{key}", own)
