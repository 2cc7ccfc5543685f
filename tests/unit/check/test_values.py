"""Values are read whatever stands there."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle.check.values import listed, mapping, mappings, texts


@pytest.mark.parametrize(
    ("value", "expected"), [(None, []), ("a", ["a"]), ([], []), (["a", None], ["a", None]), ({"a": 1}, [{"a": 1}])]
)
def test_one_value_is_a_list_of_one(value: Any, expected: list[Any]) -> None:
    assert listed(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ()), ("a", ("a",)), (False, ("false",)), ([True, 1, 0.5, "b", None, {}, []], ("true", "1", "0.5", "b"))],
)
def test_texts_are_written_as_in_json(value: Any, expected: tuple[str, ...]) -> None:
    assert texts(value) == expected


@pytest.mark.parametrize("value", [None, "a", 1, [], [{"a": 1}]])
def test_what_is_no_object_is_an_empty_one(value: Any) -> None:
    assert mapping(value) == {}
    assert mapping({"a": value}) == {"a": value}


@pytest.mark.parametrize("value", [None, "a", {"a": 1}, [None, "a", []]])
def test_objects_are_those_of_a_list(value: Any) -> None:
    assert mappings(value) == []
    assert mappings([value, {"b": 2}])[-1] == {"b": 2}
