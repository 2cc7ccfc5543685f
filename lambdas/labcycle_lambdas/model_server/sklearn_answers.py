"""What an estimator with scikit-learn's interface answers."""

from __future__ import annotations

from functools import partial
from typing import Any

from labcycle_lambdas.model_server.predicting import PREDICTION, Answer
from labcycle_lambdas.model_server.runnable import Unusable

PROBABILITIES = "probabilities"


def answers_of(model: Any, predict: str, **always: Any) -> dict[str, Answer]:
    """By the function `predict`, and of a classifier its probabilities too; `always` are arguments of each call. Raises `Unusable`
    where it has no such function."""
    if not callable(getattr(model, predict, None)):
        raise Unusable(f"a {type(model).__name__} has no {predict}")
    answers: dict[str, Answer] = {PREDICTION: partial(getattr(model, predict), **always)}
    if predict == "predict" and callable(getattr(model, "predict_proba", None)):
        answers[PROBABILITIES] = partial(model.predict_proba, **always)
    return answers
