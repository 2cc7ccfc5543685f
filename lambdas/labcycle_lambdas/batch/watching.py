"""What is watched of an object that is scored: a profile of its rows, and its predictions, as the model server keeps them.

Both are named by run and object, so that a run that is resumed writes the same again in their place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from labcycle_lambdas.batch.plan import Plan
from labcycle_lambdas.batch.store import Store
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.capture import chances_in
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.prediction_log import Windows, answered_by, lines_of
from labcycle_lambdas.model_server.runnable import CannotCompute
from labcycle_lambdas.model_server.scoring import Scored
from labcycle_lambdas.profiles import Profile, Reference
from labcycle_lambdas.profiles.chances import Confidence

_PROFILE = 1  # number of the window that tells of all rows; those of predictions are as many as there must be


@dataclass(frozen=True)
class Watching:
    profiles: Profiles
    store: Store
    model: str
    keeping: Keeping

    def begin(self, plan: Plan, name: str) -> Watched:
        """What counts the object of this name in a run."""
        return Watched(self, plan, name)


@dataclass
class Watched:
    """An object while it is scored. Nothing of it is in the ledger before `end`."""

    watching: Watching
    plan: Plan
    name: str
    _confidence: Confidence = field(default_factory=Confidence)

    def __post_init__(self) -> None:
        doc = self.plan.deployed.reference
        self._reference = Reference.from_doc(doc) if doc else None
        self._profile = Profile(self._reference, self.watching.keeping.cohorts) if self._reference else None
        self._start = datetime.fromisoformat(self.plan.started)
        digest = hashlib.sha256(f"{self.plan.run}/{self.name}".encode()).hexdigest()
        self._sandbox = f"batch{digest[:24]}"
        version, put = self.plan.deployed.version, self.watching.store.put
        self._log = Windows(self.watching.model, version, self._start, self._sandbox, put)

    def told(self, error: MlflowError) -> str:
        """What is written of an error: where values are never kept, not the value that does not fit, nor the model's own words."""
        if not self.watching.keeping.redact:
            return str(error)
        return str(error).partition(": " if isinstance(error, CannotCompute) else ", got ")[0] + "."

    def count(self, scored: Scored, numbers: Sequence[int]) -> list[str]:
        """Count rows of these numbers in the object. Their prediction ids, "" where predictions are not kept. Raises `Throttled`."""
        answered = answered_by(scored, f"{self.plan.run}/{self.name}")
        chances = chances_in(answered, self._reference)
        if self._profile and answered.columns is not None:
            self._profile.add(answered.columns, answered.rows, answered.predictions)
            if chances is not None:
                self._confidence.add(chances)
        keeping = self.watching.keeping
        if not keeping.log:
            return [""] * len(numbers)

        def sampled(at: int) -> bool:
            return keeping.samples(f"{answered.request_id} {numbers[at]}")

        return [
            self._log.keep(line)
            for line in lines_of(answered, self._start, keeping, chances, self._reference, sampled=sampled)
        ]

    def end(self) -> None:
        """Write what is left. Raises `Throttled`."""
        deployed, watching = self.plan.deployed, self.watching
        self._log.write()
        if self._profile is None:
            return
        asked = {"requests": 0, "asked": 0}  # of the API
        doc = {**self._profile.to_doc(), **asked, **self._confidence.in_profile()}
        watching.profiles.write(watching.model, deployed.version, self._sandbox, _PROFILE, self._start, doc)
