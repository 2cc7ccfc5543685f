"""The version that scores what the live one answered. Nobody waits for it, and nobody gets its answers.

It runs where it cannot slow an answer: on Lambda in a function of its own, in a process in a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.shadows import Comparison, Seen
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.capture import Capture
from labcycle_lambdas.model_server.comparing import Sums, compared
from labcycle_lambdas.model_server.journal import Journal
from labcycle_lambdas.model_server.live import Loaded
from labcycle_lambdas.model_server.prediction_log import answered_by
from labcycle_lambdas.model_server.runnable import Runnable, Unusable
from labcycle_lambdas.model_server.scoring import Scored, score
from labcycle_lambdas.model_server.shown import Shown

RETRY_SECONDS = 30.0  # a version that cannot be loaded is not tried with each request
_PROBLEM_CHARACTERS = 300


class Shadow:
    """One thread may call it."""

    def __init__(
        self,
        deployments: Deployments,
        load: Callable[[Deployed], Runnable],
        model: str,
        seen: Sums[Seen],
        capture: Capture,
        journal: Journal,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seen = seen
        self.capture = capture
        self.journal = journal
        self._deployments = deployments
        self._load = load
        self._model = model
        self._monotonic = monotonic
        self._loads = count(1)
        self._loaded: tuple[Comparison, Loaded] | None = None
        self._refused: tuple[Comparison, str, float] | None = None

    def see(self, shown: Shown) -> None:
        """Score the request, and count it; not where the shadow has ended. What the version cannot do is counted as failed.

        Raises
        ------
        Throttled
            If the version is not loaded yet, and DynamoDB or S3 asks for patience; the request is not counted.
        """
        began, of = self._monotonic(), shown.comparison
        try:
            loaded = self._at_hand(of)
            if loaded is None:
                return
            began = self._monotonic()
            scored = score(shown.request, loaded.graph)
            predictions = scored.first
            if len(predictions) != len(shown.predictions):
                raise ValueError(f"it gave {len(predictions)} predictions for {len(shown.predictions)} rows")
            one = compared(shown.predictions, predictions)
        except Throttled:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            problem = self.capture.keeping.told(error)[:_PROBLEM_CHARACTERS]
            self.journal.error("the shadow cannot score", request_id=shown.request_id, version=of.version, why=problem)
            one = Seen(problem=problem)
        else:
            self._profile(loaded, scored)
        one.tally.count((self._monotonic() - began) * 1000, failed=bool(one.problem))
        one.live.count(shown.milliseconds, failed=False)
        self.seen.add(of, one)

    def _at_hand(self, of: Comparison) -> Loaded | None:
        """The version, loaded; None where it is not the shadow any more. Raises `Unusable`, `Throttled`."""
        same = of._replace(live_version=0)
        if self._loaded and self._loaded[0] == same:
            return self._loaded[1]
        if self._refused and self._refused[0] == same and self._monotonic() < self._refused[2]:
            raise Unusable(self._refused[1])
        shadow = self._deployments.current(self._model).shadow
        if shadow is None or (shadow.deployed.version, shadow.deployed.promoted_at) != (of.version, of.since):
            return None
        self._loaded = None  # two of them need not fit
        try:
            loaded = Loaded(shadow.deployed, next(self._loads), self._load(shadow.deployed))
        except Unusable as error:
            self._refused = (same, str(error), self._monotonic() + RETRY_SECONDS)
            raise
        self._loaded = (same, loaded)
        return loaded

    def _profile(self, loaded: Loaded, scored: Scored) -> None:
        try:
            self.capture.count(loaded, answered_by(scored))
            self.capture.write_due()
        except Exception as error:  # noqa: BLE001 - it is kept and tried again
            self.journal.error(
                "the profile of the shadow could not be written", why=f"{type(error).__name__}: {error}"[:500]
            )
