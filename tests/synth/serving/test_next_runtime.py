"""A team with a second runtime beside the first: whatever loads versions finds the packages of both."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from labcycle._assets import AssetError, packages_archive
from labcycle.config import Lock, names
from labcycle.serving import ModelRuntime
from labcycle.serving.server_image import context_files
from tests.one_team import synthesized
from tests.synth.assembly import of_type, statements
from tests.synth.serving.test_runtimes import IMAGE, LOADING, PACKAGES, TARGET, TEAM, Nova, model
from tests.wheels import wheel

RUNTIME = {
    "flavour": "sklearn",
    "requirements": "locks/old.txt",
    "next": {"flavour": "sklearn", "requirements": "locks/new.txt"},
}
BOTH = {
    **TEAM,
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
        model("tasks", {"form": "api", "runtime": "fargate"}, runtime=RUNTIME),
        model("endpoint", {"form": "api", "runtime": "sagemaker", "mode": "serverless"}, runtime=RUNTIME),
    ],
}


def lock(folder: Path, version: str, **more: Any) -> Lock:
    return Lock.read("\n".join(wheel(folder, package, version, **more) for package in PACKAGES))


@pytest.fixture(scope="module")
def locks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("wheels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_FIND_LINKS", str(folder))
        yield lock(folder, "9.9.2+synth"), lock(folder, "9.10.0+synth")


@pytest.fixture(scope="module")
def nova(locks: tuple[Lock, Lock], tmp_path_factory: pytest.TempPathFactory) -> Nova:
    folder = tmp_path_factory.mktemp("both")
    (folder / "locks").mkdir()
    for name, one in zip(("old", "new"), locks, strict=True):
        (folder / "locks" / f"{name}.txt").write_text(one.text)
    assembly = synthesized(folder, BOTH, TARGET)
    found = [stack for nested in assembly.nested_assemblies for stack in nested.nested_assembly.stacks]
    stacks = {stack.stack_name.removeprefix("labcycle-nova-"): stack.template for stack in found}
    return Nova(locks[0], stacks, folder / "assembly")


@pytest.fixture
def runtime(locks: tuple[Lock, Lock]) -> ModelRuntime:
    return ModelRuntime("sklearn", locks[0], ModelRuntime("sklearn", locks[1]))


def told(variables: dict[str, Any]) -> Any:
    """The variable, with what is known at deployment alone by its names."""
    found = variables["NEXT_RUNTIME"]
    if isinstance(found, dict):
        found = "".join(part if isinstance(part, str) else "<>" for part in found["Fn::Join"][1])
    return json.loads(found)


def test_each_function_that_loads_versions_may_fetch_the_packages_of_the_next_runtime(
    nova: Nova, runtime: ModelRuntime
) -> None:
    assert runtime.next
    _, sha256 = packages_archive(runtime.next.lock)
    functions = nova.functions("everything")
    keys = set()
    for folder in LOADING:
        one = functions[folder]
        place = told(one["Environment"]["Variables"])
        assert (place["digest"], place["sha256"]) == (runtime.next.digest, sha256)
        assert place["folder"] == f"/tmp/runtimes/{runtime.next.digest}"
        assert place["seconds"] == one["Timeout"]  # an answer of a batch may take longer than one of an API
        assert one["EphemeralStorage"]["Size"] == 1024 if folder in ("model_server", "shadow") else 4096
        keys.add(place["key"])
        assert "9.9.2+synth" in (nova.code(one) / "numpy" / "__init__.py").read_text()
    (key,) = keys
    readers = [
        one for _, one in statements(nova.stacks["model-everything"]) if key in json.dumps(one.get("Resource", ""))
    ]
    assert [one["Action"] for one in readers] == ["s3:GetObject"] * len(LOADING)
    assert "NEXT_RUNTIME" not in functions["monitoring"]["Environment"]["Variables"]


def test_the_archive_holds_the_packages_and_is_the_same_each_time(nova: Nova, runtime: ModelRuntime) -> None:
    assert runtime.next
    archive, sha256 = packages_archive(runtime.next.lock)
    (published,) = nova.folder.rglob("asset.*.zip")
    assert hashlib.sha256(published.read_bytes()).hexdigest() == sha256
    with zipfile.ZipFile(archive) as held:
        assert b"9.10.0+synth" in held.read("numpy/__init__.py")
        assert "labcycle_lambdas" not in {name.split("/")[0] for name in held.namelist()}


@pytest.mark.parametrize("name", ["everything", "tasks", "endpoint"])
def test_promotions_are_told_of_both(nova: Nova, runtime: ModelRuntime, name: str) -> None:
    document = json.loads(nova.parameters(name)[names.model_server_runtime_parameter("nova", name)])
    assert runtime.next
    assert (document["digest"], document["next"]["digest"]) == (runtime.digest, runtime.next.digest)
    assert document["next"]["pins"]["numpy"] == "9.10.0+synth"


def test_images_hold_both(nova: Nova, runtime: ModelRuntime) -> None:
    (task,) = of_type(nova.stacks["model-tasks"], "AWS::ECS::TaskDefinition")
    variables = {one["Name"]: one["Value"] for one in task["ContainerDefinitions"][0]["Environment"]}
    (endpoint,) = of_type(nova.stacks["model-endpoint"], "AWS::SageMaker::Model")
    assert runtime.next
    place = {"digest": runtime.next.digest, "folder": f"/opt/runtimes/{runtime.next.digest}", "seconds": 29}
    assert told(variables) == told(endpoint["PrimaryContainer"]["Environment"]) == place
    files = context_files(runtime=runtime)
    assert f"--target {place['folder']} -r next-requirements.txt" in files["Dockerfile"]
    assert f"ln -s /server/labcycle_lambdas {place['folder']}/labcycle_lambdas" in files["Dockerfile"]
    assert "9.10.0+synth" in files["next-requirements.txt"] and "9.10.0+synth" not in files["requirements.txt"]
    assert "opt/runtimes" not in context_files()["Dockerfile"]


def test_packages_that_no_disk_is_made_for(locks: tuple[Lock, Lock], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labcycle._assets.ARCHIVED_LIMIT_BYTES", 10)
    monkeypatch.setattr("labcycle._assets._LAYOUT", "of this test")
    with pytest.raises(AssetError, match=r"next runtime are .* MB; allowed"):
        packages_archive(locks[1])


def test_a_next_lock_without_hashes_builds_no_image(runtime: ModelRuntime) -> None:
    plain = ModelRuntime("sklearn", Lock.read("six==1.0"))
    with pytest.raises(ValueError, match="got pins without hashes"):
        context_files(runtime=ModelRuntime("sklearn", runtime.lock, plain))
