"""A live model with traffic and evaluations, as its servers and its evaluator leave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations, MonitorState
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.lifecycle.live_window import columns
from labcycle_lambdas.profiles import Profile, Reference
from tests.unit.serving.workshop import FEATURES, LABELS, MODEL, REVIEWER, ROWS, World, classifier, reference_table

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Evaluated:
    """A model of a ledger; hours count from `START`."""

    table: Table
    model: str = MODEL
    numbers: Any = field(default_factory=count)

    def flows(self, hour: float, rows: int = 600, shift: float = 0.0) -> None:
        live = Deployments(self.table).current(self.model).live
        assert live and live.reference
        profile = Profile(Reference.from_doc(live.reference))
        chosen = np.resize(ROWS, (rows, ROWS.shape[1])) + np.array([shift, 0, 0])
        profile.add(FEATURES, chosen.tolist(), np.resize(LABELS, rows).tolist())
        Profiles(self.table).write(self.model, live.version, "sandbox", next(self.numbers), at(hour), profile.to_doc())

    def evaluated(
        self,
        hour: float,
        verdict: str,
        features: Mapping[str, float] | None = None,
        *,
        version: int | None = 1,
        judgements: list[dict[str, Any]] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Record an evaluation; it is the last one."""
        evaluation = {
            "model": self.model,
            "version": version,
            "verdict": verdict,
            "reason": f"it is {verdict}",
            "rows": 600,
            "new_rows": 600,
            "threshold": 0.2,
            "minimum_rows": 500,
            "persistence": 3,
            "consecutive": 0,
            "evaluated_at": stamp(at(hour)),
            "window_start": stamp(max(at(hour - 24), START)),
            "features": dict(features or {}),
            "table": [],
            "judgements": judgements or [],
            **more,
        }
        evaluations = Evaluations(self.table, Custody(self.table))
        _, item = evaluations.state(self.model)
        evaluations.record(self.model, stamp(at(hour)), evaluation, MonitorState(last_key=stamp(at(hour))), item)
        return evaluation

    def reference(self) -> Reference:
        live = Deployments(self.table).current(self.model).live
        assert live and live.reference
        return Reference.from_doc(live.reference)

    def seen(self) -> Profile:
        reference = self.reference()
        return Profile.of(reference, [one.doc for one in Profiles(self.table).newest_first(self.model, 1)])

    def figures(self) -> dict[str, float]:
        found = columns(self.reference(), self.seen(), method="psi", threshold=0.2, minimum_rows=500)
        return {column["name"]: column["figure"] for column in found}


class Watched(Evaluated):
    """The model is promoted at `START`."""

    def __init__(self, world: World) -> None:
        super().__init__(world.table)
        self.world = world

    def promote(self, hour: float = 0, *, reference: bool = True) -> int:
        run = self.world.run({"reference.json": reference_table()} if reference else {})
        version = self.world.register(classifier(), run_id=run, name=self.model)
        deployments = Deployments(self.table, now=lambda: at(hour))
        deployments.promote(self.model, self.world.preflight.prepare(self.model, version), REVIEWER)
        return version


def at(hour: float) -> datetime:
    return START + timedelta(hours=hour)
