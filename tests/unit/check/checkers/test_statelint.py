"""statelint on state machines in JSONPath and JSONata."""

from __future__ import annotations

import json
from typing import Any

from labcycle.check.checkers import StateLint
from labcycle.check.template import Template

from .given import findings, template


def jsonata(**states: Any) -> dict[str, Any]:
    begin = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "f", "Payload": "{% $merge([$states.input, {'a': 1}]) %}"},
        "Retry": [{"ErrorEquals": ["States.ALL"], "BackoffRate": 2, "MaxDelaySeconds": 5, "JitterStrategy": "FULL"}],
        "Assign": {"kept": "{% $states.result.Payload %}"},
        "Next": "Choose",
    }
    choose = {"Type": "Choice", "Choices": [{"Condition": "{% $kept.more %}", "Next": "Begin"}], "Default": "Done"}
    done = {"Type": "Succeed", "Output": {"a": ["{% $kept.x %}"]}}
    return {
        "QueryLanguage": "JSONata",
        "StartAt": "Begin",
        "States": {"Begin": begin, "Choose": choose, "Done": done, **states},
    }


def machine(definition: Any, **properties: Any) -> Template:
    text = definition if isinstance(definition, str | dict) and "Fn::Join" in definition else json.dumps(definition)
    given = {"DefinitionString": text, "RoleArn": "arn:aws:iam::123456789012:role/r", **properties}
    return template({"M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": given}})


def told(given: Template) -> set[tuple[str, str]]:
    return {(finding.logical_id, finding.rule) for finding in findings(StateLint(), given)}


def test_a_good_machine_in_jsonata_has_no_findings() -> None:
    assert told(machine(jsonata())) == set()


def test_a_time_out_in_jsonata_may_be_an_expression() -> None:
    computed = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {}, "End": True}
    computed["TimeoutSeconds"] = "{% $kept.seconds %}"
    assert told(machine(jsonata(Done=computed))) == set()
    assert told(machine(jsonata(Done=computed | {"TimeoutSeconds": "soon"}))) == {("M", "state-invalid")}


def test_a_good_machine_in_jsonpath_may_hold_braces() -> None:
    text = {"Type": "Pass", "Result": "{% this is no ( expression %}", "End": True}
    assert told(machine({"StartAt": "A", "States": {"A": text}})) == set()


def test_a_transition_to_nowhere_is_found() -> None:
    assert told(machine(jsonata(Done={"Type": "Pass", "Next": "Nowhere"}))) == {
        ("M", "state-dangling"),
        ("M", "state-no-end"),
    }
    assert ("M", "state-dangling") in told(machine(jsonata() | {"StartAt": "Nowhere"}))


def test_a_state_that_is_never_reached_is_found() -> None:
    assert told(machine(jsonata(Lost={"Type": "Succeed"}))) == {("M", "state-unreachable")}


def test_a_state_without_end_is_found() -> None:
    assert ("M", "state-field-missing") in told(machine(jsonata(Done={"Type": "Pass"})))


def test_a_field_that_there_is_not_is_found() -> None:
    assert told(machine(jsonata(Done={"Type": "Succeed", "Outptu": 1}))) == {("M", "state-field-unknown")}


def test_a_value_that_is_not_allowed_is_found() -> None:
    assert told(machine(jsonata() | {"TimeoutSeconds": "long"})) == {("M", "state-invalid")}


def test_a_backoff_that_is_no_number_is_found() -> None:
    broken = jsonata()
    broken["States"]["Begin"]["Retry"][0]["BackoffRate"] = "twice"
    assert told(machine(broken)) == {("M", "state-invalid")}


def test_an_expression_that_cannot_be_parsed_is_found_with_its_place() -> None:
    (finding,) = findings(StateLint(), machine(jsonata(Done={"Type": "Succeed", "Output": {"a": "{% $kept.( %}"}})))
    assert finding.rule == "jsonata-syntax"
    assert finding.message.startswith("State Machine.States.Done.Output.a: {% $kept.( %}: ")


def test_a_state_has_its_own_query_language() -> None:
    states = {"A": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $( %}", "End": True}}
    assert told(machine({"StartAt": "A", "States": states})) == {("M", "jsonata-syntax")}


def test_joins_and_substitutions_are_resolved() -> None:
    text = json.dumps(jsonata() | {"TimeoutSeconds": 7}).replace("7", "${Longest}")
    before, after = text.split('"f"')
    joined = {"Fn::Join": ['"', [before, {"Ref": "F"}, after]]}
    assert told(machine(joined, DefinitionSubstitutions={"Longest": 5})) == set()
    assert told(machine(joined, DefinitionSubstitutions={"Longest": '5, "Comment": 6'})) == {
        ("M", "state-machine-unreadable")
    }


def test_a_definition_as_an_object_is_checked() -> None:
    good = {"Definition": jsonata(), "RoleArn": "r"}
    bad = {"Definition": jsonata(Lost={"Type": "Succeed"}), "RoleArn": "r"}
    kind = "AWS::StepFunctions::StateMachine"
    given = template({"Good": {"Type": kind, "Properties": good}, "Bad": {"Type": kind, "Properties": bad}})
    assert told(given) == {("Bad", "state-unreachable")}


def test_a_definition_that_cannot_be_read_is_a_finding_not_a_pass() -> None:
    kind = "AWS::StepFunctions::StateMachine"
    properties = {"DefinitionS3Location": {"Bucket": "b", "Key": "k"}, "RoleArn": "r"}
    assert told(template({"M": {"Type": kind, "Properties": properties}})) == {("M", "state-machine-unreadable")}
    for text in ("{", "[]"):
        given = {"DefinitionString": text, "RoleArn": "r"}
        assert told(template({"M": {"Type": kind, "Properties": given}})) == {("M", "state-machine-unreadable")}


def test_other_resources_are_not_looked_at() -> None:
    assert told(template({"T": {"Type": "AWS::SNS::Topic"}})) == set()
