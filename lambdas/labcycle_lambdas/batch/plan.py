"""First step: which version scores the run, and what it scores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from labcycle_lambdas.batch.environment import Environment
from labcycle_lambdas.batch.places import Places
from labcycle_lambdas.batch.store import Store
from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.times import stamp

# An execution has 25,000 events, and an object takes 7 of them, 10 where it is tried a second time:
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_OBJECTS = 2000
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_EXECUTION = re.compile(r"[A-Za-z0-9_-]{1,80}")


class CannotBegin(Exception):
    """What a person has to change before anything can be scored, in a sentence."""


@dataclass(frozen=True)
class Plan:
    """What an execution does. `run` is the execution that began the run; `deployed` scores all of it."""

    run: str
    execution: str
    started: str
    generation: int
    deployed: Deployed
    objects: tuple[str, ...]

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Plan:
        deployed = dict(doc["deployed"])
        deployed["model_file"] = DeployedFile(**deployed["model_file"])
        deployed["files"] = tuple(DeployedFile(**file) for file in deployed["files"])
        return cls(**{**doc, "deployed": Deployed(**deployed), "objects": tuple(doc["objects"])})


@dataclass(frozen=True)
class Planning:
    environment: Environment
    store: Store
    deployments: Deployments

    def __call__(self, execution: str, given: Mapping[str, Any], now: datetime) -> Plan:
        """Keep the plan of an execution, and give it.

        `given` is the input of the execution. `resume` in it names a run whose version is used again; its objects and
        those that came since are gone through, and what has a result is left as it is.

        Raises
        ------
        CannotBegin
            If nothing is live, the model is paused, there is no such run, or there are too many objects.
        """
        model = self.environment.model
        places = Places(model)
        run = given.get("resume") or execution
        if not isinstance(run, str) or not _EXECUTION.fullmatch(run):
            raise CannotBegin(
                "resume must be the name of a run, 1 to 80 letters, digits, hyphens and underscores, as its folder below "
                f"s3://{self.store.bucket}/batch/{model}/out/ is named"
            )
        doc = self.store.document(places.plan(run, run))
        first = Plan.from_doc(doc) if doc else None
        if first is None and run != execution:
            raise CannotBegin(
                f"there is no run {run} of {model}, so that it cannot be resumed: start one without resume"
            )
        generation, deployed = self._live()
        if first:
            generation, deployed = first.generation, first.deployed
        found = set(self.store.names(places.incoming)) | set(first.objects if first else ())
        if len(found) > MOST_OBJECTS:
            raise CannotBegin(
                f"there are {len(found)} objects below s3://{self.store.bucket}/{places.incoming}, and a run takes "
                f"{MOST_OBJECTS} at most: put more rows into one object, or take away those that were scored before"
            )
        started = first.started if first else stamp(now)
        plan = Plan(run, execution, started, generation, deployed, tuple(sorted(found)))
        self.store.keep(places.plan(run, execution), plan.to_doc())
        return plan

    def _live(self) -> tuple[int, Deployed]:
        model = self.environment.model
        deployment = self.deployments.current(model)
        if deployment.live is None:
            raise CannotBegin(
                f"no version of {model} is live: promote one (labcycle models promote {model} VERSION), and start again"
            )
        if pause := deployment.pause:
            raise CannotBegin(
                f"{model} was paused at {pause.at} by {pause.by} and makes no predictions: resume it (labcycle models resume {model}), and "
                "start again"
            )
        return deployment.generation, deployment.live
