"""What is never let go: the runs that registered and deployed models come from, with all that those come from."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments, Previous
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.logged_models import LoggedModels
from labcycle_lambdas.ledger.registry import ModelVersion, Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.lineage.ancestry import ancestry


@dataclass(frozen=True)
class Lineage:
    """`runs`: why each is kept. `locations`: where bytes of versions lie, each with the version that they are of."""

    runs: dict[str, str]
    locations: dict[str, str]

    @classmethod
    def read(cls, table: Table) -> Lineage:
        runs: dict[str, str] = {}
        locations: dict[str, str] = {}
        ledger, logged = Runs(table), LoggedModels(table)
        for model in Registry(table).models():
            for version in model.versions:
                what = f"{model.name} version {version.version}"
                locations[version.location.rstrip("/") + "/"] = what
                for run_id in _runs_of(version, logged):
                    _keep(runs, run_id, what)
            deployment = Deployments(table).current(model.name)
            was_live: list[Deployed | Previous] = [
                *([deployment.live] if deployment.live else []),
                *([deployment.canary.deployed] if deployment.canary else []),
                *([deployment.shadow.deployed] if deployment.shadow else []),
                *deployment.previous,
            ]
            for deployed in was_live:
                _keep(runs, deployed.source_run, f"{model.name} version {deployed.version}, which is or was deployed")
        for run_id, what in list(runs.items()):
            try:
                ancestors = ancestry(ledger, ledger.get(run_id))
            except NotFound:
                continue
            for ancestor in ancestors:
                _keep(runs, ancestor.run_id, f"{what}, by way of the run {run_id}")
        return cls(runs, locations)

    def holds(self, run_id: str, roots: Iterable[str]) -> str | None:
        """The version that a run, or what lies below `roots`, belongs to; None where nothing does."""
        if run_id in self.runs:
            return self.runs[run_id]
        below = [root.rstrip("/") + "/" for root in roots]
        return next((what for at, what in self.locations.items() if any(at.startswith(root) for root in below)), None)


def _keep(runs: dict[str, str], run_id: str | None, what: str) -> None:
    if run_id:
        runs.setdefault(run_id, what)


def _runs_of(version: ModelVersion, logged: LoggedModels) -> list[str]:
    found = [version.run_id] if version.run_id else []
    if version.model_id:
        with suppress(NotFound):
            found.append(logged.get(version.model_id, deleted=True).source_run_id)
    return found
