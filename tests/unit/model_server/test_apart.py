"""Versions that run apart, with the packages of another folder, answer as those do that run in the server."""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import io
import json
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.apart import Apart
from labcycle_lambdas.model_server.loading import NEXT_RUNTIME, Loader
from labcycle_lambdas.model_server.next_runtime import NextRuntime
from labcycle_lambdas.model_server.runnable import CannotCompute, Runnable, Unusable
from labcycle_lambdas.model_server.scoring import score
from tests.unit.model_server import flavoured
from tests.unit.model_server.flavoured import FRAME, prepared, runtime
from tests.unit.model_server.test_flavours import MODELS, Harmful, answers, load, sklearn_of
from tests.unit.serving.workshop import BUCKET, ROWS, World, request


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flavoured.packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def beside(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NEXT_RUNTIME, json.dumps({"digest": "digest", "seconds": 60, "folder": str(packages)}))


def loaded_apart(world: World, deployed: Deployed) -> Apart:
    model = load(world, deployed)
    assert isinstance(model, Apart)
    return model


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_those_of_the_same_process(world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flavour, make, frame = MODELS[name]
    deployed = prepared(world, make(), runtime(flavour))
    apart = loaded_apart(world, deployed)
    monkeypatch.delenv(NEXT_RUNTIME)
    here = load(world, deployed)
    assert apart.schema == here.schema
    assert answers(apart, frame) == answers(here, frame)
    assert answers(apart, frame[:0]) == []
    everything = {"params": {"outputs": "all"}}
    assert answers(apart, frame[:3], **everything) == answers(here, frame[:3], **everything)


def said(model: Runnable, body: object) -> tuple[type, str, int, str]:
    with pytest.raises(MlflowError) as error:
        score(request("POST", "/invocations", body), model)
    return type(error.value), error.value.code, error.value.status, str(error.value)


@pytest.mark.usefixtures("beside")
def test_tensors_and_what_does_not_fit_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = flavoured.sklearn("pickle", named=False)
    deployed = prepared(world, trained, runtime("sklearn"))
    apart = loaded_apart(world, deployed)
    monkeypatch.delenv(NEXT_RUNTIME)
    here = load(world, deployed)
    predictions = score(request("POST", "/invocations", {"inputs": ROWS.tolist()}), apart).predictions
    assert predictions == trained.estimator.predict(ROWS).tolist()
    wrong = {"inputs": [[1.0, 2.0]]}
    assert said(apart, wrong) == said(here, wrong)


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("statement", ["1 / 0", "answer = object()", "data = [1]; answer = None; exit(3)"])
def test_what_it_cannot_compute_is_told_alike(world: World, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = estimator(world, statement)
    apart = loaded_apart(world, deployed)
    monkeypatch.delenv(NEXT_RUNTIME)
    body = {"dataframe_split": {"columns": list(FRAME), "data": FRAME[:3].to_numpy().tolist()}}
    assert said(apart, body) == said(load(world, deployed), body)


@pytest.mark.usefixtures("beside")
def test_what_a_model_prints_and_is_asked_is_no_answer(world: World) -> None:
    apart = loaded_apart(
        world, estimator(world, "import os, sys; print('x'); os.write(1, b'x'); answer = sys.stdin.read()")
    )
    assert answers(apart, FRAME[:1]) == [""]


class Estimator:
    """Runs a statement for each table that it is asked, which sets the `answer` a row."""

    def __init__(self, statement: str) -> None:
        self.statement = statement

    def __reduce__(self) -> tuple[Any, ...]:
        code = f"type('Model', (), {{'predict': lambda self, data: (scope := {{'data': data}}, exec({self.statement!r}, scope)) and [scope['answer']] * len(data)}})()"
        return eval, (code,)


def estimator(world: World, statement: str) -> Deployed:
    return prepared(world, sklearn_of(pickle.dumps(Estimator(statement))), runtime("sklearn"))


@pytest.mark.usefixtures("beside")
def test_a_process_that_ends_fails_one_request_and_another_begins(world: World) -> None:
    apart = loaded_apart(world, estimator(world, "import os; answer = 2.5 if len(data) > 1 else os._exit(7)"))
    with pytest.raises(CannotCompute, match="process ended with the exit code 7 when it was asked") as error:
        answers(apart, FRAME[:1])
    assert error.value.status == 500
    assert answers(apart, FRAME[:2]) == [2.5, 2.5]


def test_a_process_that_hangs_is_stopped(world: World, packages: Path) -> None:
    deployed = estimator(world, "import threading; answer = threading.Event().wait()")
    apart = Apart(deployed, Loader(world.s3, BUCKET).reading(deployed), packages, answer_seconds=0.2)
    with pytest.raises(CannotCompute, match="process hung, and was stopped when it was asked"):
        answers(apart, FRAME[:1])


@pytest.mark.usefixtures("beside")
def test_requests_of_many_threads_are_answered_one_after_the_other(world: World) -> None:
    apart = loaded_apart(world, estimator(world, "answer = len(data)"))
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda rows: answers(apart, FRAME[:rows]), [*range(1, 9)] * 5))
    assert said == [[rows] * rows for rows in [*range(1, 9)] * 5]


