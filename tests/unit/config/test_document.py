"""The YAML reader: plain data with places, nothing built from tags, no surprise between YAML 1.1 and 1.2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labcycle.config import ConfigError
from labcycle.config.document import DEEPEST_NESTING, LARGEST_FILE_BYTES, read


def document(folder: Path, text: str | bytes) -> Any:
    file = folder / "file.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(file)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        document(folder, text)
    (problem,) = caught.value.problems
    return str(problem).removeprefix(str(folder / "file.yaml"))


def test_places_are_those_of_keys_and_values(tmp_path: Path) -> None:
    read_document = document(tmp_path, "a:\n  b: [x, {c: 1}]\n")
    assert read_document.data == {"a": {"b": ["x", {"c": 1}]}}
    places = {path: (place.line, place.column) for path, place in read_document.origin.values.items()}
    assert places[("a", "b", 0)] == (2, 7)
    assert places[("a", "b", 1, "c")] == (2, 14)
    keys = {path: (place.line, place.column) for path, place in read_document.origin.keys.items()}
    assert keys == {("a",): (1, 1), ("a", "b"): (2, 3), ("a", "b", 1, "c"): (2, 11)}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("none", "none"),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ('"12"', "12"),
        ("2026-01-31", "2026-01-31"),
        ("=", None),
        ("!!str 12a", "12a"),
    ],
)
def test_scalars_are_what_they_look_like(tmp_path: Path, written: str, value: object) -> None:
    found = document(tmp_path, f"a: {written}\n")
    if written == "=":  # a tag of its own in YAML 1.1
        assert found.problems
        return
    assert found.data == {"a": value} and type(found.data["a"]) is type(value)
    assert not found.problems


def test_the_key_on_is_text(tmp_path: Path) -> None:
    assert document(tmp_path, "on: [drift]\n").data == {"on": ["drift"]}


@pytest.mark.parametrize(
    "number", ["0777", "012345678901", "0x1F", "0b11", "1_000", "1:30", ".inf", "-.INF", ".nan", "+012"]
)
def test_a_number_that_readers_take_differently_is_refused(tmp_path: Path, number: str) -> None:
    (problem,) = document(tmp_path, f"a: {number}\n").problems
    assert (problem.path, problem.line, problem.column) == ("a", 1, 4)
    assert f"got {number}, a number that YAML readers take differently" in problem.message


def test_a_second_key_is_refused_and_names_the_line_of_the_first(tmp_path: Path) -> None:
    (problem,) = document(tmp_path, "a: 1\nb: 2\na: 3\n").problems
    assert (problem.path, problem.line) == ("a", 3)
    assert "after line 1" in problem.message


def test_aliases_are_refused_each_at_its_place(tmp_path: Path) -> None:
    first, second = document(tmp_path, "a: &x [1]\nb: *x\nc: *x\n").problems
    assert (first.line, first.column, second.line) == (2, 4, 3)
    assert "got the alias *x" in first.message


def test_an_alias_bomb_is_refused_without_growing(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    found = document(tmp_path, "\n".join(lines))
    assert len(found.problems) == 29 * 9
    assert len(json.dumps(found.data)) < 10_000


def test_a_recursive_alias_is_refused(tmp_path: Path) -> None:
    (problem,) = document(tmp_path, "a: &x [*x]\n").problems
    assert "alias" in problem.message


def test_a_merge_key_is_refused(tmp_path: Path) -> None:
    (problem,) = document(tmp_path, "a:\n  <<: {b: 1}\n").problems
    assert (problem.line, problem.column) == (2, 3)
    assert "got a merge key" in problem.message


@pytest.mark.parametrize(
    "tagged", ["!!python/object/apply:os.system ['x']", "!secret x", "!!binary aGk=", "!!set {x}", "!!int '1'"]
)
def test_tags_are_refused_and_build_nothing(tmp_path: Path, tagged: str) -> None:
    (problem,) = document(tmp_path, f"a: {tagged}\n").problems
    assert "tag" in problem.message and problem.line == 1


def test_a_mapping_as_a_key_is_refused(tmp_path: Path) -> None:
    (problem,) = document(tmp_path, "? [a, b]\n: 1\n").problems
    assert "got a list or mapping as a key" in problem.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1:1: got an empty file"),
        ("# only a comment\n", ":1:1: got an empty file"),
        ("a: [1\nb: 2\n", ":2:2: got while parsing a flow sequence"),
        ("a: b: c\n", ":1:5: got mapping values are not allowed here"),
        (
            "a:\n\tb: 1\n",
            ":2:1: got while scanning for the next token, found character '\\t' that cannot start any token; allowed YAML. Indent with spaces",
        ),
        ("a: 1\n---\nb: 2\n", ":2:1: got a second document"),
        ("a: 1\nb: \x07\n", ":2:4: got the character '\\x07'"),
        ("a: *nowhere\n", None),
        (b"a: 1\nb: \xff\n", ":2:4: got the byte 0xff, which is not UTF-8"),
        ("[" * (DEEPEST_NESTING + 1), f"got more than {DEEPEST_NESTING} levels"),
        ("[" * 100_000, f"got more than {DEEPEST_NESTING} levels"),
        ("#" * (LARGEST_FILE_BYTES + 1), f":1:1: got a file of more than {LARGEST_FILE_BYTES} bytes"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, text: str | bytes, told: str | None) -> None:
    if told is None:
        assert document(tmp_path, text).problems
        return
    said = refusal(tmp_path, text)
    assert told in said
    assert "\n" not in said


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read"):
        read(tmp_path)


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    assert document(tmp_path, b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


# A key of YAML has at most 1,024 characters, escapes included.
# PyYAML reads the two escapes that JSON needs beyond the basic plane as two characters.
_TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=100)
_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.dictionaries(_TEXT, _PLAIN, min_size=1, max_size=4).filter(lambda d: "<<" not in repr(d)))
def test_what_a_program_writes_as_json_is_read_as_the_same(tmp_path: Path, data: dict[str, Any]) -> None:
    found = document(tmp_path, json.dumps(data, ensure_ascii=True))
    assert found.data == data
    assert not found.problems


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(text=st.text(alphabet=st.sampled_from("ab:-{}[],&*!|>'\"# \n\t<?~01.%@`"), max_size=60))
def test_any_text_is_read_or_refused_with_a_place(tmp_path: Path, text: str) -> None:
    try:
        found = document(tmp_path, text)
    except ConfigError as error:
        assert all(problem.line > 0 for problem in error.problems)
        return
    assert found.problems or yaml.compose(text, Loader=yaml.SafeLoader) is not None
    assert all(problem.line > 0 and problem.column > 0 for problem in found.problems)


def test_what_is_told_stays_in_one_line_whatever_the_file_holds(tmp_path: Path) -> None:
    (problem,) = document(tmp_path, '"a\\nb\\ud800": 0x1\n').problems
    assert "\n" not in str(problem)
    str(problem).encode()
