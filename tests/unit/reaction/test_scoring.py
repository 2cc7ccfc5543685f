"""Metrics agree with scikit-learn, and with those that a team file may name."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sk

from labcycle.config.metrics import METRICS as ALLOWED
from labcycle_lambdas.notice import Notice
from labcycle_lambdas.reaction.scoring import METRICS, CannotScore, gain, measure

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("classes", [2, 3])
def test_classification_agrees_with_scikit_learn(classes: int) -> None:
    truth = RANDOM.integers(0, classes, 200)
    chances = RANDOM.dirichlet(np.ones(classes), 200).round(2)  # ties
    chances /= chances.sum(axis=1, keepdims=True)
    said = chances.argmax(axis=1)
    forms = {
        "columns": {f"probability_{c}": chances[:, c].tolist() for c in range(classes)},
        "unnamed columns": {f"i{c}": chances[:, c].tolist() for c in range(classes)},
        "matrix": {"probabilities": chances.tolist()},
        "zipmap": {"output_probability": [{str(c): p for c, p in enumerate(row)} for row in chances.tolist()]},
    }
    area = chances[:, 1] if classes == 2 else chances
    expected = {
        "accuracy": sk.accuracy_score(truth, said),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
        "log_loss": sk.log_loss(truth, np.clip(chances, 1e-15, 1), labels=range(classes)),
        "roc_auc": sk.roc_auc_score(truth, area, multi_class="ovr"),
    }
    for form in forms.values():
        for metric, value in expected.items():
            got = measure(metric, truth.tolist(), {"label": said.tolist()} | form)
            assert got == pytest.approx(value, rel=1e-6), metric


@pytest.mark.parametrize(
    ("metric", "reference"),
    [("rmse", sk.root_mean_squared_error), ("mae", sk.mean_absolute_error), ("r2", sk.r2_score)],
)
def test_regression_agrees_with_scikit_learn(metric: str, reference: Callable[..., float]) -> None:
    truth, said = RANDOM.normal(size=50), RANDOM.normal(size=50)
    assert measure(metric, truth.tolist(), {"y": said.tolist()}) == pytest.approx(reference(truth, said))


def test_labels_are_compared_by_value() -> None:
    assert measure("accuracy", [1.0, "0", True, "b"], {"label": [1, 0, "true", "b"]}) == 1.0


@pytest.mark.parametrize(
    ("metric", "truth", "outputs", "why"),
    [
        ("f7", [1], {"y": [1]}, "allowed: accuracy"),
        ("accuracy", [], {"y": []}, "no rows"),
        ("log_loss", [1, 0], {"label": [1, 0]}, "no chances"),
        ("log_loss", [1, 0], {"label": [1, 0], "p": [[0.1, 0.2, 0.7]] * 2}, "3 chances a row, and there are 2 classes"),
        ("log_loss", [1, 0], {"label": [1, 0], "p": [[0.1, 0.9], [None, 0.1]]}, "chances that are no numbers"),
        ("roc_auc", [1, 1], {"label": [1, 1], "probability_1": [0.5, 0.6]}, "two classes"),
        ("rmse", ["a"], {"y": [1.0]}, "must be numbers"),
        ("rmse", [1.0], {"y": [None]}, "must be numbers"),
        ("r2", [2.0, 2.0], {"y": [1.0, 2.0]}, "differ"),
        ("mae", [1.0], {"y": [math.inf]}, "mae is inf"),
    ],
)
def test_what_cannot_be_measured_is_said(
    metric: str, truth: list[object], outputs: dict[str, list[object]], why: str
) -> None:
    with pytest.raises(CannotScore, match=why):
        measure(metric, truth, outputs)


def test_a_team_file_may_name_the_metrics_that_can_be_measured_and_no_other() -> None:
    assert tuple(METRICS) == ALLOWED


@pytest.mark.parametrize("metric", METRICS)
def test_a_right_model_gains_over_a_wrong_one(metric: str) -> None:
    truth = [0, 1, 0, 1]
    right = measure(metric, truth, {"label": truth, "p": [[0.9, 0.1], [0.1, 0.9]] * 2})
    wrong = measure(metric, truth, {"label": [1, 0, 1, 0], "p": [[0.1, 0.9], [0.9, 0.1]] * 2})
    assert gain(metric, right, wrong) > 0 > gain(metric, wrong, right)


def test_a_subject_is_what_sns_takes() -> None:
    subject = Notice.of("labcycle\nköln: " + "x" * 200, ["line"]).subject
    assert subject.startswith("labcycle k?ln: x") and subject.endswith("...")
    assert len(subject) < 100 and subject.isascii() and "\n" not in subject
