"""Read a YAML file with the place of every key and value, taking nothing but plain data.

Decided on purpose, so that what a line says is what it means, here and in every editor:

- Aliases (`*name`) and merge keys (`<<`) are refused: their values stand elsewhere, and they can grow without bound.
- A key that comes twice is refused; most readers silently take the last.
- Only `true` and `false` are booleans: `on`, `off`, `yes` and `no` are text, as in YAML 1.2. Keys are always text.
- Numbers that readers of YAML 1.1 and 1.2 take differently (leading zeros, `0x`, `_`, `1:30`) are refused.
- Tags other than the standard ones are refused. Nothing is ever constructed from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from .origin import Origin, Place
from .problem import ConfigError, Path, Problem

LARGEST_FILE_BYTES = 1_000_000
DEEPEST_NESTING = 32

_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FRACTION = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|(0|[1-9][0-9]*)(?=[eE]))([eE][-+]?[0-9]+)?")
_DIGITS = re.compile(r"[-+]?[0-9]+")
_STANDARD = "tag:yaml.org,2002:"
_REFUSED = "labcycle:refused"  # tag of a node whose problem is told already


@dataclass(frozen=True)
class Document:
    """The plain data of a file, where it stands, and what is wrong with it already."""

    data: Any
    origin: Origin
    problems: tuple[Problem, ...]
    written: dict[Path, str]
    """How scalars are written in the file, where that is not how Python prints them."""
    refused: frozenset[Path]
    """Paths whose value could not be taken; the data has `None` there."""


def read(file: FilePath) -> Document:
    """The document in `file`.

    Raises
    ------
    ConfigError
        If there is nothing to go on with: the file cannot be read, is empty or not YAML.
    """
    text = _text(file)
    try:
        loader = _Loader(text, str(file))
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ConfigError([_syntax(error, text, str(file))]) from None
    try:
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ConfigError([*loader.problems, _syntax(error, text, str(file))]) from None
    finally:
        loader.dispose()
    if node is None:
        raise ConfigError(
            [
                Problem(
                    "got an empty file; allowed a mapping of keys to values. Start from an example in infra/",
                    "",
                    str(file),
                    1,
                    1,
                )
            ]
        )
    reading = _Reading(str(file), loader.problems)
    data = reading.value(node, ())
    origin = Origin(str(file), reading.keys, reading.values)
    return Document(data, origin, tuple(reading.problems), reading.written, frozenset(reading.refused))


def _text(file: FilePath) -> str:
    name = str(file)
    try:
        if file.stat().st_size > LARGEST_FILE_BYTES:
            raise ConfigError(
                [Problem(f"got a file of more than {LARGEST_FILE_BYTES} bytes. Name the right file", "", name, 1, 1)]
            )
        content = file.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            [Problem("there is no such file. Check the path, and the folder you are in", "", name)]
        ) from None
    except OSError as error:
        raise ConfigError(
            [Problem(f"the file cannot be read: {error.strerror}. Name a file that you may read", "", name)]
        ) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        message = (
            f"got the byte 0x{content[error.start]:02x}, which is not UTF-8; allowed UTF-8 text. Save the file as UTF-8"
        )
        raise ConfigError([Problem(message, "", name, line, column)]) from None


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        mend = "Check indentation, colons, brackets and quotes at this line and the one before"
        if "\\t" in said:
            mend = "Indent with spaces, not tabs"
        if error.context == "expected a single document in the stream":
            said, mend = "a second document", "Keep one document a file: remove the line ---"
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Problem(f"got {said}; allowed YAML. {mend}", "", file, line, column)
    position = getattr(error, "position", 0)
    before = text[:position]
    character = text[position : position + 1]
    line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
    return Problem(f"got the character {character!a}; allowed printable text. Remove it", "", file, line, column)


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses aliases and deep nesting while it does."""

    def __init__(self, text: str, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._depth = 0
        super().__init__(text)

    def get_single_node(self) -> yaml.Node | None:
        return super().get_single_node()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            start: Any = event.start_mark
            message = f"got the alias *{event.anchor}; allowed plain values. Write the value out here"
            self.problems.append(Problem(message, "", self._file, start.line + 1, start.column + 1))
            return yaml.ScalarNode(_REFUSED, "", start, start)
        if self._depth >= DEEPEST_NESTING:
            raise yaml.MarkedYAMLError(None, None, f"more than {DEEPEST_NESTING} levels", event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


@dataclass
class _Reading:
    file: str
    problems: list[Problem]
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    refused: set[Path] = field(default_factory=set)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.values[path] = _place(node)
        if node.tag == _REFUSED:
            self.refused.add(path)
            return None
        if isinstance(node, yaml.MappingNode) and node.tag == _STANDARD + "map":
            return dict(self._pairs(node, path))
        if isinstance(node, yaml.SequenceNode) and node.tag == _STANDARD + "seq":
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        return self._refuse(node, path, f"got the tag {node.tag}; allowed plain values. Remove the tag")

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        first: dict[str, Place] = {}
        for key_node, value_node in node.value:
            place = _place(key_node)
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _REFUSED:
                if key_node.tag != _REFUSED:
                    self._refuse(key_node, path, "got a list or mapping as a key; allowed text. Write a plain key")
                continue
            key = str(key_node.value)
            below = (*path, key)
            if key == "<<":
                self._refuse(key_node, below, "got a merge key; allowed plain keys. Write the keys out here")
                continue
            if key in first:
                earlier = first[key]
                message = f"got the key a second time, after line {earlier.line}; allowed each key once. Remove one of the two"
                self._refuse(key_node, below, message)
                continue
            first[key] = place
            self.keys[below] = place
            yield key, self.value(value_node, below)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = str(node.value)
        tag = node.tag.removeprefix(_STANDARD)
        if node.style is not None:  # quoted or a block: text, unless a tag says otherwise
            if tag != "str":
                return self._refuse(node, path, f"got the tag {node.tag}; allowed plain values. Remove the tag")
            return text
        if tag == "null":
            return None
        if tag == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if tag in ("str", "int", "float", "bool", "timestamp"):
            if _NUMBER.fullmatch(text):
                return self._as_written(int(text) if len(text) <= 40 else float(text), path, text)
            if _FRACTION.fullmatch(text):
                return self._as_written(float(text), path, text)
            if tag in ("int", "float") or _DIGITS.fullmatch(text):
                return self._ambiguous(node, path, text)
            return text
        return self._refuse(node, path, f"got the tag {node.tag}; allowed plain values. Remove the tag")

    def _as_written(self, value: float, path: Path, text: str) -> float:
        self.written[path] = text
        return value

    def _ambiguous(self, node: yaml.Node, path: Path, text: str) -> None:
        message = f'got {text}, a number that YAML readers take differently; allowed decimal numbers, or text in quotes. Write "{text}"'
        self._refuse(
            node,
            path,
            message + " if it is text"
            if _DIGITS.fullmatch(text)
            else message + " if it is text, or the plain decimal number",
        )

    def _refuse(self, node: yaml.Node, path: Path, message: str) -> None:
        self.refused.add(path)
        place = _place(node)
        self.problems.append(Origin(self.file, {}, {path: place}).problem(path, message))


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)
