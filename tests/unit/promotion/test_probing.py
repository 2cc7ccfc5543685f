"""A version is loaded beside the live one and answers, in a process of its own."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow.onnx
import numpy as np
import onnx
import pandas as pd
import pytest
from mlflow.models import infer_signature
from onnx import TensorProto, helper, numpy_helper

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.model_server.model_files import EXAMPLE
from labcycle_lambdas.promotion.probing import Probing
from tests.unit.model_server import flavoured
from tests.unit.serving.workshop import (
    BUCKET,
    FEATURES,
    MODEL,
    ROWS,
    Trained,
    World,
    classifier,
    failing,
    mixed,
    reference_table,
    regressor,
    saved,
    with_external_weights,
    without_signature,
)

MEMORY_MB = 600


def tried(
    world: World, model: Trained, live: Trained | None = None, *, reference: bool = False, **more: Any
) -> dict[str, Any]:
    artifacts = {"reference.json": reference_table()} if reference else {}
    numbers = [world.register(one, run_id=world.run(artifacts)) for one in ([live] if live else []) + [model]]
    *before, version = (world.preflight.prepare(MODEL, number) for number in numbers)
    probing = Probing(world.preflight, **{"memory_mb": MEMORY_MB, "timeout_seconds": 29, **more})
    return probing(MODEL, version, before[0] if before else None)


def with_example(model: Trained, frame: pd.DataFrame) -> Trained:
    content = json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))}).encode()
    return Trained({**model.content, EXAMPLE: content})


def huge(megabytes: int) -> Trained:
    """Makes a table of so many megabytes whatever it is asked."""
    shape = numpy_helper.from_array(np.array([megabytes, 1 << 18], dtype=np.int64), "shape")
    axes = numpy_helper.from_array(np.array([0, 1], dtype=np.int64), "axes")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["table"]),
        helper.make_node("Exp", ["table"], ["ones"]),
        helper.make_node("ReduceMax", ["ones", "axes"], ["one"], keepdims=1),
        helper.make_node("ReduceMax", ["x", "last"], ["most"], keepdims=1),
        helper.make_node("Mul", ["most", "one"], ["y"]),
    ]
    last = numpy_helper.from_array(np.array([1], dtype=np.int64), "last")
    graph = helper.make_graph(
        nodes,
        "huge",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [shape, axes, last],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    frame = pd.DataFrame(ROWS, columns=FEATURES)
    return saved(model, None, infer_signature(frame, ROWS[:, 0].astype(np.float32)))


@pytest.mark.parametrize(
    ("model", "reference", "origin", "answers"),
    [
        (classifier, True, "reference.json", 50),
        (classifier, False, "signature", 50),
        (mixed, False, "signature", 50),
        (regressor, False, "nothing", 0),
        (without_signature, False, "nothing", 0),
        (with_external_weights, False, "nothing", 0),
    ],
)
def test_what_is_measured(world: World, model: Any, reference: bool, origin: str, answers: int) -> None:
    measured = tried(world, model(), reference=reference)
    assert (measured["rows_from"], measured["answers"]) == (origin, answers)
    assert 20 < measured["peak_mb"] < MEMORY_MB
    assert 0 <= measured["load_seconds"] < 29
    assert measured["live_median_ms"] is None
    assert (measured["memory_mb"], measured["timeout_seconds"]) == (MEMORY_MB, 29)


def test_the_live_version_answers_the_same_rows(world: World) -> None:
    frame = pd.DataFrame(ROWS[:7], columns=FEATURES)
    measured = tried(world, with_example(classifier(), frame), classifier(regularisation=0.1))
    assert (measured["rows_from"], measured["answers"]) == (EXAMPLE, 7)
    assert measured["median_ms"] > 0
    assert measured["live_median_ms"] > 0


def test_mlflow_writes_the_example_that_is_read(world: World, tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS[:3], columns=FEATURES)
    graph = onnx.load_from_string(classifier().content["model.onnx"])
    mlflow.onnx.save_model(graph, str(tmp_path / "m"), input_example=frame, pip_requirements=["onnxruntime"])
    files = {str(f.relative_to(tmp_path / "m")): f.read_bytes() for f in (tmp_path / "m").rglob("*") if f.is_file()}
    assert tried(world, Trained(files))["rows_from"] == EXAMPLE


def test_a_version_that_cannot_answer_its_own_example(world: World) -> None:
    frame = pd.DataFrame(ROWS[:7], columns=FEATURES)
    with pytest.raises(Refused, match=r"Version 1 of card-fraud was loaded and tried: The model cannot compute"):
        tried(world, with_example(failing(above=float(ROWS[:7, 0].max()) - 1e-3), frame))
    with pytest.raises(Refused, match="mean texture"):
        tried(world, with_example(classifier(), frame.drop(columns="mean texture")))


def test_made_up_rows_that_a_version_does_not_take_prove_nothing(world: World) -> None:
    measured = tried(world, failing(above=0.0), reference=True)
    assert 0 < measured["answers"] < 50


def test_a_version_that_needs_more_than_its_server_has(world: World) -> None:
    measured = tried(world, huge(100))
    with pytest.raises(Refused, match=r"took \d+ MB of memory when it was loaded and answered; its server has 200 MB"):
        tried(world, huge(200), memory_mb=200)
    with pytest.raises(Refused, match=r"beside version 3"):
        tried(world, huge(200), classifier(), memory_mb=200)
    assert 100 < measured["peak_mb"] < 400
    with pytest.raises(Refused, match=r"tried: it needs more than 200 MB of memory, by far"):
        tried(world, huge(5000), memory_mb=200)


def test_a_version_that_is_too_slow_or_hangs(world: World) -> None:
    with pytest.raises(Refused, match=r"its server has 0 s for both"):
        tried(world, classifier(), timeout_seconds=0)
    with pytest.raises(Refused, match=r"did not load and answer within 0.01 s: it hangs"):
        tried(world, classifier(), longest_seconds=0.01)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "needs more memory than the 600 MB"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"took its process down .*signal 11"),
        ("raise SystemExit('broken')", r"took its process down .*exit code 1\): broken"),
    ],
)
def test_a_version_that_takes_its_process_down(
    world: World, program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{program}"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(Refused, match=said):
        tried(world, classifier())


def test_it_gets_no_credentials(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "secret")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nenv >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(Refused) as refused:
        tried(world, classifier())
    assert "secret" not in str(refused.value)


def test_the_steps_themselves_load_no_model_library() -> None:
    """A look takes milliseconds: only the process of a probe loads onnxruntime."""
    program = "import sys, labcycle_lambdas.promotion.handler; sys.exit('onnxruntime' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_bytes_that_are_not_those_that_were_registered(world: World) -> None:
    numbers = [world.register(classifier(regularisation=c)) for c in (1.0, 0.1)]
    version, another = (world.preflight.prepare(MODEL, number) for number in numbers)
    other = world.s3.put_object(Bucket=BUCKET, Key=version.model_file.key, Body=b"other")["VersionId"]
    changed = {
        **vars(version),
        "model_file": type(version.model_file)(**{**vars(version.model_file), "version_id": other}),
    }
    probing = Probing(world.preflight, MEMORY_MB, 29)
    with pytest.raises(Refused, match=r"the bytes of model\.onnx are not those that were registered"):
        probing(MODEL, type(version)(**changed), None)
    assert probing(MODEL, another, type(version)(**changed))["live_median_ms"] is None, "no server can load it either"


class Harmful:
    """Runs when it is unpickled."""

    def __init__(self, statement: str) -> None:
        self.statement = statement

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.statement,)


def tried_estimator(world: World, content: bytes | None = None, **more: Any) -> dict[str, Any]:
    """With `content` in the place of what was pickled."""
    trained = flavoured.sklearn("pickle")
    model = Trained({**trained.content, "model.pkl": content}) if content else trained
    preflight = flavoured.preflight(world, flavoured.runtime("sklearn"))
    deployed = preflight.prepare(MODEL, world.register(model, run_id=world.run({"reference.json": reference_table()})))
    return Probing(preflight, **{"memory_mb": 2000, "timeout_seconds": 29, **more})(MODEL, deployed, None)


def test_an_estimator_is_tried_as_a_graph_is(world: World) -> None:
    measured = tried_estimator(world)
    assert (measured["rows_from"], measured["answers"]) == ("reference.json", 50)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("import os; os._exit(7)", r"took its process down .*exit code 7"),
        ("raise ValueError('not today')", "loaded and tried: it cannot be loaded: ValueError: not today"),
        ("x = bytearray(9 << 30)", "needs more than 2000 MB of memory, by far"),
        (
            "import os; raise ValueError([name for name in os.environ if name.startswith('AWS_SECRET')])",
            r"ValueError: \[\]",
        ),
    ],
)
def test_what_is_unpickled_harms_nobody(
    world: World, statement: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(Refused, match=said):
        tried_estimator(world, pickle.dumps(Harmful(statement)))


def test_what_hangs_when_it_is_unpickled_is_stopped(world: World) -> None:
    with pytest.raises(Refused, match=r"did not load and answer within 2 s: it hangs"):
        tried_estimator(world, pickle.dumps(Harmful("import time; time.sleep(600)")), longest_seconds=2)


# ---- the next runtime -----------------------------------------------------------------------------------------------


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = flavoured.packages(tmp_path)
    monkeypatch.setenv("NEXT_RUNTIME", json.dumps({"digest": "digest", "seconds": 60, "folder": str(folder)}))


def of_next_runtime(world: World, content: bytes | None = None, **more: Any) -> dict[str, Any]:
    trained = flavoured.sklearn("pickle")
    files = {**trained.content, **({"model.pkl": content} if content else {})}
    deployed = flavoured.prepared(world, Trained(files), flavoured.runtime("sklearn"))
    return Probing(world.preflight, **{"memory_mb": 900, "timeout_seconds": 29, **more})(MODEL, deployed, None)


@pytest.mark.usefixtures("beside")
def test_a_version_of_the_next_runtime_is_tried_apart_and_its_memory_counts(world: World) -> None:
    measured = of_next_runtime(world)
    assert measured["answers"] == 50
    with pytest.raises(Refused, match=f"took {measured['peak_mb']}|its server has {measured['peak_mb'] // 2} MB"):
        of_next_runtime(world, memory_mb=measured["peak_mb"] // 2)


@pytest.mark.usefixtures("beside")
def test_a_version_whose_process_breaks_on_rows_that_were_made_up_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="process ended with the exit code 7 when it was asked"):
        of_next_runtime(world, pickle.dumps(_Ending()))


def test_packages_that_cannot_be_fetched_refuse_the_version(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {
        "digest": "digest",
        "seconds": 60,
        "folder": str(tmp_path / "none" / "digest"),
        "bucket": BUCKET,
        "key": "none.zip",
        "sha256": "0",
    }
    monkeypatch.setenv("NEXT_RUNTIME", json.dumps(place))
    with pytest.raises(
        Refused, match="cannot be loaded: the packages of the next runtime cannot be read from their bucket"
    ):
        of_next_runtime(world)


class _Ending:
    """An estimator whose process ends when it is asked."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("type('Model', (), {'predict': lambda self, data: __import__('os')._exit(7)})()",)
