"""What is done on which cause, and how a model is retrained: one JSON document, that the reaction function has as a variable and the
life cycle function reads from a parameter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from labcycle_lambdas.ledger.reactions import Spending
from labcycle_lambdas.reaction.cannot_react import CannotReact

TELL, PAUSE, ROLL_BACK, RETRAIN = "tell", "pause", "roll_back", "retrain"
AUTOMATIC = "automatic"
MANUAL = "manual"
FOUND = frozenset({"drift", "performance", "business"})  # causes that an alarm tells, and notifies nobody of besides
_CAUSES = {
    "drift": "Drift was detected for {model}.",
    "performance": "The predictions of {model} come true less often than is asked of it.",
    "business": "{model} was worth less than is asked of it.",
    "schedule": "The reaction of {model} was due by its schedule.",
    MANUAL: "The reaction of {model} was started by hand.",
}
_AFTER = {
    "drift": "after drift",
    "performance": "after its predictions came true less often",
    "business": "after it was worth less",
    "schedule": "in a retraining by schedule",
    MANUAL: "in a retraining by hand",
}


@dataclass(frozen=True)
class Policy:
    """As the team file has it, below `react`."""

    on: tuple[str, ...]
    do: str
    promote: str
    review_hours: float
    otherwise: str
    cool_down_hours: float
    monthly_budget_usd: float | None

    @property
    def cool_down(self) -> timedelta:
        return timedelta(hours=self.cool_down_hours)

    @property
    def review(self) -> timedelta:
        return timedelta(hours=self.review_hours)


@dataclass(frozen=True)
class Training:
    """How a new version is made, and what it must pass; `usd_hour` is the price of its instance, None where it is not known."""

    image: str
    instance_type: str
    maximum_minutes: int
    usd_hour: float | None
    metric: str
    minimum_gain: float
    maximum_cohort_loss: float | None
    cohorts: tuple[str, ...]

    @property
    def estimate(self) -> float | None:
        """What it takes at most, in US dollars."""
        return None if self.usd_hour is None else round(self.usd_hour * self.maximum_minutes / 60, 4)

    def price(self, seconds: float) -> float | None:
        """What so long a training took, in US dollars."""
        return None if self.usd_hour is None else round(self.usd_hour * seconds / 3600, 4)


@dataclass(frozen=True)
class Policies:
    """All of a model; `training` is None where none retrains."""

    each: tuple[Policy, ...]
    training: Training | None

    @classmethod
    def read(cls, text: str) -> Policies:
        """Raises `ValueError`, `KeyError` or `TypeError` where it is no such document."""
        return cls.read_doc(json.loads(text))

    @classmethod
    def read_doc(cls, doc: Mapping[str, Any]) -> Policies:
        """The same of the parsed document, which may hold more."""
        training = doc["training"]
        return cls(
            tuple(Policy(**{**policy, "on": tuple(policy["on"])}) for policy in doc["policies"]),
            Training(**{**training, "cohorts": tuple(training["cohorts"])}) if training else None,
        )

    def chosen(self, given: Mapping[str, Any]) -> tuple[int, str]:
        """Number and cause of the policy that the input of an execution names: by its number, or by a cause. What is started by hand
        without either is done by the policy that names `manual`, or else by the first.

        Raises
        ------
        CannotReact
            If there is no such policy.
        """
        cause, number = given.get("cause", MANUAL), given.get("policy")
        if cause not in _CAUSES:
            raise CannotReact(f"the cause is {str(cause)[:60]!r}; allowed: {', '.join(_CAUSES)}")
        if number is None:
            named = [i for i, policy in enumerate(self.each) if cause in policy.on]
            number = named[0] if named else 0 if cause == MANUAL else None
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(self.each):
            asked = f"on {cause}" if number is None else f"number {str(number)[:20]}"
            raise CannotReact(f"there is no reaction {asked}: the team file has {len(self.each)} of this model")
        return number, cause


def introduced(cause: str, model: str) -> str:
    """The sentence that tells why something was done."""
    return _CAUSES[cause].format(model=model)


def after(cause: str) -> str:
    """The same within a sentence."""
    return _AFTER[cause]


def spending_of(training: Training, policy: Policy, job: str) -> Spending | None:
    """What a training is expected to take; None where its price is not known and no budget asks for it.

    Raises
    ------
    CannotReact
        If there is a budget, and no price to hold against it.
    """
    if training.estimate is not None:
        return Spending(job, training.estimate, policy.monthly_budget_usd)
    if policy.monthly_budget_usd is None:
        return None
    raise CannotReact(
        f"nobody knows what {training.instance_type} costs, so that it cannot be held against the budget of "
        f"{policy.monthly_budget_usd:.2f} USD a month: take another instance_type, or remove monthly_budget_usd"
    )
