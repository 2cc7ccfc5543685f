"""Every operator, with keys that are there, absent, of several values, and unknown."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle.check.iam.conditions import OPERATORS, parse_conditions
from labcycle.check.iam.errors import PolicyError
from labcycle.check.iam.truth import Truth, all_of
from labcycle.check.iam.variables import ANY, Context

YES, NO, MAYBE = Truth.YES, Truth.NO, Truth.MAYBE
TEAM = "aws:PrincipalTag/team"


def holds(condition: object, context: dict[str, Any], *, is_open: bool = False, has_variables: bool = True) -> Truth:
    tests = parse_conditions(condition, has_variables=has_variables)
    return all_of(test.holds(Context(context, is_open=is_open)) for test in tests)


@pytest.mark.parametrize(
    ("operator", "value", "asked", "expected"),
    [
        ("StringEquals", "fraud", "fraud", YES),
        ("StringEquals", "fraud", "Fraud", NO),
        ("StringEquals", "f*", "fraud", NO),
        ("StringEquals", "f${*}", "f*", YES),
        ("StringEquals", ["a", "fraud"], "fraud", YES),
        ("StringNotEquals", "fraud", "growth", YES),
        ("StringNotEquals", ["growth", "fraud"], "growth", NO),
        ("StringEqualsIgnoreCase", "FRAUD", "fraud", YES),
        ("StringNotEqualsIgnoreCase", "FRAUD", "fraud", NO),
        ("StringLike", "f?a*", "fraud", YES),
        ("StringLike", "f${*}", "fraud", NO),
        ("StringNotLike", "f*", "growth", YES),
        ("NumericEquals", "10", "10.0", YES),
        ("NumericNotEquals", 10, "10", NO),
        ("NumericLessThan", "10", "9", YES),
        ("NumericLessThan", "10", "10", NO),
        ("NumericLessThanEquals", "10", "10", YES),
        ("NumericGreaterThan", "10", "11", YES),
        ("NumericGreaterThanEquals", "10", "9", NO),
        ("DateEquals", "2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", YES),
        ("DateNotEquals", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z", NO),
        ("DateLessThan", "2026-01-31", "2026-01-30T23:59:59Z", YES),
        ("DateLessThanEquals", "2026-01-31", "2026-01-31T00:00:00Z", YES),
        ("DateGreaterThan", "1769860800", "2026-01-31T12:00:01Z", YES),
        ("DateGreaterThanEquals", "1769860800", "2026-01-31T11:59:59Z", NO),
        ("Bool", True, "true", YES),
        ("Bool", "false", "true", NO),
        ("BinaryEquals", "QmFzZTY0", "QmFzZTY0", YES),
        ("BinaryEquals", "QmFzZTY0", "qmfzzty0", NO),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", YES),
        ("IpAddress", "10.0.0.0/8", "2001:db8::1", NO),
        ("NotIpAddress", ["10.0.0.0/8", "192.0.2.1"], "192.0.2.1", NO),
        ("NotIpAddress", "10.0.0.0/8", "192.0.2.1", YES),
        ("ArnEquals", "arn:aws:sns:*:1:t*", "arn:aws:sns:eu-west-1:1:topic", YES),
        ("ArnLike", "arn:aws:sns:*:t", "arn:aws:sns:eu-west-1:1:t", NO),
        ("ArnNotEquals", "arn:aws:sns:*:1:*", "arn:aws:sns:eu-west-1:2:t", YES),
        ("ArnNotLike", "arn:aws:sns:*:1:*", "arn:aws:sns:eu-west-1:1:t", NO),
    ],
)
def test_operators(operator: str, value: Any, asked: str, expected: Truth) -> None:
    assert holds({operator: {TEAM: value}}, {TEAM: asked}) is expected
    assert holds({operator: {TEAM.upper(): value}}, {TEAM: asked}) is expected, "keys do not tell case"


SAMPLE = {"Numeric": "1", "Date": "2026-01-31", "Bool": "true", "Binary": "QQ==", "IpAddr": "10.0.0.0/8"}


def sample(operator: str) -> str:
    return next((value for name, value in SAMPLE.items() if name in operator), "arn:aws:sns:r:1:t")


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_absent_key(operator: str) -> None:
    value = sample(operator)
    is_negated = "Not" in operator
    assert holds({operator: {TEAM: value}}, {}) is (YES if is_negated else NO)
    assert holds({f"{operator}IfExists": {TEAM: value}}, {}) is YES
    assert holds({f"ForAllValues:{operator}": {"aws:CalledVia": value}}, {}) is YES
    assert holds({f"ForAnyValue:{operator}": {"aws:CalledVia": value}}, {}) is NO
    assert holds({f"ForAnyValue:{operator}": {"aws:CalledVia": value}}, {"aws:CalledVia": []}) is NO
    assert holds({f"ForAnyValue:{operator}IfExists": {"aws:CalledVia": value}}, {}) is MAYBE


@pytest.mark.parametrize("operator", [*OPERATORS, "Null"])
def test_a_key_that_the_caller_chooses(operator: str) -> None:
    value = "true" if operator == "Null" else sample(operator)
    assert holds({operator: {TEAM: value}}, {TEAM: ANY}) is MAYBE
    assert holds({operator: {TEAM: value}}, {}, is_open=True) is MAYBE


@pytest.mark.parametrize(
    ("operator", "asked", "expected"),
    [
        ("ForAllValues:StringEquals", ["a"], YES),
        ("ForAllValues:StringEquals", ["a", "b"], YES),
        ("ForAllValues:StringEquals", ["a", "c"], NO),
        ("ForAnyValue:StringEquals", ["c", "a"], YES),
        ("ForAnyValue:StringEquals", ["c"], NO),
        ("ForAllValues:StringNotEquals", ["c", "d"], YES),
        ("ForAllValues:StringNotEquals", ["c", "a"], NO),
        ("ForAnyValue:StringNotEquals", ["c", "a"], YES),
        ("ForAnyValue:StringNotEquals", ["a", "b"], NO),
    ],
)
def test_several_values(operator: str, asked: list[str], expected: Truth) -> None:
    assert holds({operator: {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": asked}) is expected


@pytest.mark.parametrize(
    ("value", "context", "expected"), [("true", {}, YES), (False, {}, NO), ("false", {TEAM: "x"}, YES)]
)
def test_null(value: Any, context: dict[str, Any], expected: Truth) -> None:
    assert holds({"Null": {TEAM: value}}, context) is expected


def test_variables() -> None:
    same = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    other = {"StringNotEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    defaulted = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team, 'nobody'}"}}
    tagged = {"aws:ResourceTag/team": "fraud"}
    assert holds(same, tagged | {TEAM: "fraud"}) is YES
    assert holds(same, tagged | {TEAM: "f*"}) is NO, "values are taken literally"
    assert holds(same, tagged) is NO
    assert holds(other, tagged) is YES, "what has no value is not equal to anything"
    assert holds(defaulted, {"aws:ResourceTag/team": "nobody"}) is YES
    assert holds(same, tagged | {TEAM: ANY}) is MAYBE
    assert holds(other, tagged | {TEAM: ANY}) is MAYBE
    assert holds(same, tagged | {TEAM: ["fraud", "growth"]}) is NO, "a key of several values is no text"


def test_there_are_no_variables_before_2012() -> None:
    same = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    assert holds(same, {"aws:ResourceTag/team": "fraud", TEAM: "fraud"}, has_variables=False) is NO
    assert holds(same, {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}, has_variables=False) is YES


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"StringMatches": {TEAM: "x"}}, "got the operator StringMatches"),
        ({"ForSomeValues:StringEquals": {TEAM: "x"}}, "allowed before the colon"),
        ({"StringEquals": {"aws:PrincipalTeam": "x"}}, "got the key aws:PrincipalTeam"),
        ({"StringEquals": {"s3:Prefix": "x", "s3:prefixes": "x"}}, "got the key s3:prefixes"),
        ({"NumericLessThan": {TEAM: "many"}}, "allowed a number"),
        ({"DateLessThan": {TEAM: "tomorrow"}}, "allowed a date"),
        ({"Bool": {TEAM: "yes"}}, "allowed true, false"),
        ({"BinaryEquals": {TEAM: "?"}}, "allowed base64"),
        ({"IpAddress": {TEAM: "10.0.0"}}, "allowed an address"),
        ({"Bool": {TEAM: "${aws:SecureTransport}"}}, "allowed true, false"),
        ({"StringEquals": {TEAM: "${aws:nobody}"}}, "got the variable ${aws:nobody}"),
        ({"StringEquals": {TEAM: "${aws:username, nobody}"}}, "allowed ${key}"),
        ({"StringEquals": {TEAM: "${aws:username"}}, "does not end"),
        ({"StringEquals": {TEAM: {"Ref": "Team"}}}, "allowed texts, numbers and truth values"),
        ({"StringEquals": "x"}, "allowed keys with values"),
        ([], "allowed operators"),
    ],
)
def test_what_is_unknown_is_refused(condition: object, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_conditions(condition, has_variables=True)
    assert said in str(refused.value)


def test_several_values_want_a_quantifier() -> None:
    with pytest.raises(PolicyError, match="Write ForAnyValue:StringEquals"):
        holds({"StringEquals": {"aws:TagKeys": "a"}}, {"aws:TagKeys": ["a", "b"]})


def test_a_value_of_the_request_that_is_no_number_is_refused() -> None:
    with pytest.raises(PolicyError, match="the request's value is 'x'; allowed a number"):
        holds({"NumericLessThan": {"aws:MultiFactorAuthAge": "1"}}, {"aws:MultiFactorAuthAge": "x"})
