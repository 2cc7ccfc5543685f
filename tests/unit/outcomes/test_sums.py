"""Sums add up and are taken back without loss, and metrics from them are scikit-learn's from the rows."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from labcycle_lambdas.outcomes import measures
from labcycle_lambdas.outcomes.measures import area_bound, calibration, figures, measure, ranking, value_of
from labcycle_lambdas.outcomes.sums import NAMED, OTHER, WHOLE, Kind, Row, Sums
from tests.unit.outcomes.place import summed

labels = st.sampled_from(["a", "b", "c", 1, 2.0, True])
amounts = st.floats(-1e6, 1e6, allow_subnormal=False)
chances = st.floats(0, 1).map(lambda p: {"0": 1 - p, "1": p})
cohorts = st.none() | st.fixed_dictionaries({"kind": st.sampled_from(["shop", "web"])})
class_rows = st.builds(
    Row, labels, st.none() | labels, st.none() | amounts, st.booleans(), st.none() | chances, cohorts
)
number_rows = st.builds(
    Row, amounts | st.none(), st.none() | amounts, st.none() | amounts, st.booleans(), st.none(), cohorts
)
of_any_kind = st.tuples(st.just("classes"), st.lists(class_rows, max_size=20)) | st.tuples(
    st.just("numbers"), st.lists(number_rows, max_size=20)
)


@settings(max_examples=100, deadline=None)
@given(of_any_kind, st.randoms(use_true_random=False))
def test_sums_are_those_of_the_set_of_rows(given_rows: tuple[Kind, list[Row]], order: Any) -> None:
    kind, rows = given_rows
    whole = summed(rows, kind)
    shuffled = order.sample(rows, len(rows))
    cut = len(rows) // 2
    assert Sums.together([summed(shuffled[:cut], kind), summed(shuffled[cut:], kind)]).parts == whole.parts
    through = Sums.from_doc(json.loads(json.dumps(whole.to_doc())))
    assert through == whole
    for row in shuffled:
        through.count(row, -1)
    assert through.parts == {}


two_classes = st.lists(st.tuples(st.sampled_from([0, 1]), st.floats(0, 1)), min_size=2, max_size=80)


@settings(max_examples=150, deadline=None)
@given(two_classes)
def test_metrics_of_classes_are_those_of_the_rows(rows: list[tuple[int, float]]) -> None:
    truth, chance = [t for t, _ in rows], [p for _, p in rows]
    said = [int(p > 0.5) for p in chance]
    sums = summed(Row(s, t, chances={"0": 1 - p, "1": p}) for s, t, p in zip(said, truth, chance, strict=True))
    found = figures(sums.total())
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said), abs=1e-12)
    recalls = metrics.recall_score(truth, said, average=None, labels=sorted(set(truth)), zero_division=0)
    assert found["balanced_accuracy"] == pytest.approx(recalls.mean(), abs=1e-12)
    kept = np.clip(np.column_stack([1 - np.array(chance), chance]), 1e-15, 1 - 1e-15)
    loss = -np.mean(np.log(kept[np.arange(len(truth)), truth]))
    assert found["log_loss"] == pytest.approx(loss, abs=1e-9)
    if len(set(truth)) < 2:
        return
    part = sums.total()
    cut = [min(int(p * 100), 99) for p in chance]
    ranked = ranking(part, "1")
    assert ranked
    assert ranked["average_precision"] == pytest.approx(metrics.average_precision_score(truth, cut), abs=1e-9)
    if "roc_auc" in found:
        assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, cut), abs=1e-9)
        assert abs(found["roc_auc"] - metrics.roc_auc_score(truth, chance)) <= area_bound(part, "1") + 1e-9
    calibrated = calibration(part, "1")
    assert calibrated
    groups = np.minimum(np.array(chance) * 10, 9.999).astype(int)
    groups = np.array(cut) // 10
    exact = sum(
        inside.sum() * abs(np.array(chance)[inside].mean() - np.array(truth)[inside].mean())
        for group in set(groups.tolist())
        for inside in [groups == group]
    ) / len(truth)
    assert abs(calibrated["expected_calibration_error"] - exact) <= 0.005 + 1e-9


def test_log_loss_is_that_of_scikit_learn() -> None:
    draw = np.random.default_rng(3)
    chance = draw.uniform(0.01, 0.99, 500)
    truth = (draw.uniform(size=500) < chance).astype(int)
    found = figures(
        summed(
            Row(0, int(t), chances={"0": 1 - p, "1": p}) for t, p in zip(truth, chance.tolist(), strict=True)
        ).total()
    )
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, chance), abs=1e-9)
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, chance), abs=0.005)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 120))
def test_metrics_of_several_classes_are_those_of_the_rows(seed: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    chance = draw.dirichlet([1, 1, 1], size)
    truth, said = np.array([draw.choice(3, p=p) for p in chance]), chance.argmax(axis=1)
    rows = [
        Row(f"c{s}", f"c{t}", chances={f"c{c}": float(p[c]) for c in range(3)})
        for s, t, p in zip(said, truth, chance, strict=True)
    ]
    part = summed(rows).total()
    found = figures(part)
    assert (
        found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, said), abs=1e-12)
        if len(set(truth)) == 3
        else True
    )
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, chance, labels=[0, 1, 2]), abs=1e-6)
    if "roc_auc" in found:
        bound = np.mean([area_bound(part, f"c{c}") for c in range(3)])
        assert abs(found["roc_auc"] - metrics.roc_auc_score(truth, chance, multi_class="ovr")) <= bound + 1e-9


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(amounts, amounts), min_size=2, max_size=60))
def test_metrics_of_numbers_are_those_of_the_rows(rows: list[tuple[float, float]]) -> None:
    truth, said = [t for t, _ in rows], [s for _, s in rows]
    found = figures(summed((Row(s, t) for t, s in rows), "numbers").total())
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, said), rel=1e-9, abs=1e-18)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, said), rel=1e-9, abs=1e-18)
    assert found["bias"] == pytest.approx(np.mean(np.array(said) - truth), rel=1e-9, abs=1e-9)
    if np.std(truth) > 1e-3:
        assert found["r2"] == pytest.approx(metrics.r2_score(truth, said), rel=1e-6, abs=1e-9)


@given(st.lists(amounts, min_size=1, max_size=50))
def test_values_have_sum_and_standard_error(values: list[float]) -> None:
    told = value_of(summed(Row(1, value=value) for value in values).total())
    assert (told["rows"], told["sum"]) == (len(values), pytest.approx(math.fsum(values), abs=1e-9))
    assert told["standard_error"] == pytest.approx(np.std(values) * math.sqrt(len(values)), rel=1e-6, abs=1e-6)


def test_lift_is_that_of_the_sorted_rows() -> None:
    chance = [i / 1000 for i in range(1000)]
    truth = [int(i % 10 == 0 or i >= 950) for i in range(1000)]
    ranked = ranking(
        summed(Row(0, t, chances={"0": 1 - p, "1": p}) for t, p in zip(truth, chance, strict=True)).total(), "1"
    )
    assert ranked
    base = sum(truth) / 1000
    for one, rows in zip(ranked["top"], (10, 50, 100), strict=True):
        assert one["precision"] == pytest.approx(sum(truth[-rows:]) / rows, abs=1e-9)
        assert one["lift"] == pytest.approx(one["precision"] / base)


def test_of_many_classes_accuracy_is_exact() -> None:
    rows = [Row(f"class-{i % 40}", f"class-{i % 40 if i % 3 else (i + 1) % 40}") for i in range(400)]
    sums = summed(rows)
    assert len(sums.named["class"]) == NAMED
    found = measure("accuracy", sums.total(), 0.0)
    assert found
    assert found.value == sum(row.prediction == row.truth for row in rows) / 400
    assert sums.total()["cell", OTHER, OTHER] > 0
    for row in rows:
        sums.count(row, -1)
    assert sums.parts == {}


def test_what_is_of_another_kind_is_counted_as_such() -> None:
    rows = [Row(None, 1), Row([1], 1), Row(1, 1)]
    assert summed(rows).total()[("unmeasured",)] == 2
    numbers = [Row("x", 1.0), Row(1.0, "x"), Row(math.inf, 1.0), Row(1.0, 2.0)]
    assert summed(numbers, "numbers").total()[("unmeasured",)] == 3
    odd = summed([Row("a", "a", chances={"a": "much"}), Row("a", "a", chances={"a": 3.0})])
    assert ("losses",) not in odd.total()


def test_a_day_of_many_cohorts_and_classes_fits_in_an_item() -> None:
    draw = np.random.default_rng(1)
    made = Sums("classes")
    for number in range(4_000):
        p = draw.dirichlet(np.ones(20))
        cohort = {field: f"category-{draw.integers(30)}" for field in ("country", "channel", "segment")}
        chances = {f"class-{c}": float(p[c]) for c in range(20)}
        made.count(Row(f"class-{p.argmax()}", f"class-{number % 20}", 10.0, chances=chances, cohort=cohort))
    assert len(json.dumps(made.to_doc(), separators=(",", ":"))) < 395_000
    two = Sums("classes")
    for number in range(4_000):
        share = float(draw.uniform())
        cohort = {field: f"category-{draw.integers(30)}" for field in ("country", "channel", "segment")}
        told = {"0": 1 - share, "1": share}
        two.count(Row(int(share > 0.5), number % 2, 10.0, chances=told, cohort=cohort))
    assert len(json.dumps(two.to_doc(), separators=(",", ":"))) < 395_000
    assert {key[1] for key in two.parts["channel", OTHER] if key[0] == "chance"} == {"1"}
    assert measure("roc_auc", two.parts["channel", OTHER], 0.0)
    assert len(two.parts) == 1 + 3 * (NAMED + 1)
    assert WHOLE in two.parts


def test_every_metric_of_the_team_file_can_be_measured() -> None:
    from labcycle.config.metrics import METRICS
    from labcycle_lambdas.outcomes.sums import KINDS
    from labcycle_lambdas.reaction.scoring import LOWER_IS_BETTER

    assert set(METRICS) == set(KINDS) == set(measures._METRICS)
    assert measures.LOWER_IS_BETTER == LOWER_IS_BETTER
