"""The project of a new model: files from templates, and the recipe that the demo uses too."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from labcycle._templates import render
from labcycle.config.vocabulary import Name
from labcycle.errors import LabcycleError

ENTRY = "team-file-entry.yaml"
RECIPE = "recipe/train.py"
_TEMPLATES = "scaffold/model"
_FILES = ("README.md", "log.py", "test_log.py", "requirements.txt", ENTRY)


def project(name: str) -> dict[str, str]:
    """The content of each file, by its path. Raises `LabcycleError` where no model can have this name."""
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise LabcycleError(
            f"labcycle new model: got {name}; allowed lower-case letters, digits and hyphens, beginning with a letter and not "
            f"ending with a hyphen, as team files have it. Choose another name"
        ) from None
    made = {path: render(f"{_TEMPLATES}/{path}.j2", model=name) for path in _FILES}
    return {**made, RECIPE: files("labcycle.demo").joinpath(RECIPE).read_text(encoding="utf-8")}


def write(contents: dict[str, str], folder: Path) -> None:
    """Into a folder that is made here. Raises `LabcycleError` where it is there already, or cannot be made."""
    try:
        folder.mkdir(parents=True)
        for path, content in contents.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
    except FileExistsError:
        raise LabcycleError(
            f"labcycle new model: {folder} is there already, and nothing is overwritten. Name another folder with --into, or "
            f"move it away"
        ) from None
    except OSError as error:
        raise LabcycleError(
            f"labcycle new model: {error.filename or folder} cannot be written: {error.strerror}"
        ) from None
