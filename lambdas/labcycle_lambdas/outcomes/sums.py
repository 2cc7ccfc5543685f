"""Sums over predictions whose outcome is known, from which metrics follow: whole numbers throughout.

They add up and are taken back without loss: the sums of a set of rows are the same in whatever order its rows came, went and came
again. Numbers are counted in units of 2**-80 (8e-25), logarithms and chances in units of 1e-9.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labcycle_lambdas.outcomes.rows import LARGEST
from labcycle_lambdas.profiles.bins import category, number
from labcycle_lambdas.profiles.chances import SMALLEST, in_order

Kind = Literal["classes", "numbers", "none"]
Key = tuple[str, ...]
Part = dict[Key, int]
Cohort = tuple[str, str]  # a field, and one of its categories
WHOLE: Cohort = ("", "")
NAMED = 20  # classes that are counted each by itself, and categories of a field: those that a day sees first
OTHER = "other"
WRONG = ""  # stands for whichever other class was said
BINS = 100  # of chances, from 0 to 1
UNIT_BITS = 80  # of numbers
BILLION = 10**9
# https://scikit-learn.org/stable/modules/model_evaluation.html names the metrics that follow.
KINDS: dict[str, Kind] = {
    "accuracy": "classes",
    "balanced_accuracy": "classes",
    "log_loss": "classes",
    "roc_auc": "classes",
    "rmse": "numbers",
    "mae": "numbers",
    "r2": "numbers",
}


@dataclass(frozen=True)
class Row:
    """A prediction and what became of it. `chances`: of each class; `cohort`: the category of each field that is watched."""

    prediction: Any
    truth: Any = None
    value: float | None = None
    contradicted: bool = False
    chances: Mapping[str, Any] | None = None
    cohort: Mapping[str, str] | None = None


@dataclass
class Sums:
    """Of a day of a version, or of several. `kind`: what truths are, if they are measured at all.

    `parts` holds the sums of all rows (`WHOLE`), and of those of each cohort. Names of sums, each but the first few of rows with a
    truth: `values`, `value`, `value2` (number of values, their sum and that of their squares), `contradicted`, `unmeasured` (truth
    or prediction is not of the kind); `rows`;
    of classes `cell/<truth>/<said>` (`said` is `WRONG` in cohorts), `chance/<class>/<bin>/<0 or 1: came true>`, `losses`, `loss`,
    `loss2`, and of the largest chance of a row `sure`, `sure_right`, `confidence`;
    of numbers, t the truth and e the prediction less the truth, `t`, `t2`, `t3`, `t4`, `e`, `|e|`, `e2`, `e4`, `e2t`, `e2t2`.
    """

    kind: Kind = "none"
    parts: dict[Cohort, Part] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict, compare=False)

    def count(self, row: Row, times: int = 1) -> None:
        """Add what the row brings; with -1, take back what was added."""
        whole = list(self._of(row))
        # Of cohorts the chances of one class of two alone: a day with all of them would be larger than an item can be.
        kept = max(row.chances, key=in_order) if row.chances and len(row.chances) == 2 else None
        of_cohort = [(_of_cohort(key), amount) for key, amount in whole if key[0] != "chance" or key[1] == kept]
        for cohort in self._cohorts(row):
            part = self.parts.setdefault(cohort, {})
            for key, amount in whole if cohort == WHOLE else of_cohort:
                total = part.get(key, 0) + times * amount
                if total:
                    part[key] = total
                else:
                    part.pop(key, None)
            if not part:
                del self.parts[cohort]

    def total(self) -> Part:
        return self.parts.get(WHOLE, {})

    @classmethod
    def together(cls, several: Iterable[Sums]) -> Sums:
        """Of all their rows. Those of another kind than the last ones count for their values alone."""
        known = list(several)
        made = cls(next((sums.kind for sums in reversed(known) if sums.kind != "none"), "none"))
        for sums in known:
            for cohort, part in sums.parts.items():
                into = made.parts.setdefault(cohort, {})
                for key, amount in part.items():
                    if sums.kind == made.kind or key[0] in _OF_ANY_KIND:
                        into[key] = into.get(key, 0) + amount
        return made

    def _cohorts(self, row: Row) -> Iterator[Cohort]:
        yield WHOLE
        for name, label in (row.cohort or {}).items():
            if name:
                yield name, self._name(f"cohort {name}", str(label))

    def _of(self, row: Row) -> Iterator[tuple[Key, int]]:
        if row.contradicted:
            yield ("contradicted",), 1
        if row.value is not None:
            value = in_units(row.value)
            yield from ((("values",), 1), (("value",), value), (("value2",), value * value))
        if row.truth is None or self.kind == "none":
            return
        measured = list(self._classes(row) if self.kind == "classes" else _numbers(row))
        yield from measured or [(("unmeasured",), 1)]

    def _classes(self, row: Row) -> Iterator[tuple[Key, int]]:
        truth, said = category(row.truth), category(row.prediction)
        if truth is None or said is None:
            return
        chances = _chances(row.chances)
        for label in sorted(chances, key=in_order):  # so that the names do not hang on the truths
            self._name("class", label)
        yield ("rows",), 1
        told = self._name("class", truth)
        yield ("cell", told, told if truth == said else self._wrong(told, said)), 1
        if not chances:
            return
        loss = round(-math.log(min(max(chances.get(truth, 0.0), SMALLEST), 1 - SMALLEST)) * BILLION)
        yield from ((("losses",), 1), (("loss",), loss), (("loss2",), loss * loss))
        top = max(chances.values())
        yield from ((("sure",), 1), (("confidence",), round(top * BILLION)))
        if truth == said:
            yield ("sure_right",), 1
        for label, chance in chances.items():
            at = str(min(int(chance * BINS), BINS - 1))
            yield ("chance", self._name("class", label), at, "1" if label == truth else "0"), 1

    def _wrong(self, told: str, said: str) -> str:
        named = self._name("class", said)
        return WRONG if named == told else named  # both are others, but not the same

    def _name(self, of: str, label: str) -> str:
        """What it is counted as. What was named once is named always, so that what was added can be taken back."""
        names = self.named.setdefault(of, [])
        if label not in names:
            if len(names) >= NAMED:
                return OTHER
            names.append(label)
        return label

    def to_doc(self) -> dict[str, Any]:
        nested: dict[str, Any] = {}
        for (name, label), part in self.parts.items():
            into = nested.setdefault(name, {}).setdefault(label, {})
            for key, amount in part.items():
                place = into
                for step in key[:-1]:
                    place = place.setdefault(step, {})
                place[key[-1]] = amount
        return {"kind": self.kind, "named": {of: list(names) for of, names in self.named.items()}, "parts": nested}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Sums:
        parts = {
            (name, label): dict(_flat(part)) for name, labels in doc["parts"].items() for label, part in labels.items()
        }
        return cls(doc["kind"], parts, {of: list(names) for of, names in doc["named"].items()})


_OF_ANY_KIND = {"values", "value", "value2", "contradicted"}


def in_units(value: float) -> int:
    """A number of at most 1e30 as a whole number of units of 2**-80, towards 0."""
    return int(math.ldexp(value, UNIT_BITS))


def tree(part: Part, name: str) -> dict[str, dict[Key, int]]:
    """The sums that begin with `name`, by what comes next and then by the rest."""
    found: dict[str, dict[Key, int]] = defaultdict(dict)
    for key, amount in part.items():
        if key[0] == name:
            found[key[1]][key[2:]] = amount
    return found


def _of_cohort(key: Key) -> Key:
    """Of a cohort, which other class was said is not kept."""
    return ("cell", key[1], WRONG) if key[0] == "cell" and key[1] != key[2] else key


def _numbers(row: Row) -> Iterator[tuple[Key, int]]:
    truth, said = _finite(row.truth), _finite(row.prediction)
    if truth is None or said is None:
        return
    t = in_units(truth)
    e = in_units(said) - t
    t2, e2 = t * t, e * e
    yield ("rows",), 1
    yield from ((("t",), t), (("t2",), t2), (("t3",), t2 * t), (("t4",), t2 * t2))
    yield from ((("e",), e), (("|e|",), abs(e)), (("e2",), e2), (("e4",), e2 * e2))
    yield from ((("e2t",), e2 * t), (("e2t2",), e2 * t2))


def _finite(value: object) -> float | None:
    real = number(value)
    return real if real is not None and abs(real) <= LARGEST else None


def _chances(told: Mapping[str, Any] | None) -> dict[str, float]:
    """The chances of the classes; none where one of them is no chance."""
    chances: dict[str, float] = {}
    for name, value in (told or {}).items():
        chance = number(value)
        if chance is None or not -1e-6 <= chance <= 1 + 1e-6:  # float32 rounds
            return {}
        chances[name] = min(max(float(chance), 0.0), 1.0)
    return chances


def _flat(part: Mapping[str, Any], above: Key = ()) -> Iterator[tuple[Key, int]]:
    for name, value in part.items():
        if isinstance(value, dict):
            yield from _flat(value, (*above, name))
        else:
            yield (*above, name), value
