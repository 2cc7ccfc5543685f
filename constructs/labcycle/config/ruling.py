"""Let a model keep the rules that its file keeps."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from .problem import dotted
from .rules import Rule

BROKEN_RULE = "broken_rule"  # type of the error; the loader finds the same by itself, with its place

_Model = TypeVar("_Model", bound=BaseModel)


def obey(model: _Model, rule: Rule) -> _Model:
    """`model`, if it keeps `rule`. As in a file, what was not given is absent.

    Raises
    ------
    PydanticCustomError
        Naming all that is broken; pydantic makes a ValidationError of it.
    """
    broken = [
        ": ".join(filter(None, (dotted(one.path), one.message))) for one in rule(model.model_dump(exclude_unset=True))
    ]
    if broken:
        raise PydanticCustomError(BROKEN_RULE, "{problems}", {"problems": "; ".join(broken)})
    return model