@pytest.mark.usefixtures("beside")
def test_the_packages_are_those_of_the_other_folder(
    world: World, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same package in two versions, and one that only the server has."""
    for folder, name, number in ((packages, "tiny", 2), (tmp_path, "tiny", 1), (tmp_path, "own", 1)):
        (folder / f"{name}.py").write_text(f"VERSION = {number}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    deployed = estimator(
        world, "import tiny, importlib.util as u; answer = f'{tiny.VERSION} {bool(u.find_spec(\"own\"))}'"
    )
    apart = loaded_apart(world, deployed)
    monkeypatch.delenv(NEXT_RUNTIME)
    here = load(world, deployed)
    assert (answers(apart, FRAME[:1]), answers(here, FRAME[:1])) == (["2 False"], ["1 True"])


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("import threading; threading.Event().wait()", "its process hung, and was stopped when it was loaded"),
        ("import os; os._exit(3)", "its process ended with the exit code 3 when it was loaded"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by the signal 9 when it was loaded"),
        ("raise SystemExit(3)", "it cannot be loaded: SystemExit"),
    ],
)
def test_what_cannot_be_loaded(world: World, packages: Path, statement: str, says: str) -> None:
    deployed = prepared(world, sklearn_of(pickle.dumps(Harmful(statement))), runtime("sklearn"))
    with pytest.raises(Unusable, match=says):
        Apart(
            deployed,
            Loader(world.s3, BUCKET).reading(deployed),
            packages,
            answer_seconds=60,
            load_seconds=8 if "hung" in says else 60,
        )


@pytest.mark.usefixtures("beside")
def test_bytes_are_held_against_their_digest(world: World) -> None:
    deployed = prepared(world, flavoured.sklearn("pickle"), runtime("sklearn"))
    other = replace(deployed.model_file, sha256="0" * 64)
    with pytest.raises(Unusable, match="promoted was 0000"):
        load(world, replace(deployed, model_file=other, files=(other,)))


@pytest.mark.usefixtures("beside")
def test_a_version_that_cannot_be_fetched_again_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = loaded_apart(world, estimator(world, "import os; os._exit(7)"))
    with pytest.raises(CannotCompute, match="exit code 7"):
        answers(apart, FRAME[:1])

    def throttled(*args: object) -> bytes:
        raise Throttled("S3: SlowDown")

    monkeypatch.setattr(apart, "_read", throttled)
    with pytest.raises(CannotCompute, match="cannot be loaded again: S3: SlowDown") as error:
        answers(apart, FRAME[:1])
    assert error.value.status == 503


@pytest.mark.usefixtures("beside")
def test_it_has_no_credentials_and_ends_with_who_asks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.setenv(name, "secret")
    code = "import os; answer = ','.join(name for name, value in os.environ.items() if value == 'secret')"
    apart = loaded_apart(world, estimator(world, code))
    assert answers(apart, FRAME[:1]) == [""]
    assert apart.peak_mb > 20
    assert apart._child
    process = apart._child._process
    del apart
    gc.collect()
    assert process.poll() is not None


def test_versions_of_the_first_runtime_stay_in_this_process(
    world: World, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NEXT_RUNTIME, json.dumps({"digest": "another", "seconds": 60, "folder": str(packages)}))
    model = load(world, prepared(world, flavoured.sklearn(), runtime("sklearn")))
    assert not isinstance(model, Apart)


def test_it_needs_no_package_but_those_of_its_runtime(tmp_path: Path) -> None:
    """What is imported before a flavour is: nothing of it is in a model's lock, but numpy."""
    for name in ("labcycle_lambdas", "numpy"):
        spec = importlib.util.find_spec(name)
        assert spec and spec.submodule_search_locations
        (tmp_path / name).symlink_to(Path(next(iter(spec.submodule_search_locations))).resolve())
    code = "import labcycle_lambdas.model_server.apart, labcycle_lambdas.model_server.predicting"
    environment = {"PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-S", "-P", "-c", code], check=True, env=environment)


