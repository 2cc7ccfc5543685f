"""Which versions fit the runtime of their model's server."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import yaml

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.lifecycle.flavours import Runtime
from labcycle_lambdas.lifecycle.preflight import notes
from tests.unit.model_server import flavoured
from tests.unit.model_server.flavoured import preflight, runtime
from tests.unit.serving.workshop import MODEL, REVIEWER, Trained, World, classifier

MEND = r"Log the model with mlflow\.sklearn\.log_model.*or change the runtime in the team file, and deploy"


def changed(model: Trained, change: Callable[[dict[str, dict[str, object]]], object]) -> Trained:
    """With other flavours in its MLmodel file."""
    described = yaml.safe_load(model.content["MLmodel"])
    change(described["flavors"])
    return Trained({**model.content, "MLmodel": yaml.safe_dump(described).encode()})


def logged(*requirements: str) -> Trained:
    return Trained({**flavoured.sklearn().content, "requirements.txt": "\n".join(requirements).encode()})


def refused(world: World, model: Trained, of: Runtime) -> str:
    with pytest.raises(Refused) as error:
        preflight(world, of).prepare(MODEL, world.register(model))
    return str(error.value)


def test_what_fits_tells_how_it_is_loaded(world: World) -> None:
    deployed = preflight(world, runtime("sklearn")).prepare(MODEL, world.register(flavoured.sklearn()))
    assert deployed.model_file.path == "model.skops"
    assert deployed.runtime == {"flavour": "sklearn", "digest": "digest", "predict": "predict", "format": "skops"}
    assert not [note for note in notes(deployed) if "Version" in note]


def test_it_is_kept_with_what_is_live(world: World) -> None:
    deployed = preflight(world, runtime("sklearn")).prepare(MODEL, world.register(flavoured.sklearn()))
    world.deployments.promote(MODEL, deployed, REVIEWER)
    live = world.deployments.current(MODEL).live
    assert live and live.runtime == deployed.runtime


@pytest.mark.parametrize(
    ("model", "flavour", "says"),
    [
        (classifier, "sklearn", r"has no sklearn flavor \(its flavors: onnx, python_function\)"),
        (flavoured.xgboost_booster, "sklearn", "has no sklearn flavor"),
        (flavoured.sklearn, "lightgbm", "has no lightgbm flavor"),
    ],
)
def test_another_flavour_is_refused(world: World, model: Callable[[], Trained], flavour: str, says: str) -> None:
    said = refused(world, model(), runtime(flavour))
    assert re.search(says, said)
    assert f"mlflow.{flavour}.log_model" in said


def test_a_server_of_graphs_refuses_the_others_and_offers_a_runtime(world: World) -> None:
    with pytest.raises(
        Refused, match=r"model server runs ONNX.*give the model a runtime of its flavour in the team file"
    ):
        preflight(world, None).prepare(MODEL, world.register(flavoured.sklearn()))


@pytest.mark.parametrize(
    ("pins", "says"),
    [
        ({"scikit_learn": "1.7.2"}, r"scikit-learn [\d.]+ \(the server has 1\.7\.2\)"),
        ({"numpy": "1.26.4", "scipy": "1.11.0"}, r"numpy [\d.]+ \(the server has 1\.26\.4\); scipy"),
    ],
)
def test_other_packages_are_refused_by_name(world: World, pins: dict[str, str | None], says: str) -> None:
    assert re.search(f"{says}.*{MEND}", refused(world, flavoured.sklearn(), runtime("sklearn", **pins)))


def test_another_patch_is_noted(world: World) -> None:
    number = world.register(logged("scipy==1.17.0", "numpy==2.4.0+local ; python_version >= '3.9'", "other", "-r more"))
    deployed = preflight(world, runtime("sklearn", numpy="2.4.6", scipy="1.17.0")).prepare(MODEL, number)
    assert [note for note in notes(deployed) if "logged with" in note] == [
        "Version 1: it was logged with numpy 2.4.0+local, its server has 2.4.6."
    ]


def test_the_version_in_the_mlmodel_file_counts_without_requirements(world: World) -> None:
    content = {k: v for k, v in flavoured.sklearn().content.items() if k != "requirements.txt"}
    assert "scikit-learn" in refused(world, Trained(content), runtime("sklearn", scikit_learn="1.2.0"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f["sklearn"].update(code="code"), "brings code of its own"),
        (lambda f: f["sklearn"].update(serialization_format="joblib"), "serialized as 'joblib'"),
        (lambda f: f["sklearn"].update(pickled_model="other.pkl"), "names 'other.pkl' as its model"),
        (lambda f: f["python_function"].update(predict_fn="score"), "predicts by 'score'"),
        (lambda f: f.update(sklearn=[1]), "has no sklearn flavor"),
    ],
)
def test_what_cannot_be_loaded_is_refused(
    world: World, change: Callable[[dict[str, dict[str, object]]], object], says: str
) -> None:
    assert says in refused(world, changed(flavoured.sklearn(), change), runtime("sklearn"))


def test_a_class_of_something_else_is_refused(world: World) -> None:
    model = changed(flavoured.xgboost_booster(), lambda f: f["xgboost"].update(model_class="os.system"))
    assert "no class of xgboost" in refused(world, model, runtime("xgboost"))


def test_a_function_that_another_python_pickled_is_refused(world: World) -> None:
    model = changed(flavoured.pyfunc("[1]"), lambda f: f["python_function"].update(python_model="MLmodel"))
    assert "was pickled by Python" in refused(world, model, runtime("pyfunc", python="3.99"))
    preflight(world, runtime("pyfunc", python="3.99")).prepare(MODEL, world.register(flavoured.pyfunc("[1]")))


def test_a_function_needs_all_that_it_was_logged_with(world: World) -> None:
    model = Trained({**flavoured.pyfunc("[1]").content, "requirements.txt": b"mlflow==3.1\nsomething==1.0\n"})
    assert "something 1.0 (the server has none)" in refused(world, model, runtime("pyfunc"))


def test_an_estimator_that_another_python_pickled_is_noted(world: World) -> None:
    number = world.register(flavoured.sklearn("cloudpickle"))
    deployed = preflight(world, runtime("sklearn", python="3.99")).prepare(MODEL, number)
    assert any("was pickled by Python" in note for note in notes(deployed))


def test_a_stack_that_says_nothing_runs_graphs() -> None:
    assert Runtime.read("") is None
