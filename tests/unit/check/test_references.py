"""What values refer to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle.check.references import exports, imports, referenced
from labcycle.check.template import Template


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "A"}, {"A"}),
        ({"Fn::GetAtt": ["A", "Arn"]}, {"A"}),
        ({"Fn::GetAtt": "A.Arn"}, {"A"}),
        ({"Fn::Join": ["", ["x", {"Ref": "A"}, {"Ref": "B"}]]}, {"A", "B"}),
        ({"Fn::Sub": "${A}-${B.Arn}-${!C}"}, {"A", "B"}),
        ({"Fn::Sub": ["${A}-${B}", {"B": {"Ref": "C"}}]}, {"A", "C"}),
        ({"a": [{"b": {"Ref": "A"}}]}, {"A"}),
        ("A", set()),
        ({"Fn::GetAtt": []}, set()),
        ({"Fn::Sub": []}, set()),
        ({"Fn::Sub": ["${A}", None]}, {"A"}),
        ({"Ref": ["A"]}, set()),
    ],
)
def test_referenced(value: Any, expected: set[str]) -> None:
    assert referenced(value) == expected


def test_imports_with_their_places() -> None:
    value = {"a": [{"Fn::ImportValue": "x"}, {"b": {"Fn::ImportValue": {"Fn::Sub": "${A}"}}}]}
    assert list(imports(value, ("top",))) == [(("top", "a", "0"), "x"), (("top", "a", "1", "b"), {"Fn::Sub": "${A}"})]


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"A": {"Value": 1, "Export": {"Name": "x"}}, "B": {"Value": 2}, "C": "?"}, [("x", 1)]),
        ([], []),
        (None, []),
    ],
)
def test_exports(outputs: Any, expected: list[Any]) -> None:
    assert list(exports(Template("t", json.dumps({"Resources": {}, "Outputs": outputs})))) == expected
