"""Small models of all flavours, as stock MLflow logs them, and the runtimes that serve them."""

from __future__ import annotations

import platform
import sysconfig
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightgbm
import mlflow.lightgbm
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import labcycle_lambdas
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.lifecycle.flavours import Runtime
from labcycle_lambdas.lifecycle.preflight import Preflight
from tests.unit.serving.workshop import FEATURES, LABELS, MODEL, ROWS, Trained, World

FRAME = pd.DataFrame(ROWS, columns=FEATURES)
MIXED = pd.DataFrame(
    {
        "amount": ROWS[:, 0],
        "count": np.arange(len(ROWS), dtype=np.int64),
        "small": np.arange(len(ROWS), dtype=np.int32),
        "rate": ROWS[:, 1].astype(np.float32),
        "known": LABELS == 1,
        "kind": np.where(LABELS == 1, "shop", "web"),
    }
)
_PACKAGES = (
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "xgboost-cpu",
    "lightgbm",
    "mlflow-skinny",
    "skops",
    "cloudpickle",
)
_PINS = {name: version(name) for name in _PACKAGES}


def runtime(flavour: str, *, python: str | None = None, **pins: str | None) -> Runtime:
    """Of a server that has what is installed here; `pins` by names with underscores are other versions, None none."""
    changed = {name.replace("_", "-"): pin for name, pin in pins.items()}
    return Runtime(
        flavour,
        "digest",
        python or platform.python_version(),
        {k: v for k, v in {**_PINS, **changed}.items() if v is not None},
    )


def packages(folder: Path) -> Path:
    """The folder, with all that is installed here, and our own code: what a version that runs apart sees."""
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "labcycle_lambdas").unlink(missing_ok=True)
    (folder / "labcycle_lambdas").symlink_to(Path(labcycle_lambdas.__path__[0]).resolve())
    return folder


def preflight(world: World, of: Runtime | None) -> Preflight:
    return replace(world.preflight, server_runtime=lambda model: of)


def prepared(world: World, model: Trained, of: Runtime) -> Deployed:
    return preflight(world, of).prepare(MODEL, world.register(model))


def saved(save: Callable[..., None], model: Any, frame: Any, predictions: Any, **how: Any) -> Trained:
    """`save` is one of MLflow's save_model functions."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "model"
        how.setdefault("signature", infer_signature(frame, predictions))
        how.setdefault(
            "pip_requirements", ["mlflow", *(f"{one}=={pin}" for one, pin in _PINS.items() if "-" not in one)]
        )
        given = {"python_model": model} if save is mlflow.pyfunc.save_model else {"": model}
        if "" in given:
            save(model, path=str(folder), **how)
        else:
            save(path=str(folder), **given, **how)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return Trained({str(path.relative_to(folder)): path.read_bytes() for path in files}, model)


@cache
def sklearn(format: str = "skops", predict: str = "predict", named: bool = True) -> Trained:
    data = FRAME if named else ROWS
    model = LogisticRegression().fit(data, LABELS)
    return saved(
        mlflow.sklearn.save_model,
        model,
        data,
        getattr(model, predict)(data),
        serialization_format=format,
        pyfunc_predict_fn=predict,
    )


@cache
def sklearn_mixed() -> Trained:
    """Columns of all types, by name."""
    encoded = ColumnTransformer([("kind", OneHotEncoder(handle_unknown="ignore"), ["kind"])], remainder="passthrough")
    model = make_pipeline(encoded, RandomForestClassifier(3, random_state=1)).fit(MIXED, LABELS)
    return saved(mlflow.sklearn.save_model, model, MIXED, model.predict(MIXED), serialization_format="pickle")


@cache
def sklearn_two_targets() -> Trained:
    model = LinearRegression().fit(FRAME, ROWS[:, :2])
    return saved(mlflow.sklearn.save_model, model, FRAME, model.predict(FRAME), serialization_format="pickle")


@cache
def xgboost_booster(format: str = "ubj") -> Trained:
    model = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(FRAME, LABELS), 4)
    predictions = model.predict(xgboost.DMatrix(FRAME))
    return saved(mlflow.xgboost.save_model, model, FRAME, predictions, model_format=format)


@cache
def xgboost_classifier() -> Trained:
    model = xgboost.XGBClassifier(n_estimators=4).fit(FRAME, LABELS + (ROWS[:, 2] > 0.5))
    return saved(mlflow.xgboost.save_model, model, FRAME, model.predict(FRAME))


@cache
def lightgbm_booster() -> Trained:
    model = lightgbm.train({"verbose": -1, "min_data_in_leaf": 2}, lightgbm.Dataset(FRAME, LABELS), 4)
    return saved(mlflow.lightgbm.save_model, model, FRAME, model.predict(FRAME))


@cache
def lightgbm_classifier() -> Trained:
    model = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, min_child_samples=2).fit(FRAME, LABELS)
    return saved(mlflow.lightgbm.save_model, model, FRAME, model.predict(FRAME), serialization_format="cloudpickle")


FUNCTION = """
import mlflow
import pandas as pd

class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["factor"]) as file:
            self.factor = float(file.read())

    def predict(self, context, model_input, params=None):
        return {answer}

mlflow.models.set_model(Model())
"""


@cache
def pyfunc(answer: str) -> Trained:
    """Logged as code, with an artifact."""
    with TemporaryDirectory() as name:
        code, factor = Path(name) / "code.py", Path(name) / "factor.txt"
        code.write_text(FUNCTION.replace("{answer}", answer))
        factor.write_text("2.5")
        return saved(mlflow.pyfunc.save_model, str(code), FRAME, ROWS[:, 0], artifacts={"factor": str(factor)})