# ---- the archive ----------------------------------------------------------------------------------------------------


def archive(world: World, *names: str) -> dict[str, str]:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name in names:
            made.writestr(name, "VERSION = 2\n")
    world.s3.put_object(Bucket=BUCKET, Key="assets/a.zip", Body=held.getvalue())
    return {"bucket": BUCKET, "key": "assets/a.zip", "sha256": hashlib.sha256(held.getvalue()).hexdigest()}


def test_the_archive_is_fetched_once(world: World, tmp_path: Path) -> None:
    named = archive(world, "six.py", "inner/__init__.py")
    runtime_ = NextRuntime("digest", tmp_path / "runtimes" / "digest", 60, **named)
    runtime_.fetch(world.s3)
    assert sorted(path.name for path in runtime_.folder.iterdir()) == ["inner", "labcycle_lambdas", "six.py"]
    assert (runtime_.folder / "labcycle_lambdas" / "model_server" / "apart.py").is_file()
    world.s3.delete_object(Bucket=BUCKET, Key="assets/a.zip")
    runtime_.fetch(world.s3)
    assert list((tmp_path / "runtimes").iterdir()) == [runtime_.folder]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "are not those that were deployed"),
        ({"key": "assets/gone.zip"}, r"cannot be read from their bucket \(NoSuchKey\)"),
    ],
)
def test_another_archive_is_not_unpacked(world: World, tmp_path: Path, change: dict[str, str], says: str) -> None:
    runtime_ = NextRuntime("digest", tmp_path / "runtimes" / "digest", 60, **{**archive(world, "six.py"), **change})
    with pytest.raises(Unusable, match=says):
        runtime_.fetch(world.s3)
    assert list((tmp_path / "runtimes").iterdir()) == []


def test_what_is_no_archive_is_told(world: World, tmp_path: Path) -> None:
    world.s3.put_object(Bucket=BUCKET, Key="assets/b.zip", Body=b"b")
    digest = hashlib.sha256(b"b").hexdigest()
    with pytest.raises(Unusable, match="cannot be unpacked"):
        NextRuntime("digest", tmp_path / "digest", 60, BUCKET, "assets/b.zip", digest).fetch(world.s3)


def test_patience_that_s3_asks_for_is_passed_on(world: World, tmp_path: Path) -> None:
    class Slow:
        def get_object(self, **how: Any) -> None:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": ""}}, "GetObject")

    slow: Any = Slow()
    with pytest.raises(Throttled, match="SlowDown"):
        NextRuntime("digest", tmp_path / "digest", 60, **archive(world, "six.py")).fetch(slow)


def test_a_runtime_whose_packages_are_not_there_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NEXT_RUNTIME, json.dumps({"digest": "digest", "seconds": 60, "folder": "/nowhere/digest"}))
    with pytest.raises(Unusable, match="the packages of its runtime are not there"):
        load(world, prepared(world, flavoured.sklearn(), runtime("sklearn")))
