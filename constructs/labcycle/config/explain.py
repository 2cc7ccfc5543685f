"""Turn pydantic's errors into problems that say what was got, what is allowed, and how to mend it."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .document import Document
from .problem import Path, Problem
from .ruling import BROKEN_RULE
from .vocabulary import Allowed

_NOT_TEXT = re.compile(r"[-+.0-9eE]*|true|false|null|~")  # text that would be something else without its quotes
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
}


def explain(error: ValidationError, model: type[BaseModel], document: Document) -> list[Problem]:
    """The problems behind `error`, each at its place in the document."""
    return [
        _problem(one, model, document)
        for one in error.errors(include_url=False)
        if one["type"] != BROKEN_RULE
        and _in_document(model, tuple(one["loc"])) not in document.refused
        and not _only_counts_the_good(one)
    ]


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that proposes the known word nearest to `word`; empty if none is near."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {found[0]}?" if found else ""


def _only_counts_the_good(error: ErrorDetails) -> bool:
    """Whether a list counts as too short only since its bad entries, told one by one, are left out."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _problem(error: ErrorDetails, model: type[BaseModel], document: Document) -> Problem:
    place: Path = tuple(error["loc"])
    path = _in_document(model, place)
    kind = error["type"]
    annotation, allowed = _at(model, place)
    context: dict[str, Any] = error.get("ctx", {})
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _no_such_kind(kind, error["input"], path, annotation, document)
    if kind == "extra_forbidden":
        known = _fields(_at(model, place[:-1])[0])
        message = f"got an unknown key; allowed {_listed(known)}. " + (nearest(str(path[-1]), known) or "Remove it")
        return document.origin.problem(path, message, on_key=True)
    if kind == "missing":
        what = allowed.what if allowed else _described(annotation)
        return document.origin.problem(path, f"got nothing; allowed {what}. Add the key {path[-1]}", on_key=True)
    got = _written(error["input"], path, document)
    if kind in ("literal_error", "enum"):
        choices = [str(value) for value in _choices(annotation)]
        mend = nearest(str(error["input"]), choices) or (
            "Write " + choices[0] if len(choices) == 1 else "Choose one of them"
        )
        return document.origin.problem(path, f"got {got}; allowed {_listed(choices)}. {mend}")
    if kind == "unknown_name":
        mend = nearest(str(error["input"]), context["known"]) or f"Choose one of {_listed(context['known'])}"
        return document.origin.problem(
            path, f"got {got}; allowed {allowed.what if allowed else 'a known name'}. {mend}"
        )
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        mend = "Add to the list" if kind == "too_short" else "Remove some"
        return document.origin.problem(path, f"got {context['actual_length']} entries; allowed {bound}. {mend}")
    if kind in _KINDS:
        return document.origin.problem(path, _wrong_type(kind, got, error["input"], annotation, allowed))
    if kind == "string_too_long":
        return document.origin.problem(
            path, f"got {got}; allowed at most {context['max_length']} characters. Shorten it"
        )
    bounds = _bounds(model, place)
    if bounds and kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return document.origin.problem(path, f"got {got}; allowed {bounds}. Choose a number in that range")
    if allowed:
        return document.origin.problem(
            path, f"got {got}; allowed {allowed.what}. {allowed.mend or 'Write it like that'}"
        )
    return document.origin.problem(path, f"got {got}; {error['msg']}. See `labcycle schema` for what is allowed")


def _no_such_kind(kind: str, value: Any, path: Path, annotation: Any, document: Document) -> Problem:
    """Of a mapping, one of whose keys says what it is, and says nothing that is known."""
    key, kinds = _kinds(annotation)
    if kind == "union_tag_not_found":
        message = f"got nothing; allowed {_listed(kinds)}. Add the key {key}"
        return document.origin.problem((*path, key), message, on_key=True)
    mend = nearest(str(value[key]), kinds) or "Choose one of them"
    got = _written(value[key], (*path, key), document)
    return document.origin.problem((*path, key), f"got {got}; allowed {_listed(kinds)}. {mend}")


def _wrong_type(kind: str, got: str, value: object, annotation: Any, allowed: Allowed | None) -> str:
    what = _KINDS[kind]
    if kind in ("model_type", "model_attributes_type", "dict_type") and _fields(annotation):
        what += f" ({_listed(_fields(annotation))})"
    if kind == "string_type" and allowed:
        what = allowed.what
    mend = f"Write {_KINDS[kind]}"
    if kind == "string_type" and isinstance(value, int | float):
        mend = f'Write it in quotes: "{got}"'
    elif kind in ("int_type", "float_type", "bool_type") and isinstance(value, str):
        mend = f"Write {_KINDS[kind]}, without quotes"
    elif kind in ("tuple_type", "list_type"):
        mend = (
            f"Write [{got}]"
            if isinstance(value, str | int | float)
            else "Write a list: one line beginning with - for each entry"
        )
    elif value is None:
        mend = "Write a value, or remove the key"
    if allowed and allowed.mend:
        mend = allowed.mend
    return f"got {got}; allowed {what}. {mend}"


