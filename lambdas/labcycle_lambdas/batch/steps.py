"""The steps by name, as the state machine calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.batch.environment import Environment
from labcycle_lambdas.batch.manifest import NOTHING_SCORED, Concluding
from labcycle_lambdas.batch.places import Places
from labcycle_lambdas.batch.plan import CannotBegin, Plan, Planning
from labcycle_lambdas.batch.scoring import Scoring
from labcycle_lambdas.batch.store import Store
from labcycle_lambdas.batch.watching import Watching
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.model_server.loading import Loader
from labcycle_lambdas.model_server.runnable import Runnable, Unusable
from labcycle_lambdas.notice import Notice


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Steps:
    """`load` gives the graph of a version; the last one is kept in memory."""

    environment: Environment
    store: Store
    deployments: Deployments
    load: Loader
    watching: Watching
    _graph: tuple[object, Runnable] | None = field(default=None)
    _plan: tuple[tuple[str, str], Plan] | None = field(default=None)

    def do(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of the step `event["action"]`.

        Raises
        ------
        Throttled
            If S3 or the ledger asks for patience; the step can be repeated.
        """
        execution = event["execution"]
        match event["action"]:
            case "begin":
                return self._begin(execution, event.get("input") or {})
            case "score":
                plan = self._planned(event["run"], execution)
                places = Places(self.environment.model)
                scoring = Scoring(
                    self.store, places, plan, lambda: self._loaded(plan.deployed), self.watching, _utc_now
                )
                return {"status": scoring(plan.objects[event["number"]])["status"]}
            case "conclude":
                return Concluding(self.environment, self.store)(self._planned(event["run"], execution), _utc_now())
            case action:
                raise ValueError(f"unknown action {action!r}")

    def _begin(self, execution: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What there is to score, as numbers: the names are in the plan, since an execution holds little."""
        try:
            plan = Planning(self.environment, self.store, self.deployments)(execution, given, _utc_now())
            if plan.objects:
                self._loaded(plan.deployed)
        except (CannotBegin, Unusable) as error:
            team, model = self.environment.team, self.environment.model
            notice = Notice.of(
                f"labcycle {team}: batch of {model} could not begin", [f"The batch {execution}: {error}."]
            )
            return {"proceed": False, "verdict": NOTHING_SCORED, "why": str(error), "notice": notice.to_doc()}
        return {
            "proceed": True,
            "run": plan.run,
            "version": plan.deployed.version,
            "numbers": list(range(len(plan.objects))),
        }

    def _planned(self, run: str, execution: str) -> Plan:
        if self._plan is None or self._plan[0] != (run, execution):
            doc = self.store.document(Places(self.environment.model).plan(run, execution))
            if doc is None:
                raise LookupError(f"the plan of the execution {execution} of the run {run} is gone")
            self._plan = (run, execution), Plan.from_doc(doc)
        return self._plan[1]

    def _loaded(self, deployed: Deployed) -> Runnable:
        what = (deployed.model_file, deployed.files, repr(deployed.signature))
        if self._graph is None or self._graph[0] != what:
            self._graph = None  # not two at once in memory
            self._graph = what, self.load(deployed)
        return self._graph[1]
