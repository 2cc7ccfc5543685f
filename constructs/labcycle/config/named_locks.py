"""Read the files of requirements that a team file names, and hold them against what the models ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from .document import Document
from .locks import BOTH_PINS_CHARACTERS, FLAVOURS, LARGEST_LOCK_BYTES, PINS_CHARACTERS, Lock, lacking, parse
from .problem import Path, Problem


def named_locks(document: Document, file: FilePath) -> tuple[dict[str, str], list[Problem]]:
    """The texts of the files by the names that they have in the team file, and what is wrong with them."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for place, model in _models(document.data):
        locks: list[Lock] = []
        for key, runtime in _runtimes(model):
            named, name = (*place, *key, "requirements"), runtime["requirements"]
            where = file.parent / name
            try:
                text = texts[name] = _text(where)
            except _Unreadable as error:
                problems.append(document.origin.problem(named, f"got {name}, and {error}"))
                continue
            lock, wrong = parse(text)
            told = [Problem(said, "", str(where), line, 1) for line, said in wrong]
            problems += [one for one in told if one not in problems]
            if not wrong:
                locks.append(lock)
                problems += [document.origin.problem(named, one) for one in _broken(model, runtime, lock)]
        if len(locks) == 2:
            problems += [document.origin.problem((*place, "runtime", "next"), one) for one in _together(model, *locks)]
    return texts, problems


def _models(data: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    models = data.get("models") if isinstance(data, Mapping) else None
    for i, model in enumerate(models if isinstance(models, Sequence) and not isinstance(models, str) else ()):
        if isinstance(model, Mapping):
            yield ("models", i), model


def _runtimes(model: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The one of a model, and the next."""
    runtime = model.get("runtime")
    beside = runtime.get("next") if isinstance(runtime, Mapping) else None
    both: tuple[tuple[Path, Any], ...] = ((("runtime",), runtime), (("runtime", "next"), beside))
    for key, one in both:
        name = one.get("requirements") if isinstance(one, Mapping) else None
        # What is no such name has been told, and is not looked for.
        if isinstance(name, str) and name.endswith(".txt") and not name.startswith("/") and name.isprintable():
            yield key, one


class _Unreadable(Exception):
    pass


def _text(file: FilePath) -> str:
    try:
        if file.stat().st_size > LARGEST_LOCK_BYTES:
            raise _Unreadable(f"{file} has more than {LARGEST_LOCK_BYTES} bytes. Name the right file")
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _Unreadable(
            f"there is no {file}; allowed a file below or beside the team file's folder. Write it with exact pins, as "
            "`pip freeze` or `uv pip compile` does, or mend its name"
        ) from None
    except (OSError, ValueError) as error:
        raise _Unreadable(
            f"{file} cannot be read as UTF-8 text ({type(error).__name__}). Name the right file"
        ) from None


def _broken(model: Mapping[str, Any], runtime: Mapping[str, Any], lock: Lock) -> Iterator[str]:
    name, flavour = runtime["requirements"], runtime.get("flavour")
    if flavour in FLAVOURS and (missing := lacking(flavour, lock)):
        yield (
            f"got {name}, which does not pin {', '.join(missing)}; allowed all that the flavour {flavour} loads, since nothing else "
            f"is installed. Add {', '.join(f'{one}==VERSION' for one in missing)}, with the versions that models are trained with"
        )
    deliver = model.get("deliver")
    forms = deliver if isinstance(deliver, Sequence) and not isinstance(deliver, str) else ()
    if not lock.hashed and any(
        isinstance(one, Mapping) and one.get("runtime") in ("fargate", "sagemaker") for one in forms
    ):
        yield (
            f"got {name}, whose pins have no hashes, for a model in a container; allowed pins with hashes, since the image is built "
            "in the account. Write the file with `uv pip compile --generate-hashes`, or write runtime: lambda"
        )
    if (characters := _characters(lock)) > PINS_CHARACTERS:
        yield (
            f"got {name}, whose names and versions take {characters:,} characters; allowed {PINS_CHARACTERS:,}, since a "
            "function's environment holds no more. Remove what predictions do not need"
        )


def _together(model: Mapping[str, Any], lock: Lock, beside: Lock) -> Iterator[str]:
    """What is wrong with two runtimes that are well each by itself."""
    first, second = model["runtime"], model["runtime"]["next"]
    if (first.get("flavour"), lock.pins) == (second.get("flavour"), beside.pins):
        yield (
            f"got {second['requirements']} with the flavour and the packages that the first runtime has; allowed another flavour, or "
            "other packages. Remove next"
        )
    if (characters := _characters(lock) + _characters(beside)) > BOTH_PINS_CHARACTERS:
        yield (
            f"got {first['requirements']} and {second['requirements']}, whose names and versions take {characters:,} characters; "
            f"allowed {BOTH_PINS_CHARACTERS:,} for both, since a function's environment holds no more. Remove what predictions do "
            "not need, or promote a version of the next runtime and remove the first"
        )


def _characters(lock: Lock) -> int:
    return sum(len(package) + len(version) + 8 for package, version in lock.pins.items())
