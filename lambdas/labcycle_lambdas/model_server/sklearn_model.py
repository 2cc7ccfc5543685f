"""Versions that were logged with mlflow.sklearn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sklearn  # noqa: F401 - brings what takes longest

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.model_server import predicting
from labcycle_lambdas.model_server.predicting import Predicting
from labcycle_lambdas.model_server.runnable import Unusable
from labcycle_lambdas.model_server.schema import Schema
from labcycle_lambdas.model_server.sklearn_answers import answers_of
from labcycle_lambdas.model_server.unpickling import loaded, unpickled


def load(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Predicting:
    """The estimator of a version, of a file that `read` gives. Raises `Unusable` where it cannot be run."""
    runtime, content = deployed.runtime or {}, read(deployed.model_file)
    model = loaded(lambda: unpickled(content, runtime))
    names = None
    if predicting.PANDAS is None:
        if any(_by_name(model)):
            raise Unusable(
                "it takes columns by their names, for which it needs a data frame: pin pandas in the requirements of the model's runtime"
            )
        trained_on = getattr(model, "feature_names_in_", None)
        names = None if trained_on is None else [str(name) for name in trained_on]
    return Predicting(Schema.of(deployed.signature), answers_of(model, runtime["predict"]), names=names)


def _by_name(model: Any) -> Iterator[bool]:
    """Whether a ColumnTransformer somewhere in a pipeline names its columns."""
    for _, _, columns in getattr(model, "transformers_", ()):
        yield isinstance(columns, str) or (isinstance(columns, list) and any(isinstance(one, str) for one in columns))
    for _, step in getattr(model, "steps", ()):
        yield from _by_name(step)
