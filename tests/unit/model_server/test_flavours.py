"""Versions of each flavour answer what MLflow's own pyfunc answers, and what is wrong with them is told."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import predictions_to_json

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server import predicting
from labcycle_lambdas.model_server.flavours import module_of
from labcycle_lambdas.model_server.loading import Loader
from labcycle_lambdas.model_server.model_files import loaded_files
from labcycle_lambdas.model_server.runnable import CannotCompute, Runnable, Unusable
from labcycle_lambdas.model_server.scoring import score
from tests.unit.model_server import flavoured
from tests.unit.model_server.flavoured import FRAME, MIXED, prepared, runtime
from tests.unit.serving.workshop import BUCKET, FEATURES, LABELS, ROWS, Trained, World, classifier, request

MODELS: dict[str, tuple[str, Callable[[], Trained], pd.DataFrame]] = {
    **{
        f"sklearn as {format}": ("sklearn", lambda format=format: flavoured.sklearn(format), FRAME)  # type: ignore[misc]
        for format in ("skops", "pickle", "cloudpickle")
    },
    "sklearn probabilities": ("sklearn", lambda: flavoured.sklearn("pickle", "predict_proba"), FRAME),
    "sklearn with columns of all types": ("sklearn", flavoured.sklearn_mixed, MIXED),
    "sklearn with two targets": ("sklearn", flavoured.sklearn_two_targets, FRAME),
    **{
        f"xgboost as {format}": ("xgboost", lambda format=format: flavoured.xgboost_booster(format), FRAME)  # type: ignore[misc]
        for format in ("xgb", "ubj", "json")
    },
    "xgboost estimator": ("xgboost", flavoured.xgboost_classifier, FRAME),
    "lightgbm": ("lightgbm", flavoured.lightgbm_booster, FRAME),
    "lightgbm estimator": ("lightgbm", flavoured.lightgbm_classifier, FRAME),
    "pyfunc of an array": ("pyfunc", lambda: flavoured.pyfunc("model_input.to_numpy()[:, 0] * self.factor"), FRAME),
    "pyfunc of a list": ("pyfunc", lambda: flavoured.pyfunc("[None, *range(1, len(model_input))]"), FRAME),
    "pyfunc of a series": ("pyfunc", lambda: flavoured.pyfunc("model_input.iloc[:, 1] * self.factor"), FRAME),
    "pyfunc of a frame": ("pyfunc", lambda: flavoured.pyfunc("model_input.assign(label='a')"), FRAME),
    "pyfunc of sklearn": ("pyfunc", lambda: flavoured.sklearn("pickle"), FRAME),
    "pyfunc of xgboost": ("pyfunc", flavoured.xgboost_booster, FRAME),
}
WITHOUT_PANDAS = [name for name, (flavour, *_) in MODELS.items() if flavour != "pyfunc" and "all types" not in name]


def load(world: World, deployed: Deployed) -> Runnable:
    return Loader(world.s3, BUCKET)(deployed)


def answers(model: Runnable, frame: pd.DataFrame, **more: Any) -> list[Any]:
    rows = [list(row) for row in zip(*(frame[name].tolist() for name in frame), strict=True)]
    body = {"dataframe_split": {"columns": list(frame), "data": rows}, **more}
    return score(request("POST", "/invocations", body), model).predictions


def mlflow_answers(model: Trained, frame: pd.DataFrame, folder: Path) -> list[Any]:
    for path, content in model.content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    said, predictions = io.StringIO(), mlflow.pyfunc.load_model(str(folder)).predict(frame)
    if isinstance(predictions, pd.Series):  # of which its server makes an object a row, with the name of the series
        predictions = predictions.to_numpy()
    predictions_to_json(predictions, said)
    return list(json.loads(said.getvalue())["predictions"])


def close(value: Any) -> Any:
    """Without the last digits, in which sums differ that were added up in another order."""
    if isinstance(value, list):
        return [close(one) for one in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


@pytest.fixture
def no_pandas(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(predicting, "PANDAS", None)
    yield


@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_those_of_mlflow(world: World, name: str, tmp_path: Path) -> None:
    flavour, make, frame = MODELS[name]
    model = load(world, prepared(world, make(), runtime(flavour)))
    expected = mlflow_answers(make(), frame, tmp_path)
    assert len(expected) == len(frame)
    assert answers(model, frame) == expected
    assert close(answers(model, frame[:1])) == close(expected[:1])
    assert answers(model, frame[frame.columns[::-1]]) == expected


@pytest.mark.usefixtures("no_pandas")
@pytest.mark.parametrize("name", WITHOUT_PANDAS)
def test_without_pandas_they_are_the_same(world: World, name: str, tmp_path: Path) -> None:
    flavour, make, frame = MODELS[name]
    model = load(world, prepared(world, make(), runtime(flavour, pandas=None)))
    assert close(answers(model, frame)) == close(mlflow_answers(make(), frame, tmp_path))


@pytest.mark.usefixtures("no_pandas")
def test_what_names_its_columns_needs_pandas(world: World) -> None:
    with pytest.raises(Unusable, match="pin pandas"):
        load(world, prepared(world, flavoured.sklearn_mixed(), runtime("sklearn", pandas=None)))


@pytest.mark.parametrize("without", [False, True])
def test_an_array_of_a_nameless_tensor(world: World, without: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if without:
        monkeypatch.setattr(predicting, "PANDAS", None)
    trained = flavoured.sklearn("pickle", named=False)
    model = load(world, prepared(world, trained, runtime("sklearn")))
    body = {"inputs": ROWS.tolist()}
    said = score(request("POST", "/invocations", body), model).predictions
    assert said == trained.estimator.predict(ROWS).tolist()
    with pytest.raises(MlflowError, match="the data have"):
        score(request("POST", "/invocations", {"inputs": [[1.0, 2.0]]}), model)


@pytest.mark.parametrize(
    ("flavour", "make"),
    [
        ("sklearn", flavoured.sklearn),
        ("xgboost", flavoured.xgboost_classifier),
        ("lightgbm", flavoured.lightgbm_classifier),
    ],
)
def test_a_classifier_tells_its_probabilities_too(world: World, flavour: str, make: Callable[[], Trained]) -> None:
    trained = make()
    model = load(world, prepared(world, trained, runtime(flavour)))
    said = answers(model, FRAME, params={"outputs": "all"})
    assert [one["prediction"] for one in said] == trained.estimator.predict(FRAME).tolist()
    assert [one["probabilities"] for one in said] == trained.estimator.predict_proba(FRAME).tolist()


def test_columns_are_held_against_the_signature(world: World) -> None:
    model = load(world, prepared(world, flavoured.sklearn(), runtime("sklearn")))
    with pytest.raises(MlflowError, match="missing: 'mean area'"):
        answers(model, FRAME[FEATURES[:2]])
    assert answers(model, FRAME[:0]) == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("[1, 2]", "gave 2 answers for 60 rows"),
        ("1 / 0", "ZeroDivisionError"),
        ("[object()] * len(model_input)", "answers object, which JSON cannot carry"),
        ("exit(3)", "SystemExit"),
    ],
)
def test_an_answer_that_is_none_is_the_models_failure(world: World, answer: str, says: str) -> None:
    model = load(world, prepared(world, flavoured.pyfunc(answer), runtime("pyfunc")))
    with pytest.raises(CannotCompute, match=says):
        answers(model, FRAME)


def test_what_json_cannot_carry_is_null(world: World) -> None:
    model = load(world, prepared(world, flavoured.pyfunc("[float('nan')] * len(model_input)"), runtime("pyfunc")))
    assert answers(model, FRAME[:2]) == [None, None]


class Harmful:
    """Runs when it is unpickled."""

    def __init__(self, statement: str) -> None:
        self.statement = statement

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.statement,)


def sklearn_of(content: bytes) -> Trained:
    return Trained({**flavoured.sklearn("pickle").content, "model.pkl": content})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no pickle", "cannot be loaded: UnpicklingError"),
        (pickle.dumps(Harmful("raise SystemExit(3)")), "SystemExit"),
        (pickle.dumps(Harmful("import no_such_package.inner")), "the package no_such_package, which the requirements"),
        (pickle.dumps([1]), "a list has no predict"),
    ],
)
def test_bytes_that_cannot_be_loaded(world: World, content: bytes, says: str) -> None:
    with pytest.raises(Unusable, match=says):
        load(world, prepared(world, sklearn_of(content), runtime("sklearn")))


def test_nothing_is_unpickled_but_what_was_promoted(world: World, tmp_path: Path) -> None:
    deployed = prepared(world, flavoured.sklearn("pickle"), runtime("sklearn"))
    trace = tmp_path / "trace"
    file = deployed.model_file
    changed = pickle.dumps(Harmful(f"open({str(trace)!r}, 'w').close()"))
    version = world.s3.put_object(Bucket=BUCKET, Key=file.key, Body=changed)["VersionId"]
    other = Deployed(**{**vars(deployed), "model_file": type(file)(**{**vars(file), "version_id": version})})
    with pytest.raises(Unusable, match="they are not loaded"):
        load(world, other)
    assert not trace.exists()
    pickle.loads(changed)
    assert trace.exists(), "else this test proves nothing"


def test_a_skops_file_with_types_that_were_not_trusted(world: World) -> None:
    content = flavoured.sklearn("skops").content
    tampered = Trained({**content, "model.skops": _with_a_function(content["model.skops"])})
    with pytest.raises(Unusable, match="UntrustedTypesFoundException"):
        load(world, prepared(world, tampered, runtime("sklearn")))


def _with_a_function(content: bytes) -> bytes:
    import skops.io

    model = skops.io.loads(content)
    model.extra = os.system
    made: bytes = skops.io.dumps(model)
    return made


@pytest.mark.parametrize("flavour", ["sklearn", "xgboost", "lightgbm"])
def test_one_file_is_loaded_and_of_a_pyfunc_all(world: World, flavour: str) -> None:
    make = {"sklearn": flavoured.sklearn, "xgboost": flavoured.xgboost_booster, "lightgbm": flavoured.lightgbm_booster}
    deployed = prepared(world, make[flavour](), runtime(flavour))
    assert loaded_files(deployed) == [deployed.model_file]
    deployed = prepared(world, make[flavour](), runtime("pyfunc"))
    assert loaded_files(deployed) == list(deployed.files)


def test_a_signature_in_another_order_than_the_model(world: World) -> None:
    booster = flavoured.xgboost_booster().estimator
    frame = FRAME[FEATURES[::-1]]
    trained = flavoured.saved(mlflow.xgboost.save_model, booster, frame, LABELS)
    with pytest.raises(Unusable, match="in the same order"):
        load(world, prepared(world, trained, runtime("xgboost")))


def test_a_server_without_the_flavours_packages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = prepared(world, flavoured.xgboost_booster(), runtime("xgboost"))
    monkeypatch.setitem(sys.modules, "xgboost", None)
    monkeypatch.delitem(sys.modules, "labcycle_lambdas.model_server.xgboost_model", raising=False)
    with pytest.raises(Unusable, match="has not what the flavour xgboost needs"):
        load(world, deployed)


def test_graphs_are_loaded_as_before(world: World) -> None:
    deployed = world.preflight.prepare("card-fraud", world.register(classifier()))
    assert deployed.runtime is None
    assert type(load(world, deployed)) is module_of("onnx").Graph
