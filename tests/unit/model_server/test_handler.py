"""The handler, from an event to an answer, and the code as it is shipped."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from labcycle import _assets
from labcycle_lambdas.model_server import handler
from labcycle_lambdas.model_server.environment import Environment
from labcycle_lambdas.model_server.sandbox import Sandbox
from tests.unit.serving.workshop import BUCKET, FEATURES, MODEL, ROWS, TABLE, TEAM, World, classifier


def test_the_handler_answers_events(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"LEDGER_TABLE": TABLE, "ARTIFACT_BUCKET": BUCKET, "TEAM": TEAM, "MODEL": MODEL}
    for name, value in {**variables, "AWS_DEFAULT_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(handler, "sandbox", Sandbox())
    world.promote(world.register(classifier()))
    event = {
        "version": "2.0",
        "rawPath": "/invocations",
        "rawQueryString": "",
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"dataframe_split": {"columns": FEATURES, "data": ROWS[:2].tolist()}}),
        "requestContext": {"http": {"method": "POST"}, "requestId": "r-7"},
    }
    answer = handler.handle(event, None)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"predictions": classifier().estimator.predict(ROWS[:2]).tolist()}
    assert answer["headers"]["x-request-id"] == "r-7"


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(RuntimeError, match="LEDGER_TABLE, MODEL"):
        Environment.read({"ARTIFACT_BUCKET": "b", "TEAM": "t"})


@pytest.mark.parametrize(
    ("function", "at_start"),
    [
        ("model_server", {"msgspec", "numpy", "onnxruntime"}),
        ("lifecycle", set[str]()),
    ],  # PyYAML is imported when it is needed
)
def test_a_function_imports_nothing_that_is_not_pinned_or_in_the_runtime(function: str, at_start: set[str]) -> None:
    """What its requirements.txt pins, and what boto3 brings; that is all that Lambda has."""
    script = (
        "import json, sys; before = set(sys.modules)\n"
        f"import labcycle_lambdas.{function}.handler\n"
        "paths = tuple(p for p in sys.path if 'site-packages' in p)\n"
        "new = {n.partition('.')[0]: str(getattr(m, '__file__', '')) for n, m in sys.modules.items() if n not in before}\n"
        "print(json.dumps([name for name, file in new.items() if file.startswith(paths)]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    runtime = {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}
    optional = {"certifi", "typing_extensions"}  # botocore and msgspec do without
    assert set(json.loads(run.stdout)) - runtime - optional == at_start
    pins = (_assets.package_directory("labcycle_lambdas") / function / "requirements.txt").read_text().split()
    assert all("==" in pin for pin in pins)
    assert at_start <= {pin.partition("==")[0] for pin in pins}


def test_a_start_loads_nothing_that_only_changes_records() -> None:
    """Each module is a part of the cold start: boto3 a tenth of it, the registry and the chain of custody another."""
    script = "import sys; import labcycle_lambdas.model_server.handler; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    ledger = "labcycle_lambdas.ledger."
    assert f"{ledger}deployments" in run.stdout.split()
    assert not {"boto3", f"{ledger}registry", f"{ledger}custody", f"{ledger}evidence"} & set(run.stdout.split())
