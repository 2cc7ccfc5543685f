"""Which versions this sandbox runs: the deployment record, looked at every few seconds."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployment, Deployments, Pause
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.runnable import Runnable, Unusable

CACHE_SECONDS = 3.0  # a promotion is everywhere in less than five
RETRY_SECONDS = 30.0


class NothingLive(Exception):
    """No version of the model is promoted."""


class CannotServe(Exception):
    """The live version cannot be loaded, and no other is loaded; the message says why."""


@dataclass(frozen=True)
class Loaded:
    """`generation` is that of the deployment record in which `deployed` had its place."""

    deployed: Deployed
    generation: int
    graph: Runnable


@dataclass(frozen=True)
class Tried:
    """The version that is tried beside the live one; `loaded` is None where it cannot be loaded."""

    version: int
    percent: int
    loaded: Loaded | None

    def takes(self, key: str) -> bool:
        """Whether it answers the request with this key: always the same for a key, and still so when its share grows."""
        return _is_among(f"{self.version} {key}", self.percent)


@dataclass(frozen=True)
class Shadowing:
    """The version that is shadow since then, which runs elsewhere."""

    version: int
    percent: int
    since: str

    def takes(self, request_id: str) -> bool:
        """Whether it is shown this request."""
        return _is_among(f"shadow {self.version} {request_id}", self.percent)


@dataclass(frozen=True)
class Serving:
    """What answers: the live version, and the one that is tried beside it. While the model is paused, neither is needed.
    `shadow` is shown what the live version answers."""

    live: Loaded | None
    canary: Tried | None = None
    pause: Pause | None = None
    shadow: Shadowing | None = None


class Live:
    """The versions that answer. A version that cannot be loaded never replaces one that runs."""

    def __init__(
        self,
        deployments: Deployments,
        load: Callable[[Deployed], Runnable],
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
        self._looking = threading.Lock()
        self._serving: Serving | None = None
        self._at_hand: Serving | None = None  # what another has loaded, of which the record is not known
        self._generation = 0  # of the record that is served as it says
        self._look_again = -1.0
        self._refused_generation = 0
        self._retry_at = 0.0
        self.problem: str | None = None  # why what answers is not what the record says

    def current(self) -> Serving:
        """What to answer with.

        Raises
        ------
        NothingLive, CannotServe
            If there is nothing.
        Throttled
            If nothing is loaded yet and DynamoDB or S3 asks for patience.
        """
        serving = self._serving
        if serving is not None and (self._monotonic() < self._look_again or self._looking.locked()):
            return serving  # while one thread looks, and loads, the others answer with what they have
        with self._looking:
            if self._serving is None or self._monotonic() >= self._look_again:
                try:
                    self._look()
                except Throttled as error:
                    if self._serving is None:
                        raise
                    self.problem = f"the deployment record or the model could not be read: {error}"
                self._look_again = self._monotonic() + CACHE_SECONDS
                if self._serving is not None:
                    self._at_hand = None
            if self._serving is None:
                raise CannotServe(self.problem)
            return self._serving

    def have_at_hand(self, other: Live) -> None:
        """Take the versions that another has loaded in place of loading the same bytes again. Nothing is answered with them before
        the record says so: it may have changed since."""
        self._at_hand = other._serving or other._at_hand

    def _look(self) -> None:
        generation = self._deployments.generation(self._model)
        if self._serving and generation == self._generation:
            self.problem = None
            return
        if generation == 0:
            raise NothingLive
        if generation == self._refused_generation and self._monotonic() < self._retry_at:
            return
        record = self._deployments.current(self._model)
        if record.live is None:
            raise NothingLive
        if record.pause:
            live = self._serving.live if self._serving else None  # at hand when the pause ends
            self._serving, self._generation, self.problem = Serving(live, pause=record.pause), record.generation, None
            return
        try:
            live = Loaded(record.live, record.generation, self._graph(record.live))
        except Unusable as error:
            self._refuse(record, record.live.version, str(error))
            if self._serving and self._serving.pause:
                self._serving = Serving(self._serving.live) if self._serving.live else None
            return
        canary, refused = None, None
        if record.canary:
            deployed, loaded = record.canary.deployed, None
            try:
                loaded = Loaded(deployed, record.generation, self._graph(deployed))
            except Unusable as error:
                refused = str(error)
            canary = Tried(deployed.version, record.canary.percent, loaded)
        shadow = record.shadow
        shadowing = Shadowing(shadow.deployed.version, shadow.percent, shadow.deployed.promoted_at) if shadow else None
        self._serving, self.problem = Serving(live, canary, shadow=shadowing), None
        if canary and refused:
            self._refuse(record, canary.version, refused)
        else:
            self._generation = record.generation

    def _graph(self, deployed: Deployed) -> Runnable:
        """Of the same bytes, as it is loaded already."""
        serving = self._serving or self._at_hand or Serving(None)
        for loaded in (serving.live, serving.canary.loaded if serving.canary else None):
            if loaded and _bytes_of(loaded.deployed) == _bytes_of(deployed):
                return loaded.graph
        return self._load(deployed)

    def _refuse(self, record: Deployment, version: int, why: str) -> None:
        self.problem = why
        self._refused_generation = record.generation
        self._retry_at = self._monotonic() + RETRY_SECONDS
        self._on_refused(version, why)


def _is_among(text: str, percent: int) -> bool:
    """The same for a text always; of many texts `percent` are."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "big") * 100 < percent << 32


def _bytes_of(deployed: Deployed) -> object:
    return deployed.model_file, deployed.files, deployed.signature, deployed.runtime
