"""The model server as a process: HTTP/1.1 on 127.0.0.1, against a ledger that another process holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from labcycle_lambdas.envelope import opened
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.shadows import Comparison, Offered, Shadows
from labcycle_lambdas.ledger.usage import Usage
from labcycle_lambdas.model_server.payload import BODY_BYTES
from labcycle_lambdas.model_server.wsgi import PAYLOAD_BYTES
from tests.unit.model_server.bench import LABELS, SPLIT
from tests.unit.serving.workshop import (
    BUCKET,
    FEATURES,
    MODEL,
    REVIEWER,
    ROWS,
    TABLE,
    TEAM,
    World,
    classifier,
    reference_table,
)

PATIENCE_SECONDS = 60.0
TOLD = {"LEDGER_TABLE": TABLE, "ARTIFACT_BUCKET": BUCKET, "TEAM": TEAM, "MODEL": MODEL}


class Process:
    """The process, and how to talk to it."""

    def __init__(
        self, endpoint: str, log: Path, told: Mapping[str, str] = TOLD, region: str = "eu-west-1", *how: str
    ) -> None:
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._log = log
        self.endpoint = endpoint
        command = [sys.executable, "-m", "labcycle_lambdas.model_server.process", *how, "--port", str(self.port)]
        credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        place = {"AWS_DEFAULT_REGION": region, "AWS_ENDPOINT_URL": endpoint}
        with log.open("w") as written:
            self.popen = subprocess.Popen(
                command, env={**os.environ, **told, **credentials, **place}, stdout=written, stderr=subprocess.STDOUT
            )

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def wait(self) -> Process:
        until = time.monotonic() + PATIENCE_SECONDS
        while self.popen.poll() is None and time.monotonic() < until:
            try:
                self.ask("GET", "/ping")
                return self
            except ConnectionError:
                time.sleep(0.05)
        raise AssertionError(f"the process does not answer: {self.log()}")

    def ask(
        self, method: str, path: str, body: object = None, *, parse: bool = True, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        connection = self.connect()
        try:
            return ask(connection, method, path, body, parse=parse, **headers)
        finally:
            connection.close()

    def end(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE_SECONDS)

    def log(self) -> str:
        return self._log.read_text()


def ask(
    connection: HTTPConnection, method: str, path: str, body: object = None, *, parse: bool = True, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Status, headers, and the body: as JSON, or without `parse` as it is."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, content, {"Content-Type": "application/json", **named})
    answer = connection.getresponse()
    sent = answer.read()
    said = json.loads(sent) if parse else sent
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, said


@pytest.fixture
def process(world: World, tmp_path: Path) -> Iterator[Process]:
    """Nothing is promoted yet."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    made = Process(f"http://127.0.0.1:{port}", tmp_path / "log")
    try:
        yield made.wait()
    finally:
        if made.popen.poll() is None:
            made.popen.kill()
            made.popen.wait()
        server.stop()


def promote_with_reference(world: World) -> None:
    world.promote(world.register(classifier(), run_id=world.run({"reference.json": reference_table()})))


def rows_written(world: World, version: int = 1) -> int:
    since = datetime.now(UTC) - timedelta(hours=1)
    return sum(int(stored.doc["rows"]) for stored in Profiles(world.table).read(MODEL, version, since))


