"""The chances of the classes among what a classifier answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from labcycle_lambdas.profiles.bins import category, number

Answers = Sequence[Any]
SMALLEST = 1e-15  # where its logarithm is taken, a chance is kept this far from 0 and 1, as scikit-learn's log_loss did


class NoChances(Exception):
    """The outputs hold none that can be read; the message says why."""


@dataclass
class Confidence:
    """How often a model expects to be right: the sum of the largest chance of each row, and how many rows."""

    sum: float = 0.0
    rows: int = 0

    def add(self, chances: Sequence[Mapping[str, float]]) -> None:
        self.sum += sum(max(of.values(), default=0.0) for of in chances)
        self.rows += len(chances)

    def in_profile(self) -> dict[str, Any]:
        """What of it stands in a document of a profile: nothing where no row had chances."""
        return {"confidence": {"sum": self.sum, "rows": self.rows}} if self.rows else {}

    @classmethod
    def of(cls, profiles: Iterable[Mapping[str, Any]]) -> Self:
        """Of documents of profiles, those without it left out."""
        known = [told for profile in profiles if (told := profile.get("confidence"))]
        return cls(sum(float(told["sum"]) for told in known), sum(int(told["rows"]) for told in known))


def chances_of(outputs: Mapping[str, Answers], classes: Sequence[str]) -> list[dict[str, float]]:
    """For each row the chance of each class.

    Parameters
    ----------
    outputs
        A model's outputs by name, in its order, one answer a row; the first is the prediction. Chances are outputs named
        `probability_<class>`; or one output that holds a mapping (ZipMap) or a list; or, as ZipMap's "columns", one output a
        class. Lists and unnamed outputs are in the order of the sorted classes.
    classes
        Labels of all classes as `profiles.bins.category` names them, as `sorted_classes` gives them.

    Raises
    ------
    NoChances
        If there are none, they are no numbers, or they are not one a class.
    """
    named = {name.removeprefix("probability_"): o for name, o in outputs.items() if name.startswith("probability_")}
    if named:
        rows = zip(*named.values(), strict=True)
        return [{c: _chance(p) for c, p in zip(named, row, strict=True)} for row in rows]
    others = list(outputs.values())[1:]
    if others and all(isinstance(row, Mapping) for row in others[0]):
        return [{str(category(c) or c): _chance(p) for c, p in row.items()} for row in others[0]]
    if others and all(isinstance(row, Sequence) and not isinstance(row, str) for row in others[0]):
        matrix = [list(row) for row in others[0]]
    elif others:
        matrix = [list(row) for row in zip(*others, strict=True)]
    else:
        raise NoChances("the model gives no chances of the classes")
    for row in matrix:
        if len(classes) != len(row):
            raise NoChances(f"the model gives {len(row)} chances a row, and there are {len(classes)} classes")
    return [{c: _chance(p) for c, p in zip(classes, row, strict=True)} for row in matrix]


def sorted_classes(labels: Iterable[str]) -> list[str]:
    """Each once: numbers by value, then text."""
    return sorted(set(labels), key=in_order)


def in_order(label: str) -> tuple[int, float, str]:
    """Numbers by value, then text."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def _chance(value: object) -> float:
    chance = number(value)
    if chance is None:
        raise NoChances("the model gives chances that are no numbers")
    return float(chance)
