"""What is known of a prediction: the claims of all incoming objects, and which of them counts.

What counts is a function of the set of claims, whatever the order in which their objects are taken in: of truth and of value each
the claim that became known last (`at`); of claims without `at`, which stand behind those with one, the one that arrived first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labcycle_lambdas.profiles.bins import category


@dataclass(frozen=True)
class Claim:
    """What row `number` of the object `by` said, which arrived in the bucket at `arrived`. `counted`: it is in the sums, for sure; the
    others are if their object is marked as counted."""

    by: str
    arrived: str
    number: int
    truth: Any = None
    value: float | None = None
    at: str = ""
    counted: bool = False

    @property
    def place(self) -> tuple[str, str, int]:
        """What arrived first has the smallest."""
        return self.arrived, self.by, self.number

    def decides(self, others: Iterable[Claim]) -> bool:
        """Whether what it says of truth or value counts rather than what all `others` say of it."""
        there = list(others)
        return any(
            all(_beats(self, one) for one in there if getattr(one, name) is not None)
            for name in _SAID
            if getattr(self, name) is not None
        )

    def to_doc(self) -> dict[str, Any]:
        absent = {"counted": False, "at": "", "truth": None, "value": None}
        return {name: said for name, said in self.__dict__.items() if name not in absent or said is not absent[name]}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Claim:
        return cls(**doc)


_SAID = ("truth", "value")


@dataclass(frozen=True)
class Standing:
    """What counts of one prediction. `contradicted`: claims said different things of it."""

    truth: Any = None
    value: float | None = None
    contradicted: bool = False

    def is_news(self, before: Standing) -> bool:
        """Whether it says something else."""
        known = (before.value, before.contradicted)
        return (self.value, self.contradicted) != known or not _same(self.truth, before.truth)


@dataclass
class Known:
    """One prediction, as the log has it, and what is claimed of it. `contradicted`: counted claims that are no longer kept were."""

    row: int
    prediction: Any
    at: str = ""
    chances: Mapping[str, Any] | None = None
    cohort: Mapping[str, str] | None = None
    claims: list[Claim] = field(default_factory=list)
    contradicted: bool = False

    def standing(self, claims: Iterable[Claim]) -> Standing:
        """What counts if these are the claims."""
        truth: Claim | None = None
        value: Claim | None = None
        contradicted = self.contradicted
        for claim in claims:
            if claim.truth is not None:
                contradicted |= truth is not None and not _same(truth.truth, claim.truth)
                truth = claim if truth is None or _beats(claim, truth) else truth
            if claim.value is not None:
                contradicted |= value is not None and value.value != claim.value
                value = claim if value is None or _beats(claim, value) else value
        return Standing(truth.truth if truth else None, value.value if value else None, contradicted)

    def settle(self, counted: Sequence[Claim], others: Sequence[Claim]) -> None:
        """Keep of `counted` what decides, and all `others`."""
        self.contradicted = self.standing(counted).contradicted
        best: list[Claim] = []
        for name in _SAID:
            for claim in (claim for claim in counted if getattr(claim, name) is not None):
                if not any(getattr(one, name) is not None and _beats(one, claim) for one in counted):
                    best.append(claim)
        kept = {claim.place: claim for claim in best}
        self.claims = [kept[place] for place in sorted(kept)] + sorted(others, key=lambda claim: claim.place)

    def to_doc(self) -> dict[str, Any]:
        """A line of the joined rows: `truth` and `value` are what counts, of all claims."""
        now = self.standing(self.claims)
        return {
            "row": self.row,
            "prediction": self.prediction,
            "at": self.at,
            **({"truth": now.truth} if now.truth is not None else {}),
            **({"value": now.value} if now.value is not None else {}),
            **({"chances": self.chances} if self.chances else {}),
            **({"cohort": self.cohort} if self.cohort else {}),
            **({"contradicted": True} if self.contradicted else {}),
            "claims": [claim.to_doc() for claim in self.claims],
        }

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Known:
        claims = [Claim.from_doc(claim) for claim in doc["claims"]]
        return cls(**{n: v for n, v in doc.items() if n not in ("truth", "value", "claims")}, claims=claims)

    @classmethod
    def from_log(cls, line: Mapping[str, Any]) -> Known:
        """A line of the prediction log of which nothing is claimed yet."""
        at, chances, cohort = line.get("at") or "", line.get("chances"), line.get("cohort")
        return cls(line["row"], line.get("prediction"), at, chances, cohort)


def _beats(one: Claim, other: Claim) -> bool:
    """Whether `one` counts rather than `other`."""
    return (one.at, other.place) > (other.at, one.place)


def _same(one: Any, other: Any) -> bool:
    return category(one) == category(other)
