"""Versions that were logged with mlflow.xgboost: a Booster, or an estimator with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xgboost

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.model_server.predicting import PREDICTION, Predicting
from labcycle_lambdas.model_server.runnable import Unusable
from labcycle_lambdas.model_server.schema import Schema
from labcycle_lambdas.model_server.sklearn_answers import answers_of
from labcycle_lambdas.model_server.unpickling import loaded


def load(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Predicting:
    """The model of a version, of a file that `read` gives. Raises `Unusable` where it cannot be run."""
    runtime, content = deployed.runtime or {}, bytearray(read(deployed.model_file))
    name = runtime["class"].rpartition(".")[2]
    kind = getattr(xgboost, name, None)
    if not isinstance(kind, type):
        raise Unusable(f"xgboost {xgboost.__version__} has no {name}")

    def made() -> Any:
        model = kind()
        model.load_model(content)
        return model

    model = loaded(made)
    booster = model if name == "Booster" else model.get_booster()
    names = booster.feature_names
    schema = Schema.of(deployed.signature)
    if name == "Booster":

        def predict(data: Any) -> Any:
            matrix = xgboost.DMatrix(data) if hasattr(data, "columns") else xgboost.DMatrix(data, feature_names=names)
            return booster.predict(matrix)

        return Predicting(schema, {PREDICTION: predict}, names=names)
    # Names were compared already; an array has none.
    return Predicting(schema, answers_of(model, runtime["predict"], validate_features=False), names=names)
