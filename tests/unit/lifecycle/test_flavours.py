"""Which versions fit the runtime of their model's server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
import yaml

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.lifecycle.flavours import Runtime
from labcycle_lambdas.lifecycle.preflight import Preflight, notes
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from tests.unit.model_server import flavoured
from tests.unit.model_server.flavoured import preflight, runtime
from tests.unit.serving.workshop import MODEL, REVIEWER, Trained, World, classifier, request

MEND = r"Log the model with mlflow\.sklearn\.log_model.*under `next` of that runtime, deploy"


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


# ---- two runtimes, and roll backs -----------------------------------------------------------------------------------


def both(first: Runtime, following: Runtime) -> Runtime:
    return replace(first, digest="first", next=replace(following, digest="next"))


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        ({}, {"numpy": "1.26.4"}, "first"),
        ({"numpy": "1.26.4"}, {}, "next"),
        ({}, {}, "first"),
        ({"scipy": f"{runtime('sklearn').pins['scipy']}.9"}, {}, "next"),  # another patch, and none
    ],
)
def test_of_two_runtimes_the_one_that_differs_less_loads_a_version(
    world: World, older: dict[str, str | None], newer: dict[str, str | None], expected: str
) -> None:
    of = both(runtime("sklearn", **older), runtime("sklearn", **newer))
    deployed = preflight(world, of).prepare(MODEL, world.register(flavoured.sklearn()))
    assert deployed.runtime and deployed.runtime["digest"] == expected


def test_two_runtimes_may_differ_in_their_flavour(world: World) -> None:
    of = both(runtime("lightgbm"), runtime("sklearn"))
    deployed = preflight(world, of).prepare(MODEL, world.register(flavoured.sklearn()))
    assert deployed.runtime and (deployed.runtime["flavour"], deployed.runtime["digest"]) == ("sklearn", "next")


def test_what_fits_neither_is_told_of_both_and_once_what_to_do(world: World) -> None:
    said = refused(world, flavoured.sklearn(), both(runtime("sklearn", numpy="1.26.4"), runtime("lightgbm")))
    assert re.search(rf"numpy .*1\.26\.4.* By the next runtime: .*has no lightgbm flavor.*{MEND}", said)
    assert said.count("Log the model") == 1


def test_a_runtime_is_read_with_the_next() -> None:
    of = both(runtime("sklearn"), runtime("lightgbm"))
    assert Runtime.read(json.dumps(asdict(of))) == of


class Taken:
    """Two versions that were promoted one after the other, by a server with `memory_mb`."""

    def __init__(self, world: World, of: Runtime | None, *models: Trained) -> None:
        self.world = world
        self.versions = [world.register(model) for model in models]
        for version in self.versions:
            deployed = preflight(world, of).prepare(MODEL, version)
            world.deployments.promote(MODEL, deployed, REVIEWER)

    def held(self, of: Runtime | None, **how: int) -> int | None:
        server = replace(preflight(self.world, of), server_memory_mb=lambda model: 2048)
        return server.check_roll_back(MODEL, **how)


def test_a_roll_back_to_what_is_deployed_reads_no_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    of = both(runtime("sklearn"), runtime("sklearn", numpy="1.26.4"))
    taken = Taken(world, of, flavoured.sklearn(), flavoured.sklearn("pickle"))
    monkeypatch.setattr(Preflight, "_read", None)
    moved_up = replace(runtime("lightgbm"), digest="other", next=replace(of, next=None))
    assert taken.held(of) == taken.held(moved_up) == 1


def test_a_roll_back_to_packages_that_are_deployed_no_more_is_refused(world: World) -> None:
    taken = Taken(world, runtime("sklearn"), flavoured.sklearn(), flavoured.sklearn("pickle"))
    changed = replace(runtime("sklearn", numpy="1.26.4"), digest="changed")
    with pytest.raises(Refused, match=rf"Nothing was rolled back.*Version 1 .*numpy .*{MEND}"):
        taken.held(changed)
    with pytest.raises(Refused, match=r"Nothing was rolled back.*has no ONNX flavor"):
        taken.held(None)
    assert taken.held(replace(runtime("sklearn"), digest="another patch of joblib")) == 1


def test_a_roll_back_to_packages_that_fit_the_next_runtime_is_a_promotion(world: World) -> None:
    taken = Taken(world, runtime("sklearn"), flavoured.sklearn(), flavoured.sklearn("pickle"))
    with pytest.raises(Refused, match=r"fits one that is: promote it instead \(labcycle models promote card-fraud 1\)"):
        taken.held(both(runtime("sklearn", numpy="1.26.4"), runtime("sklearn")))


def test_a_graph_is_not_taken_back_to_by_a_server_of_estimators(world: World) -> None:
    taken = Taken(world, None, classifier(), classifier(regularisation=0.1))
    assert taken.held(None) == 1
    with pytest.raises(Refused, match=r"Nothing was rolled back.*has no sklearn flavor"):
        taken.held(runtime("sklearn"))


def test_what_makes_no_version_live_is_not_held(world: World) -> None:
    taken = Taken(world, runtime("sklearn"), flavoured.sklearn(), flavoured.sklearn("pickle"))
    changed = replace(runtime("sklearn", numpy="1.26.4"), digest="changed")
    assert taken.held(changed, from_version=1) is None
    assert preflight(world, changed).check_roll_back(MODEL) is None  # no server is deployed
    canary = preflight(world, runtime("sklearn")).prepare(MODEL, world.register(flavoured.sklearn("cloudpickle")))
    world.deployments.try_out(MODEL, canary, 10, REVIEWER)
    assert taken.held(changed) is None


def test_the_route_refuses_before_anything_changes(world: World) -> None:
    Taken(world, runtime("sklearn"), flavoured.sklearn(), flavoured.sklearn("pickle"))
    changed = replace(runtime("sklearn", numpy="1.26.4"), digest="changed")
    server = replace(preflight(world, changed), server_memory_mb=lambda model: 2048)
    api = Lifecycle(world.table, server, Members("fraud"))
    asked = request("POST", f"/labcycle/1.0/models/{MODEL}/rollback", {})
    answer = api.answer(asked).to_event()
    assert (answer["statusCode"], "Nothing was rolled back" in answer["body"]) == (400, True)
    live = world.deployments.current(MODEL).live
    assert live and live.version == 2


def test_the_process_of_the_next_runtime_is_counted(world: World) -> None:
    of = both(runtime("sklearn", numpy="1.26.4"), runtime("sklearn"))
    server = replace(preflight(world, of), server_memory_mb=lambda model: 500)
    number = world.register(flavoured.sklearn())
    with pytest.raises(
        Refused, match=r"need 768 MB of memory \(6 times the files while versions are switched, and 768 MB\)"
    ):
        server.prepare(MODEL, number)
    alone = both(runtime("sklearn"), runtime("sklearn", numpy="1.26.4"))
    assert replace(server, server_runtime=lambda model: alone).prepare(MODEL, number).version == number