def test_it_answers_as_the_function_does(world: World, process: Process) -> None:
    status, _, said = process.ask("GET", "/ping")
    assert (status, said["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    world.promote(world.register(classifier()))
    status, headers, said = process.ask("POST", "/invocations", SPLIT, x_request_id="r-7")
    assert (status, said) == (200, {"predictions": LABELS[:5]})
    assert headers["x-labcycle-model-version"] == "1"
    assert headers["x-request-id"] == "r-7"
    assert headers["content-type"] == "application/json"
    status, _, said = process.ask("GET", "/version")
    assert (status, said["version"]) == (200, "1")
    assert process.ask("GET", "/invocations")[0] == 404


def test_requests_at_once_are_all_answered_and_counted(world: World, process: Process) -> None:
    promote_with_reference(world)

    def score(row: int) -> list[Any]:
        body = {"dataframe_split": {"columns": FEATURES, "data": [ROWS[row].tolist()]}}
        status, _, said = process.ask("POST", "/invocations", body)
        assert status == 200, said
        return list(said["predictions"])

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(score, list(range(60)) * 3))
    assert [one for (one,) in answers] == LABELS * 3
    assert process.end() == 0, process.log()
    assert rows_written(world) == 180
    assert "SIG" not in process.log()


def test_as_a_container_of_sagemaker(world: World, process: Process, tmp_path: Path) -> None:
    """What SageMaker sends, and the door reads: the status that the server meant, and the whole answer."""
    served = Process(process.endpoint, tmp_path / "served", TOLD, "eu-west-1", "serve", "--host", "127.0.0.1")
    try:
        served.wait()
        assert served.ask("GET", "/ping", parse=False)[0] == 200  # also while nothing is promoted
        about = "method=GET&path=%2Fversion&request=r-7"
        asked = {"X_Amzn_SageMaker_Custom_Attributes": about}
        status, _, said = served.ask("POST", "/invocations", {}, parse=False, **asked)
        assert (status, opened(said).status) == (200, 404)
        world.promote(world.register(classifier()))
        about = "method=POST&path=%2Finvocations&request=r-7"
        asked = {"X_Amzn_SageMaker_Custom_Attributes": about}
        status, _, said = served.ask("POST", "/invocations", SPLIT, parse=False, **asked)
        answer = opened(said)
        assert (status, answer.status, json.loads(answer.content)) == (200, 200, {"predictions": LABELS[:5]})
        assert (answer.headers["x-request-id"], answer.headers["x-labcycle-model-version"]) == ("r-7", "1")
        # Who calls the endpoint without the door gets the plain answer.
        assert served.ask("POST", "/invocations", SPLIT)[2] == {"predictions": LABELS[:5]}
        assert served.end() == 0, served.log()
    finally:
        if served.popen.poll() is None:
            served.popen.kill()
            served.popen.wait()


def test_what_may_stand_still_between_requests_has_written_when_it_answers(
    world: World, process: Process, tmp_path: Path
) -> None:
    promote_with_reference(world)
    told = {**TOLD, "SUSPENDED": "true"}
    served = Process(process.endpoint, tmp_path / "served", told, "eu-west-1", "serve", "--host", "127.0.0.1")
    try:
        served.wait()
        assert served.ask("POST", "/invocations", SPLIT)[0] == 200
        assert rows_written(world) == 5, "the timer writes profiles once in 15 seconds"
        assert served.end() == 0, served.log()
    finally:
        if served.popen.poll() is None:
            served.popen.kill()
            served.popen.wait()


def test_it_has_written_what_it_used_when_it_ends(world: World, process: Process, tmp_path: Path) -> None:
    world.promote(world.register(classifier()))  # without a reference, by which it has no profile
    size = {"runtime": "fargate", "cpu": 1024, "memory_mb": 2048}
    measured = Process(process.endpoint, tmp_path / "measured", {**TOLD, "RUNS_ON": json.dumps(size)})
    try:
        measured.wait()
        for _ in range(7):
            assert measured.ask("POST", "/invocations", SPLIT)[0] == 200
        assert measured.end() == 0, measured.log()
    finally:
        if measured.popen.poll() is None:
            measured.popen.kill()
            measured.popen.wait()
    (stored,) = Usage(world.table).newest_first(MODEL, datetime.now(UTC) - timedelta(hours=1))
    used = stored.used
    assert (used.runs_on, used.tally.requests, used.tally.failed, used.began) == (size, 7, 0, True)
    assert used.peak_mb > 50 and used.cpu_ms > 0 and used.answered_ms > 0


def test_a_connection_is_kept(world: World, process: Process) -> None:
    world.promote(world.register(classifier()))
    connection = process.connect()
    connection.connect()
    kept = connection.sock
    for _ in range(3):
        status, headers, _ = ask(connection, "POST", "/invocations", SPLIT)
        assert status == 200
        assert headers.get("connection", "keep-alive") == "keep-alive"
        assert connection.sock is kept
    connection.close()


def test_a_body_that_is_too_large_is_refused(process: Process) -> None:
    """Also the largest that the API lets through, and while its sender still sends."""
    assert process.ask("POST", "/invocations", b" " * PAYLOAD_BYTES)[0] == 413
    status, headers, said = process.ask("POST", "/invocations", b" " * (BODY_BYTES + 1), x_request_id="r-8")
    assert (status, said["error_code"], headers["x-request-id"]) == (413, "BAD_REQUEST", "r-8")
    assert "send fewer rows" in said["message"]
    connection = process.connect()
    pieces = (b" " * 500_000 for _ in range(13))  # without a length: chunked
    connection.request("POST", "/invocations", pieces, {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_what_is_under_way_is_finished_at_sigterm(world: World, process: Process) -> None:
    promote_with_reference(world)
    assert process.ask("POST", "/invocations", SPLIT)[0] == 200
    body = json.dumps(SPLIT).encode()
    kept, slow = process.connect(), process.connect()
    assert ask(kept, "GET", "/ping")[0] == 200
    kept.auto_open = 0
    slow.putrequest("POST", "/invocations")
    slow.putheader("Content-Type", "application/json")
    slow.putheader("Content-Length", str(len(body)))
    slow.endheaders(body[:20])
    assert process.ask("GET", "/ping")[0] == 200  # the first half has been taken by then
    process.popen.send_signal(signal.SIGTERM)
    with pytest.raises((HTTPException, ConnectionError)):
        while True:  # until the process keeps no connection any more
            ask(kept, "GET", "/ping")
    kept.close()
    slow.send(body[20:])
    answer = slow.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"predictions": LABELS[:5]})
    slow.close()
    assert process.popen.wait(PATIENCE_SECONDS) == 0
    assert rows_written(world) == 10
    assert "SIG" not in process.log()


def test_a_missing_variable_is_named() -> None:
    command = [sys.executable, "-m", "labcycle_lambdas.model_server.process"]
    empty = {name: value for name, value in os.environ.items() if name != "TEAM"} | {"LEDGER_TABLE": "ledger"}
    run = subprocess.run(command, env=empty, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert run.returncode != 0
    assert "ARTIFACT_BUCKET, TEAM, MODEL" in run.stderr


def test_a_shadow_is_shown_what_it_answers(world: World, process: Process) -> None:
    world.promote(world.register(classifier()))
    version = world.register(classifier(regularisation=0.001))
    world.deployments.begin_shadow(MODEL, world.preflight.prepare(MODEL, version), 100, REVIEWER, in_process=True)
    record = world.deployments.current(MODEL)
    assert record.shadow
    of = Comparison(version, record.shadow.deployed.promoted_at, 1)
    for _ in range(3):
        assert process.ask("POST", "/invocations", SPLIT)[2] == {"predictions": LABELS[:5]}
    until = time.monotonic() + PATIENCE_SECONDS
    while Shadows(world.table).read(MODEL, of)[1].tally.requests < 3 and time.monotonic() < until:
        time.sleep(0.05)
    assert process.end() == 0, process.log()
    offered, seen = Shadows(world.table).read(MODEL, of)
    assert (offered, seen.tally.requests, seen.tally.failed, seen.rows) == (Offered(3), 3, 0, 15)
