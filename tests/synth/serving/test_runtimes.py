"""A team whose models have runtimes of their own: whatever loads versions is made from the model's lock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labcycle._assets import stage
from labcycle.config import Lock, names
from labcycle.serving import ModelRuntime
from labcycle.serving.server_image import context_files
from tests.one_team import synthesized
from tests.synth.assembly import of_type, statements
from tests.wheels import wheel

PACKAGES = ("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl", "six")
LOADING = ("model_server", "shadow", "batch", "promotion", "reaction")
RUNTIME = {"flavour": "sklearn", "requirements": "locks/all.txt"}
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/labcycle-training:1"
TARGET: dict[str, Any] = {
    "target": "eu",
    "account": "123456789012",
    "region": "eu-west-1",
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "eu", "egress": "nat"},
}


def model(name: str, *forms: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "business_owner": "a@example.com", "deliver": list(forms), **more}


TEAM: dict[str, Any] = {
    "team": "nova",
    "owner": "nova@example.com",
    "cost_centre": "cc-1",
    "target": "eu",
    "stage": "sandbox",
    "members": [{"name": "ann", "principal": {"iam_user": "ann"}, "roles": ["data_scientist"]}],
    "models": [
        model(
            "everything",
            {"form": "api", "runtime": "lambda", "memory_mb": 4096, "shadow": {}},
            {"form": "batch"},
            runtime=RUNTIME,
            promotion={},
            monitor={},
            retrain={"image": IMAGE},
            react=[{"on": ["drift"], "do": "retrain"}],
        ),
        model("batches", {"form": "batch"}, runtime=RUNTIME),
        model("tasks", {"form": "api", "runtime": "fargate"}, runtime=RUNTIME),
        model("endpoint", {"form": "api", "runtime": "sagemaker", "mode": "serverless"}, runtime=RUNTIME),
        model("graphs", {"form": "api", "runtime": "lambda"}),
    ],
}


@dataclass(frozen=True)
class Nova:
    lock: Lock
    stacks: dict[str, Any]
    folder: Path

    def functions(self, name: str) -> dict[str, Any]:
        """Those of a model, by the folder of their code; and its shadow."""
        found = of_type(self.stacks[f"model-{name}"], "AWS::Lambda::Function")
        by_module = {one["Handler"].removeprefix("labcycle_lambdas.").removesuffix(".handle"): one for one in found}
        return {
            name.removesuffix(".handler").replace("model_server.shadow_handler", "shadow"): one
            for name, one in by_module.items()
        }

    def code(self, function: Any) -> Path:
        (assets,) = self.folder.rglob(f"asset.{function['Code']['S3Key'].removesuffix('.zip')}")
        return assets

    def parameters(self, name: str) -> dict[str, str]:
        return {one["Name"]: one["Value"] for one in of_type(self.stacks[f"model-{name}"], "AWS::SSM::Parameter")}


@pytest.fixture(scope="module")
def nova(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("nova")
    (folder / "locks").mkdir()
    pins = [wheel(folder / "wheels", package, "9.9.1+synth") for package in PACKAGES]
    (folder / "locks" / "all.txt").write_text("\n".join(pins))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_FIND_LINKS", str(folder / "wheels"))
        assembly = synthesized(folder, TEAM, TARGET)
    found = [stack for nested in assembly.nested_assemblies for stack in nested.nested_assembly.stacks]
    stacks = {stack.stack_name.removeprefix("labcycle-nova-"): stack.template for stack in found}
    return Nova(Lock.read("\n".join(pins)), stacks, folder / "assembly")


def runtime(nova: Nova) -> ModelRuntime:
    return ModelRuntime("sklearn", nova.lock)


def test_all_that_loads_versions_has_the_lock_in_the_place_of_onnx_runtime(nova: Nova) -> None:
    functions = nova.functions("everything")
    for folder in LOADING:
        code = nova.code(functions[folder])
        assert "9.9.1+synth" in (code / "numpy" / "__init__.py").read_text()
        assert (code / "scikit_learn").is_dir()
        assert not (code / "onnxruntime").exists()
        assert (code / "yaml").is_dir() == (folder in ("promotion", "reaction"))
    assert not (nova.code(functions["monitoring"]) / "scikit_learn").exists()


def test_each_knows_its_flavour_and_the_processors_that_it_bought(nova: Nova) -> None:
    functions = nova.functions("everything")
    for folder in LOADING:
        variables = functions[folder]["Environment"]["Variables"]
        threads = "1" if folder == "reaction" else "2"
        assert (variables["FLAVOUR"], variables["OMP_NUM_THREADS"]) == ("sklearn", threads)
    assert functions["promotion"]["Environment"]["Variables"]["RUNTIME"] == runtime(nova).document


@pytest.mark.parametrize("name", ["everything", "batches", "tasks", "endpoint"])
def test_promotions_are_told_what_the_server_is_made_from(nova: Nova, name: str) -> None:
    document = json.loads(nova.parameters(name)[names.model_server_runtime_parameter("nova", name)])
    assert document == {
        "flavour": "sklearn",
        "digest": runtime(nova).digest,
        "python": "3.13",
        "pins": dict.fromkeys(PACKAGES, "9.9.1+synth"),
    }


def test_who_promotes_may_read_it(nova: Nova) -> None:
    for stack, model_name in (("tracking", "*"), ("model-everything", "everything")):
        resource = f"parameter{names.model_server_runtime_parameter('nova', model_name)}"
        readers = [
            one
            for _, one in statements(nova.stacks[stack])
            if one["Action"] == "ssm:GetParameter" and resource in json.dumps(one["Resource"])
        ]
        assert len(readers) == 1, stack


def test_containers_know_their_flavour_and_their_image_has_the_lock(nova: Nova) -> None:
    (task,) = of_type(nova.stacks["model-tasks"], "AWS::ECS::TaskDefinition")
    told = {one["Name"]: one["Value"] for one in task["ContainerDefinitions"][0]["Environment"]}
    (endpoint,) = of_type(nova.stacks["model-endpoint"], "AWS::SageMaker::Model")
    for variables in (told, endpoint["PrimaryContainer"]["Environment"]):
        assert (variables["FLAVOUR"], variables["OMP_NUM_THREADS"]) == ("sklearn", "1")
    contexts = [path for path in nova.folder.rglob("asset.*/requirements.txt") if path.with_name("Dockerfile").exists()]
    (requirements,) = {path.read_text() for path in contexts}
    lock = Lock.read(requirements)
    assert lock.hashed and dict.fromkeys(PACKAGES, "9.9.1+synth").items() <= lock.pins.items()
    assert {"gunicorn", "botocore"} <= lock.pins.keys()
    assert "onnxruntime" not in lock.pins


def test_a_model_without_runtime_is_as_before(nova: Nova) -> None:
    (server,) = nova.functions("graphs").values()
    assert "FLAVOUR" not in server["Environment"]["Variables"]
    assert nova.code(server).joinpath("onnxruntime").is_dir()
    assert names.model_server_runtime_parameter("nova", "graphs") not in nova.parameters("graphs")
    assert json.loads((stage("model_server") / "vendored.json").read_text())["lock"]


def test_a_digest_names_all_that_a_version_needs(nova: Nova) -> None:
    pins = nova.lock.text.splitlines()
    same = ModelRuntime("sklearn", Lock.read("\n".join([*pins[::-1], "# another order"])))
    others = [ModelRuntime("pyfunc", nova.lock), ModelRuntime("sklearn", Lock.read("\n".join(pins[:-1])))]
    assert same.digest == runtime(nova).digest
    assert len({runtime(nova).digest, *(other.digest for other in others)}) == 3


def test_an_image_is_not_built_from_pins_without_hashes() -> None:
    with pytest.raises(ValueError, match="got pins without hashes"):
        context_files(runtime=ModelRuntime("sklearn", Lock.read("six==1.0")))
