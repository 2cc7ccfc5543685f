"""What a sandbox of Lambda does before its first request, and after a snapshot of it was begun from."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from labcycle_lambdas.model_server import handler
from labcycle_lambdas.model_server.making import Connections
from labcycle_lambdas.model_server.sandbox import INITIALIZATION_TYPE, PROVISIONED, SNAPSHOT, Sandbox
from tests.unit.serving.workshop import (
    BUCKET,
    FEATURES,
    MODEL,
    ROWS,
    TABLE,
    TEAM,
    World,
    classifier,
    reference_table,
    request,
)

SPLIT = {"dataframe_split": {"columns": FEATURES, "data": ROWS[:2].tolist()}}
VARIABLES = {
    "LEDGER_TABLE": TABLE,
    "ARTIFACT_BUCKET": BUCKET,
    "TEAM": TEAM,
    "MODEL": MODEL,
    "AWS_DEFAULT_REGION": "eu-west-1",
}


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What is called after a snapshot was begun from, by Lambda's runtime."""
    runtime, called = ModuleType("snapshot_restore_py"), list[Callable[[], None]]()
    runtime.register_after_restore = called.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    return called


def ask(sandbox: Sandbox) -> tuple[int, str | None]:
    """The status of an answer, and the version that gave it."""
    answer = sandbox.server().answer(request("POST", "/invocations", SPLIT))
    return answer.status, answer.headers.get("x-labcycle-model-version")


def bury(world: World) -> None:
    """Take all files of models away, so that nothing can be loaded any more."""
    for one in world.s3.list_object_versions(Bucket=BUCKET).get("Versions", []):
        world.s3.delete_object(Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"])


def written_by(world: World) -> set[str]:
    """The sandboxes that wrote profiles."""
    items = world.dynamodb.scan(TableName=TABLE)["Items"]
    return {one["sk"]["S"].split("#")[-2] for one in items if one["pk"]["S"].startswith(f"PROFILE#{MODEL}#")}


@pytest.mark.parametrize("kind", [PROVISIONED, SNAPSHOT])
def test_the_live_version_is_loaded_ahead_of_requests(
    world: World, restored: list[Callable[[], None]], kind: str
) -> None:
    world.promote(world.register(classifier()))
    sandbox = Sandbox()
    sandbox.start(kind)
    bury(world)
    for begin_anew in restored:
        begin_anew()
    assert ask(sandbox) == (200, "1")


@pytest.mark.parametrize("kind", ["on-demand", ""])
def test_where_somebody_waits_nothing_is_done_ahead(world: World, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    world.promote(world.register(classifier()))
    sandbox = Sandbox()
    with monkeypatch.context() as patched:
        patched.setattr(Connections, "open", None)  # whoever opened any would fail
        sandbox.start(kind)
    assert ask(sandbox) == (200, "1")


def test_sandboxes_from_one_snapshot_are_not_taken_for_one(world: World, restored: list[Callable[[], None]]) -> None:
    run_id = world.run({"reference.json": reference_table()})
    world.promote(world.register(classifier(), run_id=run_id))
    sandbox = Sandbox()
    sandbox.start(SNAPSHOT)
    (begin_anew,) = restored
    for _ in range(2):
        begin_anew()
        assert ask(sandbox) == (200, "1")
    assert len(written_by(world)) == 2


def test_what_was_promoted_since_the_snapshot_answers_at_once(world: World, restored: list[Callable[[], None]]) -> None:
    world.promote(world.register(classifier()))
    sandbox = Sandbox()
    sandbox.start(SNAPSHOT)
    world.promote(world.register(classifier()))
    (begin_anew,) = restored
    begin_anew()
    assert ask(sandbox) == (200, "2")


def test_nothing_of_a_snapshot_answers_before_the_record_was_read(
    world: World, restored: list[Callable[[], None]]
) -> None:
    """What it has loaded may have been rolled back since."""
    world.promote(world.register(classifier()))
    sandbox = Sandbox()
    sandbox.start(SNAPSHOT)
    (begin_anew,) = restored
    begin_anew()
    failing = [True]

    def fail(**_: object) -> None:
        if failing:
            raise ConnectTimeoutError(endpoint_url="https://dynamodb")

    assert sandbox._connections
    sandbox._connections.dynamodb.meta.events.register_first("before-call.dynamodb", fail)
    assert ask(sandbox) == (429, None)
    failing.clear()
    assert ask(sandbox) == (200, "1")


@pytest.mark.parametrize("kind", [PROVISIONED, SNAPSHOT])
def test_a_start_without_a_live_version_succeeds(world: World, restored: list[Callable[[], None]], kind: str) -> None:
    """As the first deployment of a model, in which a snapshot is made, and which would fail with it."""
    lines: list[str] = []
    sandbox = Sandbox(lines.append)
    sandbox.start(kind)
    assert [json.loads(line)["why"].split(":")[0] for line in lines] == ["NothingLive"]
    assert ask(sandbox) == (404, None)
    world.promote(world.register(classifier()))
    for begin_anew in restored:
        begin_anew()
    sandbox.server().live._look_again = -1.0
    assert ask(sandbox) == (200, "1")


def test_a_version_that_cannot_be_loaded_is_told_and_the_start_succeeds(world: World) -> None:
    world.promote(world.register(classifier()))
    bury(world)
    lines: list[str] = []
    sandbox = Sandbox(lines.append)
    sandbox.start(PROVISIONED)
    refused, told = map(json.loads, lines)
    assert (refused["RefusedVersions"], refused["version"]) == (1, 1)
    assert told["why"].startswith("CannotServe: version 1: the file model.onnx cannot be read")


def test_a_function_without_its_variables_starts_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL")
    lines: list[str] = []
    Sandbox(lines.append).start(PROVISIONED)
    assert "needs the environment variables MODEL" in json.loads(lines[0])["why"]


def test_without_what_tells_of_a_restore_nothing_is_in_the_snapshot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all that begin from it would write as one."""
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    lines: list[str] = []
    sandbox = Sandbox(lines.append)
    sandbox.start(SNAPSHOT)
    assert json.loads(lines[0])["why"].startswith("ModuleNotFoundError")
    assert sandbox._server is None


def test_no_connection_outlasts_the_start(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """One of a snapshot is nobody's, and one that has waited for hours may be cut: the first request would wait for a time-out."""
    world.promote(world.register(classifier()))
    opened = Connections.open()
    pools: list[Any] = []
    clients: list[Any] = [opened.dynamodb, opened.s3]
    for client in clients:
        manager = client._endpoint.http_session._manager
        manager.connection_from_url("https://example.com")
        pools.append(manager.pools)
    monkeypatch.setattr(Connections, "open", lambda: opened)
    sandbox = Sandbox()
    sandbox.start(PROVISIONED)
    assert [len(pool) for pool in pools] == [0, 0]
    assert ask(sandbox) == (200, "1"), "the next call opens another"


def test_the_function_starts_so_when_lambda_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promote(world.register(classifier()))
    monkeypatch.setenv(INITIALIZATION_TYPE, PROVISIONED)
    importlib.reload(handler)
    bury(world)
    event = {
        "version": "2.0",
        "rawPath": "/invocations",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "body": json.dumps(SPLIT),
        "requestContext": {"http": {"method": "POST"}, "requestId": "r-7"},
    }
    answer = handler.handle(event, None)
    monkeypatch.delenv(INITIALIZATION_TYPE)
    importlib.reload(handler)
    assert answer["statusCode"] == 200
