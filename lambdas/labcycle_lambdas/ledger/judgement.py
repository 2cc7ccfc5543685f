"""What an evaluation finds of one thing that is watched."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Subject = Literal["drift", "performance", "business", "freshness"]
Verdict = Literal["not_enough_data", "good", "failing", "failed"]


@dataclass(frozen=True)
class Judgement:
    """`failing`: over the limit, but not yet long enough; `failed`: for as many evaluations in a row as are asked for. `reason` is a
    sentence with the numbers that decided, `figures` are those and all others."""

    subject: Subject
    verdict: Verdict
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)