def _written(value: object, path: Path, document: Document) -> str:
    """A value as the file has it, shortened."""
    if path in document.written:
        return _short(document.written[path])
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"a mapping ({_listed([str(key) for key in value])})" if value else "an empty mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"a list of {len(value)}"
    text = str(value)
    if not text.isprintable():
        return _short(ascii(text))
    looks_like_text = isinstance(value, str) and text.strip() == text and not _NOT_TEXT.fullmatch(text)
    return _short(text) if looks_like_text or not isinstance(value, str) else f'"{_short(text)}"'


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _listed(words: Iterable[str]) -> str:
    words = list(words)
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else "".join(words)


def _described(annotation: Any) -> str:
    choices = _choices(annotation)
    if choices:
        return _listed(map(str, choices))
    if fields := _fields(annotation):
        return f"a mapping of keys to values ({_listed(fields)})"
    plain: dict[Any, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return plain.get(_plain(annotation)[0], "a list")


def _choices(annotation: Any) -> tuple[Any, ...]:
    plain, _ = _plain(annotation)
    return get_args(plain) if get_origin(plain) is Literal else ()


def _fields(annotation: Any) -> list[str]:
    plain, _ = _plain(annotation)
    return list(plain.model_fields) if isinstance(plain, type) and issubclass(plain, BaseModel) else []


def _plain(annotation: Any, metadata: tuple[Any, ...] = ()) -> tuple[Any, tuple[Any, ...]]:
    """An annotation without Optional and Annotated, and the metadata that these carried."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _plain(inner, (*metadata, *more))
    if get_origin(annotation) in (Union, types.UnionType):
        some = [part for part in get_args(annotation) if part is not type(None)]
        if len(some) == 1:
            return _plain(some[0], metadata)
    return annotation, metadata


def _kinds(annotation: Any) -> tuple[str, dict[str, Any]]:
    """The key that tells the models of a union apart, and by its values the models, or the unions of models that another key
    tells apart; empty where it is no such union."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return "", {}
    parts = [part for part in get_args(annotation) if _models(part)]
    for key in _models(parts[0])[0].model_fields if parts else ():
        kinds: dict[str, Any] = {}
        for part in parts:
            choices = [_choices(one.model_fields[key].annotation) for one in _models(part) if key in one.model_fields]
            if len(choices) != len(_models(part)) or len(set(choices)) != 1:
                break  # not all have the key, or it tells the models of the part apart
            if not choices[0] or kinds.keys() & {str(choice) for choice in choices[0]}:
                break
            kinds |= {str(choice): part for choice in choices[0]}
        else:
            return key, kinds
    return "", {}


def _models(part: Any) -> list[type[BaseModel]]:
    """The models that a part of a union is, or stands for."""
    plain, _ = _plain(part)
    if get_origin(plain) in (Union, types.UnionType):
        return [model for inner in get_args(plain) for model in _models(inner)]
    return [plain] if isinstance(plain, type) and issubclass(plain, BaseModel) else []


def _in_document(model: type[BaseModel], place: Path) -> Path:
    """The place of an error as the document has it: pydantic also names which model of a union it means."""
    return tuple(
        step
        for i, step in enumerate(place)
        if not (isinstance(step, str) and step in _kinds(_walk(model, place[:i])[0])[1])
    )


def _walk(model: type[BaseModel], path: Path) -> tuple[Any, tuple[Any, ...]]:
    """Annotation and metadata of the field or list entry at `path`; `(None, ())` where there is none."""
    plain: Any = model
    metadata: tuple[Any, ...] = ()
    for step in path:
        if (
            isinstance(step, str)
            and isinstance(plain, type)
            and issubclass(plain, BaseModel)
            and step in plain.model_fields
        ):
            info = plain.model_fields[step]
            plain, metadata = _plain(info.annotation, tuple(info.metadata))
        elif isinstance(step, int) and get_origin(plain) is tuple:
            plain, metadata = _plain(get_args(plain)[0])
        elif isinstance(step, str) and get_origin(plain) is dict:
            plain, metadata = _plain(get_args(plain)[1])
        elif isinstance(step, str) and step in (kinds := _kinds(plain)[1]):
            plain, metadata = _plain(kinds[step])
        else:
            return None, ()
    return plain, metadata


def _at(model: type[BaseModel], path: Path) -> tuple[Any, Allowed | None]:
    annotation, metadata = _walk(model, path)
    return annotation, next((one for one in metadata if isinstance(one, Allowed)), None)


def _bounds(model: type[BaseModel], path: Path) -> str:
    _, metadata = _walk(model, path)
    found: dict[str, Any] = {}
    for one in metadata:
        for bound in ("gt", "ge", "lt", "le"):
            value = getattr(one, bound, None)
            if value is not None:
                found[bound] = value
        for inner in getattr(one, "metadata", ()):  # a FieldInfo inside Annotated
            for bound in ("gt", "ge", "lt", "le"):
                if getattr(inner, bound, None) is not None:
                    found[bound] = getattr(inner, bound)
    low = f"{found['ge']}" if "ge" in found else f"more than {found['gt']}" if "gt" in found else ""
    high = f"{found['le']}" if "le" in found else f"less than {found['lt']}" if "lt" in found else ""
    if low and high:
        return f"{low} to {high}"
    return f"{low} or more" if low else f"{high} or less" if high else ""
