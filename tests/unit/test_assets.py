"""Staging the code of functions: the same input gives the same folder, and a half-made one is never used."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labcycle import _assets
from labcycle._assets import VENDORED_MANIFEST, AssetError, stage
from labcycle.config import Lock
from tests.wheels import wheel


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of functions of its own, and an empty cache."""
    package = tmp_path / "labcycle_lambdas"
    for function in ("plain", "vendoring"):
        (package / function).mkdir(parents=True)
        (package / function / "handler.py").write_text("def handle(event, context): ...\n")
    (package / "vendoring" / "requirements.txt").write_text("no-such-package-of-ours==1.0\n")
    (package / "plain" / "__pycache__").mkdir()
    (package / "plain" / "__pycache__" / "handler.pyc").write_bytes(b"x")
    monkeypatch.setattr(_assets, "package_directory", lambda name: tmp_path / name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return package


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_code_and_nothing_else_is_staged(source: Path) -> None:
    assert set(files(stage("plain"))) == {
        "labcycle_lambdas/plain/handler.py",
        "labcycle_lambdas/vendoring/handler.py",
    }


def test_the_same_code_is_staged_once_and_changed_code_anew(source: Path) -> None:
    first = stage("plain")
    assert stage("plain") == first
    (source / "plain" / "handler.py").write_text("def handle(event, context): return 1\n")
    second = stage("plain")
    assert second != first
    assert b"return 1" in files(second)["labcycle_lambdas/plain/handler.py"]
    assert b"return 1" not in files(first)["labcycle_lambdas/plain/handler.py"]


def test_a_function_has_the_templates_of_its_name_and_no_others(source: Path) -> None:
    templates = source.parent / "labcycle_templates"
    for folder in ("plain", "other"):
        (templates / folder).mkdir(parents=True)
        (templates / folder / "page.html.j2").write_text("one")
    (templates / "__init__.py").write_text("")
    first = stage("plain")
    assert {name for name in files(first) if name.startswith("labcycle_templates/")} == {
        "labcycle_templates/__init__.py",
        "labcycle_templates/plain/page.html.j2",
    }
    (templates / "plain" / "page.html.j2").write_text("two")
    assert files(stage("plain"))["labcycle_templates/plain/page.html.j2"] == b"two"
    assert files(first)["labcycle_templates/plain/page.html.j2"] == b"one"


def test_another_python_of_lambda_is_staged_anew(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stage("plain")
    monkeypatch.setattr(_assets, "LAMBDA_PYTHON", "3.99")
    assert stage("plain") != first


def test_wheels_that_cannot_be_had_are_told_and_leave_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(AssetError, match=r"vendoring/requirements\.txt cannot be had for Python 3\.13"):
        stage("vendoring")
    assert files(_assets.cache_directory()) == {}


def test_of_a_wheel_its_code_and_the_list_of_that_are_left(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        target = Path(command[command.index("--target") + 1])
        written = {name: "#!" + sys.executable for name in ("thing/__init__.py", "thing/tests/test_it.py", "bin/thing")}
        record = "thing-1.0.dist-info/RECORD"
        rows = ["../../bin/thing,sha256=c,9", "thing/tests/test_it.py,sha256=b,9", "thing/__init__.py,sha256=a,9"]
        for name, text in {**written, record: "\n".join([f"{record},,", *rows])}.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", install)
    staged = files(stage("vendoring"))
    assert json.loads(staged[VENDORED_MANIFEST]) == {"names": ["thing"], "lock": ["no-such-package-of-ours==1.0"]}
    assert "thing/__init__.py" in staged
    assert not [name for name in staged if "tests" in name or name.startswith("bin")]
    assert staged["thing-1.0.dist-info/RECORD"] == b"thing/__init__.py,sha256=a,9\n"


def test_code_that_lambda_would_not_take_is_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_assets, "UNZIPPED_LIMIT_BYTES", 10)
    with pytest.raises(AssetError, match="Lambda allows"):
        stage("plain")
    assert files(_assets.cache_directory()) == {}


@pytest.fixture
def index(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that pip finds. The function `vendoring` pins what is of use to all, and what a lock has."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    own = ["numpy==1.0", "onnxruntime==1.0", "# for all", "PyYAML==6.0", "shared_thing==1.0"]
    (source / "vendoring" / "requirements.txt").write_text("\n".join([*own, ""]))
    return tmp_path / "wheels"


def test_a_models_lock_takes_the_place_of_onnx_runtime(source: Path, index: Path) -> None:
    for name, version in (("pyyaml", "6.0"), ("scikit-learn", "1.0"), ("numpy", "2.0"), ("shared-thing", "2.0")):
        wheel(index, name, version)
    lock = Lock.read("scikit-learn==1.0\nnumpy==2.0\nshared-thing==2.0\n")
    staged = stage("vendoring", lock)
    found = files(staged)
    assert "labcycle_lambdas/vendoring/handler.py" in found
    assert {name: found[f"{name}/__init__.py"].splitlines()[0] for name in ("numpy", "shared_thing", "pyyaml")} == {
        "numpy": b"__version__ = '2.0'",
        "shared_thing": b"__version__ = '2.0'",
        "pyyaml": b"__version__ = '6.0'",
    }
    told = json.loads(found[VENDORED_MANIFEST])
    assert sorted(told["names"]) == ["numpy", "pyyaml", "scikit_learn", "shared_thing"]
    assert told["lock"] == ["PyYAML==6.0", "scikit-learn==1.0", "numpy==2.0", "shared-thing==2.0"]
    assert stage("vendoring", lock) == staged
    wheel(index, "numpy", "2.1")
    assert stage("vendoring", Lock.read(lock.text.replace("numpy==2.0", "numpy==2.1"))) != staged
    for cached in (_assets.cache_directory() / "wheels").glob(f"*/{VENDORED_MANIFEST}"):
        assert len(json.loads(cached.read_text())["lock"]) in (1, 3), "what is cached is not written to"


def test_hashes_of_a_lock_are_held_against_what_is_installed(source: Path, index: Path) -> None:
    wheel(index, "pyyaml", "6.0"), wheel(index, "shared-thing", "1.0")
    pin = wheel(index, "scikit-learn", "1.0")
    assert "scikit_learn/__init__.py" in files(stage("vendoring", Lock.read(pin)))
    with pytest.raises(AssetError, match=r"the wheels of the model's requirements cannot be had.*DO NOT MATCH"):
        stage("vendoring", Lock.read(pin[:-4] + "0000"))


def test_what_packages_of_a_lock_need_is_pinned_too(source: Path, index: Path) -> None:
    wheel(index, "pyyaml", "6.0"), wheel(index, "shared-thing", "1.0")
    needs = ["joblib>=1.4", "NumPy", "pytest; extra == 'dev'", "old; python_version < '3.9'", "nvidia-nccl-cu13"]
    pins = [wheel(index, "scikit-learn", "1.0", needs=needs), wheel(index, "numpy", "2.0", needs=["joblib"])]
    with pytest.raises(
        AssetError, match=r"need: joblib \(for numpy and scikit-learn\)\. Nothing else is installed: add"
    ):
        stage("vendoring", Lock.read("\n".join(pins)))
    stage("vendoring", Lock.read("\n".join([*pins, wheel(index, "joblib", "1.5")])))


def test_a_lock_that_is_too_large_is_told_with_its_largest_packages(
    source: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_assets, "UNZIPPED_LIMIT_BYTES", 1_000_000)
    wheel(index, "pyyaml", "6.0"), wheel(index, "shared-thing", "1.0")
    pins = [wheel(index, name, "1.0", bytes_held=size) for name, size in (("scipy", 900_000), ("pandas", 400_000))]
    with pytest.raises(
        AssetError,
        match=r"vendoring is 1\.3 MB unzipped, 0\.3 MB more than Lambda allows\. Its largest parts: scipy 0\.9 MB, pandas 0\.4 MB, "
        r".*from a container \(deliver with runtime: fargate",
    ):
        stage("vendoring", Lock.read("\n".join(pins)))


def test_several_at_once_end_with_one_whole_folder(source: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        staged = set(pool.map(lambda _: stage("plain"), range(24)))
    assert len(staged) == 1
    assert len(files(staged.pop())) == 2
    assert [path for path in (_assets.cache_directory() / "assets").iterdir() if path.name.startswith(".build")] == []
