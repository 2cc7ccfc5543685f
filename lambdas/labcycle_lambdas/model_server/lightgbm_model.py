"""Versions that were logged with mlflow.lightgbm: a Booster, or an estimator with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Callable

import lightgbm

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.model_server.predicting import PREDICTION, Predicting
from labcycle_lambdas.model_server.schema import Schema
from labcycle_lambdas.model_server.sklearn_answers import answers_of
from labcycle_lambdas.model_server.unpickling import loaded, unpickled


def load(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Predicting:
    """The model of a version, of a file that `read` gives. Raises `Unusable` where it cannot be run."""
    runtime, content = deployed.runtime or {}, read(deployed.model_file)
    schema = Schema.of(deployed.signature)
    if "format" in runtime:
        model = loaded(lambda: unpickled(content, runtime))
        return Predicting(schema, answers_of(model, runtime["predict"]))
    booster = loaded(lambda: lightgbm.Booster(model_str=content.decode()))
    return Predicting(schema, {PREDICTION: booster.predict})
