"""Read the files of requirements that a team file names, and hold them against what the models ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from .document import Document
from .locks import FLAVOURS, LARGEST_LOCK_BYTES, PINS_CHARACTERS, Lock, lacking, parse
from .problem import Path, Problem


def named_locks(document: Document, file: FilePath) -> tuple[dict[str, str], list[Problem]]:
    """The texts of the files by the names that they have in the team file, and what is wrong with them."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for place, model, name in _named(document.data):
        where = file.parent / name
        try:
            text = _text(where)
        except _Unreadable as error:
            problems.append(document.origin.problem((*place, "requirements"), f"got {name}, and {error}"))
            continue
        texts[name] = text
        lock, wrong = parse(text)
        problems += [Problem(said, "", str(where), line, 1) for line, said in wrong]
        if not wrong:
            said = _broken(model, name, lock)
            problems += [document.origin.problem((*place, "requirements"), one) for one in said]
    return texts, problems


def _named(data: Any) -> Iterator[tuple[Path, Mapping[str, Any], str]]:
    models = data.get("models") if isinstance(data, Mapping) else None
    for i, model in enumerate(models if isinstance(models, Sequence) and not isinstance(models, str) else ()):
        runtime = model.get("runtime") if isinstance(model, Mapping) else None
        name = runtime.get("requirements") if isinstance(runtime, Mapping) else None
        # What is no such name has been told, and is not looked for.
        if isinstance(name, str) and name.endswith(".txt") and not name.startswith("/") and name.isprintable():
            yield ("models", i, "runtime"), model, name


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


def _broken(model: Mapping[str, Any], name: str, lock: Lock) -> Iterator[str]:
    flavour = model["runtime"].get("flavour")
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
    characters = sum(len(package) + len(version) + 8 for package, version in lock.pins.items())
    if characters > PINS_CHARACTERS:
        yield (
            f"got {name}, whose names and versions take {characters:,} characters; allowed {PINS_CHARACTERS:,}, since a "
            "function's environment holds no more. Remove what predictions do not need"
        )
