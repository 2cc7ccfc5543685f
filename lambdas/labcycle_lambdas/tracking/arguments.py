"""The parameters of a request, read with the leniency and the error texts of MLflow's own server.

int64 are JSON numbers or numeric strings, doubles may be the strings NaN, Infinity, -Infinity; unknown fields are
ignored; camelCase names are understood. Unlike that server a number that does not fit its field is refused (400), and
not read as 0 (mlflow/server/handlers.py, `_get_request_message`, and protobuf's json_format).
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from labcycle_lambdas.mlflow_error import MlflowError, invalid, is_text

_SEE = "See the API docs for more information about request parameters."
_INTEGER = re.compile(r"\s*-?[0-9]{1,30}(\.0*)?\s*")
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LARGEST = sys.float_info.max
_ALIASES = {"run_id": "run_uuid"}


class Arguments:
    """Typed access to named values. `path` is the place of a nested object, for error texts: `metrics[0].`."""

    __slots__ = ("_is_query", "_path", "values")

    def __init__(self, values: Mapping[str, Any], path: str = "", *, is_query: bool = False) -> None:
        self.values = values
        self._path = path
        self._is_query = is_query

    @classmethod
    def from_query(cls, query: Iterable[tuple[str, str]]) -> Arguments:
        """A repeated parameter is a list."""
        values: dict[str, Any] = {}
        for name, value in query:
            values[name] = [*_list(values[name]), value] if name in values else value
        return cls(values, is_query=True)

    def has(self, name: str) -> bool:
        return self._get(name) is not None

    def text(self, name: str, default: str = "", *, longest: int | None = None) -> str:
        """A string; `longest` in characters. Raises `MlflowError` (400)."""
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong_type(name, value)
        if not is_text(value):
            raise invalid(f"Invalid value for parameter '{self._path}{name}' supplied: it is not valid Unicode text.")
        if longest is not None and len(value) > longest:
            raise invalid(f"'{self._path}{name}' exceeds the maximum length of {longest} characters")
        return value

    def required_text(self, name: str, *, longest: int | None = None) -> str:
        """A string that is not empty, under its own name: MLflow's server looks for no other one there."""
        value = self.text(name, longest=longest)
        if not value or (name not in self.values and _ALIASES.get(name) not in self.values):
            raise self.missing(name)
        return value

    def integer(self, name: str, default: int = 0, *, bits: int = 64) -> int:
        value = self._get(name)
        if value is None:
            return default
        number: int
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            number = int(value.partition(".")[0])
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif isinstance(value, float) and value.is_integer():
            number = int(value)
        else:
            raise self.wrong_type(name, value)
        if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
            raise invalid(
                f"Invalid value {str(number)[:40]} for parameter '{self._path}{name}' supplied: it needs more than {bits} bits."
            )
        return number

    def required_integer(self, name: str) -> int:
        if not self.has(name):
            raise self.missing(name)
        return self.integer(name)

    def required_double(self, name: str) -> float:
        value = self._get(name)
        if value is None or value == "":
            raise self.missing(name)
        try:
            if isinstance(value, str):
                return _finite(_SPECIAL[value] if value in _SPECIAL else _double(value))
            if isinstance(value, int | float):  # true is 1.0 there, too
                return _finite(float(value))
        except (ValueError, OverflowError):
            pass
        raise self.wrong_type(name, value)

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self._get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise self.wrong_type(name, value)

    def choice(self, name: str, names: Sequence[str], default: str) -> str:
        """One of an enumeration, by name or by number from 1."""
        value = self._get(name)
        if value is None:
            return default
        if isinstance(value, str) and not value.isdigit():
            return value if value in names else default  # an unknown name is ignored there
        number = self.integer(name)
        if not 1 <= number <= len(names):
            raise invalid(
                f"Invalid value {number} for parameter '{self._path}{name}' supplied: allowed are {', '.join(names)}."
            )
        return names[number - 1]

    def texts(self, name: str) -> list[str]:
        """A list of strings; in a query, one alone is a list of one."""
        values = self._listed(name)
        for value in values:
            if not isinstance(value, str) or not is_text(value):
                raise self.wrong_type(name, value)
        return values

    def ids(self, name: str) -> list[str]:
        """A list of identifiers, numbers among them."""
        values = self._listed(name)
        return Arguments(
            {name: [str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in values]}
        ).texts(name)

    def objects(self, name: str) -> list[Arguments]:
        """A list of objects."""
        value = self._get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong_type(name, value)
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.wrong_type(f"{name}[{index}]", item)
        return [Arguments(item, f"{self._path}{name}[{index}].") for index, item in enumerate(value)]

    def inner(self, name: str) -> Arguments:
        """A nested object. Raises `MlflowError` where it is missing."""
        value = self._get(name)
        if value is None:
            raise self.missing(name)
        if not isinstance(value, dict):
            raise self.wrong_type(name, value)
        return Arguments(value, f"{self._path}{name}.")

    def missing(self, name: str) -> MlflowError:
        return invalid(f"Missing value for required parameter '{self._path}{name}'. {_SEE}")

    def wrong_type(self, name: str, value: object) -> MlflowError:
        shown = repr(value)[:100]
        return invalid(
            f"Invalid value {shown} for parameter '{self._path}{name}' supplied:  Hint: Value was of type "
            f"'{type(value).__name__}'. {_SEE}"
        )

    def _listed(self, name: str) -> list[Any]:
        value = self._get(name)
        if value is not None and not self._is_query and not isinstance(value, list):
            raise self.wrong_type(name, value)
        return _list(value)

    def _get(self, name: str) -> Any:
        found = self.values.get(name)
        camel = _camel(name)
        if camel != name and not self._is_query and (other := self.values.get(camel)) is not None:  # none in a query
            if found is not None:
                raise invalid(f"Request specifies both '{name}' and '{camel}'; provide only one of them.")
            return other
        if found is None and name in _ALIASES:
            found = self.values.get(_ALIASES[name])
        return found


def _list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _finite(value: float) -> float:
    """Infinities become the largest numbers there are; NaN stays."""
    return max(-_LARGEST, min(_LARGEST, value)) if math.isinf(value) else value


@cache
def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _double(text: str) -> float:
    if not re.fullmatch(r"-?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?|-?[0-9]+\.", text):
        raise ValueError(text)
    return float(text)
