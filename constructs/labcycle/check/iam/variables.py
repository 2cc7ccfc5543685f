"""Policy variables: `${aws:PrincipalTag/team}`, with a default `${aws:username, 'nobody'}`, and `${*}` for a star.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from .patterns import Pattern, Token, Wild, wildcard

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_WITH_DEFAULT = re.compile(r"(?P<key>[^,]+?)\s*(?:,\s*'(?P<default>[^']*)')?\s*")


class Anything(Enum):
    """Type of `ANY`."""

    ANY = "any"


ANY = Anything.ANY
"""A context key that may be absent, or have whatever value the caller likes."""


@dataclass(frozen=True)
class Variable:
    """A reference to a context key, with the text that stands in where the key is absent."""

    key: str
    default: str | None = None


@functools.lru_cache(maxsize=10_000)
def parts(text: str) -> tuple[str | Variable, ...]:
    """The text between variables as it stands, a variable each, and `${*}`, `${?}`, `${$}` as variables without key.

    Raises
    ------
    ValueError
        If a variable is malformed.
    """
    found: list[str | Variable] = []
    end = 0
    for variable in _VARIABLE.finditer(text):
        found += [text[end : variable.start()]] if variable.start() > end else []
        end = variable.end()
        inner = variable.group(1)
        if inner in ("*", "?", "$"):
            found.append(Variable("", inner))
            continue
        form = _WITH_DEFAULT.fullmatch(inner)
        if form is None:
            raise ValueError(f"got the variable {variable.group()}; allowed ${{key}} and ${{key, 'default'}}")
        found.append(Variable(form["key"].strip(), form["default"]))
    if "${" in text[end:]:
        raise ValueError(f"got {text!r}, where a variable does not end; allowed ${{key}}")
    return (*found, text[end:]) if end < len(text) else tuple(found)


class Context:
    """What a request says: values by condition key, whose names do not tell upper from lower case.

    Parameters
    ----------
    values
        A text, several, or `ANY`. No value at all is the same as no key.
    is_open
        True: every key that is not given is `ANY`. False: it is absent.
    """

    def __init__(self, values: Mapping[str, str | Sequence[str] | Anything], *, is_open: bool) -> None:
        self.is_open = is_open
        self._values: dict[str, tuple[str, ...] | Anything] = {
            key.lower(): value if isinstance(value, Anything) else (value,) if isinstance(value, str) else tuple(value)
            for key, value in values.items()
        }

    def __getitem__(self, key: str) -> tuple[str, ...] | Anything:
        return self._values.get(key.lower(), ANY if self.is_open else ())


def expand(text: str, context: Context, *, wildcards: bool) -> Pattern | None:
    """The text with its variables replaced; None where one has no value, so that nothing matches.

    A key of several values has none that could stand in a text. Values are taken literally.

    Parameters
    ----------
    wildcards
        Whether `*` and `?` of the text are wildcards.
    """
    tokens: list[Token] = []
    is_known = True
    for part in parts(text):
        if isinstance(part, str):
            tokens += wildcard(part).tokens if wildcards else part
            continue
        values = context[part.key] if part.key else ()
        if values is ANY:
            tokens.append(Wild.MANY)
            is_known = False
        elif len(values) == 1:
            tokens += values[0]
        elif not values and part.default is not None:
            tokens += part.default
        else:
            return None
    return Pattern(tuple(tokens), is_known)
