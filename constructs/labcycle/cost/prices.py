"""Prices of a region, with figures of one's own in their place, and what was taken of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labcycle.config import ConfigError, Problem
from labcycle.config.document import Document, read
from labcycle.config.explain import nearest
from labcycle.config.price_list import AS_OF, PRICES, REGION, Price, price_list

_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class NoPrice(Exception):
    """A resource whose price cannot be told, and why."""


class Prices:
    """What is charged in a region.

    Parameters
    ----------
    region
        Of AWS.
    own
        Figures that take the place of those of the list, by their keys.
    """

    def __init__(self, region: str, own: Mapping[str, float] | None = None) -> None:
        self.region = region
        self._own = dict(own or {})
        self._list = price_list(region)
        self._taken: dict[str, Price | None] = {}

    def usd(self, key: str) -> float:
        """The figure of a key.

        Raises
        ------
        NoPrice
            If the list has none of that type.
        """
        if key in self._own:
            self._taken[key] = None
            return self._own[key]
        if key not in self._list.prices:
            raise NoPrice(f"no price of {key} is known; name it in a file of your own: --prices")
        self._taken[key] = self._list.prices[key]
        return self._list.usd(key)

    @property
    def own(self) -> list[str]:
        """Keys that were taken from one's own figures."""
        return sorted(key for key, price in self._taken.items() if price is None)

    @property
    def stand_ins(self) -> list[str]:
        """Keys whose figure is that of us-east-1, since the region's is not known."""
        return sorted(key for key, price in self._taken.items() if price and price.region not in ("", self.region))

    def to_doc(self) -> dict[str, Any]:
        return {
            "as_of": AS_OF,
            "region": self.region,
            "stand_in_region": REGION,
            "taken": {
                key: {
                    "usd": self.usd(key),
                    "region": price.region or "all" if price else "own",
                    "unit": price.unit if price else "",
                    "source": price.source if price else "",
                }
                for key, price in sorted(self._taken.items())
            },
        }


def own_prices(file: Path) -> dict[str, float]:
    """The figures in a file: keys of the list, each with its number; of a list by type, the types with theirs.

    Raises
    ------
    ConfigError
        With every key that there is not, and every value that is no price.
    """
    document = read(file)
    if not isinstance(document.data, dict):
        raise ConfigError([Problem(f"got no mapping; allowed keys with numbers: {_known()}", "", str(file), 1, 1)])
    problems = list(document.problems)
    found: dict[str, float] = {}
    for path, value, message in _checked(document):
        if path in document.refused:
            continue  # told already
        if message:
            problems.append(document.origin.problem(path, message, on_key=message.startswith("got an unknown")))
        else:
            found[".".join(path)] = value
    if problems:
        raise ConfigError(problems)
    return found


def _checked(document: Document) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Path and value of every figure, with what is wrong with it; empty where nothing is."""
    single = {key for key in PRICES.prices if "." not in key}
    for key, value in document.data.items():
        if key in PRICES.by_type:
            if not isinstance(value, dict):
                allowed = ", ".join([*PRICES.of_type(key)][:3])
                yield (key,), value, f"got {value!r}; allowed a mapping of types to numbers, such as {allowed}"
                continue
            for kind, figure in value.items():
                message = _wrong(figure) if _TYPE.fullmatch(kind) else "got an unknown type; write it as AWS does"
                yield (key, kind), figure, message
        elif key in single:
            yield (key,), value, _wrong(value)
        else:
            mend = nearest(key, [*single, *PRICES.by_type]) or "Remove it"
            yield (key,), value, f"got an unknown key; allowed {_known()}. {mend}"


def _wrong(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return f"got {value!r}; allowed a number of US dollars, 0 or more"
    return ""


def _known() -> str:
    return ", ".join(sorted({key for key in PRICES.prices if "." not in key} | set(PRICES.by_type)))
