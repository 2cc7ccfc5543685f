"""Versions that MLflow itself loads, as mlflow.pyfunc: whatever their code does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow.pyfunc
import pandas

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.model_server.predicting import PREDICTION, Predicting
from labcycle_lambdas.model_server.runnable import Unusable
from labcycle_lambdas.model_server.schema import Schema
from labcycle_lambdas.model_server.unpickling import loaded


class _Function(Predicting):
    """A pyfunc, with the folder from which it was loaded: its code may read files there as long as it lives."""

    def __init__(self, deployed: Deployed, folder: TemporaryDirectory[str]) -> None:
        model = loaded(lambda: mlflow.pyfunc.load_model(folder.name))
        super().__init__(
            Schema.of(deployed.signature), {PREDICTION: lambda data: _rows(model.predict(data))}, named_tensors=True
        )
        self._folder = folder


def load(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Predicting:
    """The function of a version, of files that `read` gives. Raises `Unusable` where it cannot be run."""
    folder = TemporaryDirectory(prefix="pyfunc-")
    root = Path(folder.name).resolve()
    for file in deployed.files:
        target = (root / file.path).resolve()
        if not target.is_relative_to(root):
            raise Unusable(f"its file {file.path} lies outside of its folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read(file))
    return _Function(deployed, folder)


def _rows(result: Any) -> Any:
    """An answer a row, as MLflow's scoring server gives them: of a data frame an object each."""
    if isinstance(result, pandas.DataFrame):
        return result.to_dict(orient="records")
    return result.tolist() if isinstance(result, pandas.Series) else result
