"""Drift by each method, and of cohorts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.profiles import Profile, Reference
from tests.unit.monitoring.traffic import START, Traffic
from tests.unit.serving.workshop import MODEL, REVIEWER, World

METHODS = {"psi": 0.2, "jensen_shannon": 0.1, "wasserstein": 0.1, "kolmogorov_smirnov": 0.1}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_finds_a_shift_and_not_where_there_is_none(world: World, method: str) -> None:
    traffic = Traffic(world, method=method, threshold=METHODS[method], persistence=1)
    traffic.flows(0.5)
    still = traffic.judged(1)
    assert (still["verdict"], still["method"]) == ("stable", method)
    traffic.flows(1.5, rows=600, shift=2.0)
    drifted = traffic.judged(2)
    assert drifted["verdict"] == "drifted"
    [event] = traffic.events()
    assert (event["method"], event["threshold"]) == (method, METHODS[method])
    first = drifted["table"][0]
    of_method = max(first[method], abs(first["missing_fraction"] - first["reference_missing_fraction"]))
    assert next(iter(drifted["features"].values())) == pytest.approx(of_method)


def test_the_judgement_has_the_figure_and_its_limit(world: World) -> None:
    traffic = Traffic(world, persistence=2)
    traffic.flows(0.5, shift=2.0)
    [judgement] = traffic.judged(1)["judgements"]
    assert (judgement["subject"], judgement["verdict"]) == ("drift", "failing")
    assert judgement["figures"]["value"] > judgement["figures"]["limit"] == 0.2
    assert judgement["figures"]["moved"][0] == "mean radius"
    json.dumps(judgement, allow_nan=False)


class Cohorts:
    """Rows of two countries; the model is live with a reference that has cohorts of them."""

    COLUMNS = ("amount", "country")

    def __init__(self, world: World, **settings: Any) -> None:
        self.traffic = Traffic(world, cohorts=["country"], **settings)
        draw = np.random.default_rng(3)
        self.rows: list[list[Any]] = [
            [float(v), "AT" if i % 8 == 0 else "DE"] for i, v in enumerate(draw.normal(size=4000))
        ]
        self.reference = Reference.from_table(self.COLUMNS, self.rows, cohorts=["country"])
        deployments = Deployments(world.table, now=lambda: START)
        prepared = world.preflight.prepare(MODEL, 1)
        self.world = world
        self.live = deployments.promote(
            MODEL, replace(prepared, reference=self.reference.to_doc()), REVIEWER
        ).deployment.live

    def flows(self, hour: float, shift_of_at: float, rows: int = 4000) -> None:
        assert self.live
        profile = Profile(self.reference, cohorts=["country"])
        moved = [[v + shift_of_at if c == "AT" else v, c] for v, c in self.rows[:rows]]
        profile.add(self.COLUMNS, moved)
        at = START + timedelta(hours=hour)
        Profiles(self.world.table).write(
            MODEL, self.live.version, "c", next(self.traffic.numbers), at, profile.to_doc()
        )


def test_a_cohort_that_moves_alone_is_drift_and_named(world: World) -> None:
    cohorts = Cohorts(world, persistence=1)
    cohorts.flows(0.5, 0.0)
    still = cohorts.traffic.judged(1)
    assert still["verdict"] == "stable"
    assert {label: found["rows"] for label, found in still["cohorts"]["country"].items()} == {"DE": 3500, "AT": 500}
    cohorts.flows(1.5, 1.2)
    found = cohorts.traffic.judged(2)
    assert found["verdict"] == "drifted" and max(found["features"].values()) < 0.2
    assert "0 of 2 columns reach 0.2, amount where country is AT moved most" in found["reason"]
    assert found["cohorts"]["country"]["AT"]["moved"] == ["amount"]
    assert found["cohorts"]["country"]["DE"]["moved"] == []
    [event] = cohorts.traffic.events()
    assert list(event["features"]) == ["amount where country is AT"]


def test_a_cohort_with_few_rows_is_not_judged_apart(world: World) -> None:
    cohorts = Cohorts(world, persistence=1, minimum_rows=600)
    cohorts.flows(0.5, 3.0)
    found = cohorts.traffic.judged(1)
    assert list(found["cohorts"]["country"]) == ["DE"] and found["verdict"] == "stable"


def test_of_very_many_columns_those_that_moved_most_are_kept(world: World) -> None:
    traffic = Traffic(world, persistence=1)
    columns = [f"column {number:03d} {'x' * 90}" for number in range(400)]
    draw = np.random.default_rng(5)
    reference = Reference.from_table(columns, draw.normal(size=(200, 400)).tolist())
    prepared = replace(world.preflight.prepare(MODEL, 1), reference=reference.to_doc())
    live = Deployments(world.table, now=lambda: START).promote(MODEL, prepared, REVIEWER).deployment.live
    assert live
    profile = Profile(reference)
    profile.add(columns, (draw.normal(size=(200, 400)) + np.array([2.0] + [0.0] * 399)).tolist())
    Profiles(world.table).write(MODEL, live.version, "a", 1, START, profile.to_doc())
    found = traffic.judged(1)
    assert len(found["table"]) == len(found["features"]) == 200
    assert found["table"][0]["name"] == columns[0] and found["verdict"] == "drifted"
