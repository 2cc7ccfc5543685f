"""Which version this sandbox runs: the deployment record, looked at every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from labcycle_lambdas.ledger.deployments import Deployed, Deployments
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.graph import Graph, Unusable

CACHE_SECONDS = 5.0
RETRY_SECONDS = 30.0


class NothingLive(Exception):
    """No version of the model is promoted."""


class CannotServe(Exception):
    """The live version cannot be loaded, and no other is loaded; the message says why."""


@dataclass(frozen=True)
class Loaded:
    """`generation` is that of the deployment record in which `deployed` was live."""

    deployed: Deployed
    generation: int
    graph: Graph


class Live:
    """The version that answers. A version that cannot be loaded never replaces one that runs."""

    def __init__(
        self,
        deployments: Deployments,
        load: Callable[[Deployed], Graph],
        model: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        on_refused: Callable[[int, str], None] = lambda version, why: None,
    ) -> None:
        """`on_refused` is told of each version that could not be loaded, and why."""
        self._deployments = deployments
        self._load = load
        self._model = model
        self._monotonic = monotonic
        self._on_refused = on_refused
        self._loaded: Loaded | None = None
        self._look_again = -1.0
        self._refused_generation = 0
        self._retry_at = 0.0
        self.problem: str | None = None  # why the live version is not the one that answers

    def current(self) -> Loaded:
        """The version to answer with.

        Raises
        ------
        NothingLive, CannotServe
            If there is none.
        Throttled
            If nothing is loaded yet and DynamoDB or S3 asks for patience.
        """
        if self._loaded is None or self._monotonic() >= self._look_again:
            try:
                self._look()
            except Throttled as error:
                if self._loaded is None:
                    raise
                self.problem = f"the deployment record or the model could not be read: {error}"
            self._look_again = self._monotonic() + CACHE_SECONDS
        if self._loaded is None:
            raise CannotServe(self.problem)
        return self._loaded

    def _look(self) -> None:
        generation = self._deployments.generation(self._model)
        if self._loaded and generation == self._loaded.generation:
            self.problem = None
            return
        if generation == 0:
            raise NothingLive
        if generation == self._refused_generation and self._monotonic() < self._retry_at:
            return
        deployment = self._deployments.current(self._model)
        live = deployment.live
        if live is None:
            raise NothingLive
        try:
            same = self._loaded is not None and _bytes_of(self._loaded.deployed) == _bytes_of(live)
            graph = self._loaded.graph if self._loaded and same else self._load(live)
        except Unusable as error:
            self.problem = str(error)
            self._refused_generation = deployment.generation
            self._retry_at = self._monotonic() + RETRY_SECONDS
            self._on_refused(live.version, self.problem)
            return
        self._loaded = Loaded(live, deployment.generation, graph)
        self.problem = None


def _bytes_of(deployed: Deployed) -> object:
    return deployed.model_file, deployed.files, deployed.signature
