"""The API that serves one team from memory."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import mlflow
import pytest
import requests
from mlflow.tracking import MlflowClient

from labcycle.client.signing import canonical_url, sign
from labcycle.local.api import BUCKET, CREDENTIALS, LAMBDA_BYTES, MEMBER, RESET, LocalApi, PortTaken
from tests.unit.tracking.server import stock_client

MLFLOW = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def served() -> Iterator[LocalApi]:
    before = _aws_variables()
    with LocalApi() as api:
        address = urlsplit(api.address).netloc
        yield api
    assert _aws_variables() == before
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(address, timeout=5).connect()


def _aws_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


@pytest.fixture(autouse=True)
def empty(served: LocalApi) -> None:
    served.reset()


class Connection:
    """One connection that is kept."""

    def __init__(self, served: LocalApi) -> None:
        self.address = served.address
        self.http = http.client.HTTPConnection(urlsplit(served.address).netloc, timeout=30)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.http.request(method, path, content or None, {"Content-Type": "application/json", **(headers or {})})
        said = self.http.getresponse()
        text = said.read()
        return said.status, json.loads(text) if said.getheader("content-type") == "application/json" else text.decode()


@pytest.fixture
def connection(served: LocalApi) -> Connection:
    return Connection(served)


@pytest.mark.parametrize("signed", [True, False])
def test_a_run_is_the_members(connection: Connection, signed: bool) -> None:
    info = _run(connection, signed=signed)
    assert info["user_id"] == MEMBER
    assert info["artifact_uri"].startswith("s3://" if signed else "mlflow-artifacts:/")


def test_both_functions_are_served(connection: Connection) -> None:
    assert connection.call("GET", "/health") == (200, "OK")
    status, said = connection.call("GET", "/labcycle/1.0/models/none/deployment")
    assert (status, said["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_artifacts_of_who_signs_are_in_s3(served: LocalApi, connection: Connection) -> None:
    info = _run(connection, signed=True)
    key = urlsplit(info["artifact_uri"]).path.strip("/") + "/a/b.txt"
    client = boto3.client("s3", endpoint_url=served.environment()["AWS_ENDPOINT_URL_S3"])
    client.put_object(Bucket=BUCKET, Key=key, Body=b"text")
    _, listed = connection.call("GET", f"{MLFLOW}/artifacts/list?run_id={info['run_id']}&path=a")
    assert listed["files"] == [{"path": "a/b.txt", "is_dir": False, "file_size": 4}]


def test_artifacts_of_who_does_not_sign_are_behind_the_api(connection: Connection) -> None:
    root = _run(connection)["artifact_uri"].removeprefix("mlflow-artifacts:/")
    url = f"{connection.address}/api/2.0/mlflow-artifacts/artifacts/{root}/a/b.txt"
    assert requests.put(url, b"text", timeout=30).status_code == 200
    said = requests.get(url, timeout=30)
    assert (said.status_code, said.content) == (200, b"text")
    assert [hop.status_code for hop in said.history] == [307]


def test_a_client_in_this_process_logs_files(served: LocalApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "full.txt").write_text("text")
    with stock_client(served.address, monkeypatch, tmp_path):
        with mlflow.start_run() as run:
            mlflow.log_artifacts(str(tmp_path))
        files = {file.path: file.file_size for file in MlflowClient().list_artifacts(run.info.run_id)}
    assert files == {"empty.txt": 0, "full.txt": 4}


def test_a_body_may_come_in_chunks(connection: Connection) -> None:
    body = json.dumps({"name": "e" * 40}).encode()
    connection.http.request(
        "POST",
        f"{MLFLOW}/experiments/create",
        iter([body[:20], body[20:]]),
        {"Content-Type": "application/json"},
        encode_chunked=True,
    )
    assert json.loads(connection.http.getresponse().read()).keys() == {"experiment_id"}
    assert connection.call("GET", f"{MLFLOW}/experiments/get-by-name?experiment_name={'e' * 40}")[0] == 200


@pytest.mark.parametrize(
    "header", [{"Content-Length": "x"}, {"Content-Length": "-1"}, {"Transfer-Encoding": "chunked"}]
)
def test_a_body_without_an_end_is_refused(connection: Connection, header: dict[str, str]) -> None:
    connection.http.putrequest("POST", f"{MLFLOW}/experiments/create")
    for name, value in header.items():
        connection.http.putheader(name, value)
    connection.http.endheaders(b"zz\r\n")
    assert connection.http.getresponse().status == 400


@pytest.mark.parametrize(
    "header", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Host": "127.0.0.1:1"}]
)
def test_web_pages_of_others_are_refused(connection: Connection, header: dict[str, str]) -> None:
    assert connection.call("POST", RESET, headers=header)[0] == 403


def _run(connection: Connection, *, signed: bool = False) -> Any:
    path = f"{MLFLOW}/runs/create"
    body = json.dumps({"experiment_id": "0", "start_time": 1}).encode()
    headers = _signed("POST", connection.address + path, body) if signed else {}
    status, said = connection.call("POST", path, body, headers)
    assert status == 200
    return said["run"]["info"]


def _signed(method: str, url: str, body: bytes = b"", region: str = "eu-west-1") -> dict[str, str]:
    session = boto3.Session(CREDENTIALS.access_key, CREDENTIALS.secret)
    kind = {"Content-Type": "application/json"}
    return sign(method, url, kind, body, credentials=session.get_credentials(), region=region)


def test_reset_empties_it(connection: Connection) -> None:
    assert connection.call("POST", f"{MLFLOW}/experiments/create", {"name": "e"})[0] == 200
    assert connection.call("GET", RESET)[0] == 405
    assert connection.call("POST", RESET) == (200, {})
    assert connection.call("GET", f"{MLFLOW}/experiments/get-by-name?experiment_name=e")[0] == 404
    assert connection.call("POST", f"{MLFLOW}/experiments/create", {"name": "e"})[0] == 200


@pytest.mark.parametrize(
    ("region", "tamper", "status"),
    [("eu-west-1", "", 200), ("us-east-1", "", 403), ("eu-west-1", "&max_results=2", 403)],
)
def test_a_signature_is_verified(connection: Connection, region: str, tamper: str, status: int) -> None:
    path = f"{MLFLOW}/experiments/search?max_results=1&order_by=name%20ASC&filter=name%20LIKE%20%27%25%27"
    url = canonical_url(connection.address + path)
    headers = _signed("GET", url, region=region)
    assert connection.call("GET", url.removeprefix(connection.address) + tamper, headers=headers)[0] == status


def test_other_credentials_are_told_what_to_set(connection: Connection) -> None:
    session = boto3.Session("AKIAOTHER", "secret")
    url = f"{connection.address}/health"
    headers = sign("GET", url, credentials=session.get_credentials(), region="eu-west-1")
    status, said = connection.call("GET", "/health", headers=headers)
    assert status == 403
    assert CREDENTIALS.access_key in said["message"]


def test_what_lambda_cannot_take_is_refused(connection: Connection) -> None:
    assert connection.call("POST", f"{MLFLOW}/runs/log-batch", b" " * LAMBDA_BYTES)[0] == 413


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortTaken, match="--port 0"), LocalApi(taken.getsockname()[1]):
            pass


def test_the_command_prints_where_it_is_and_ends_with_ctrl_c() -> None:
    code = (
        "import sys; from labcycle.cli import app\n"
        "try: app(['local', 'api', '--port', '0', '--json'], standalone_mode=False)\n"
        "finally: print(' '.join(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            break
    told = json.loads(text)
    assert told["environment"]["MLFLOW_TRACKING_URI"] == told["address"]
    http_api = http.client.HTTPConnection(urlsplit(told["address"]).netloc, timeout=30)
    http_api.request("GET", "/version")
    assert http_api.getresponse().status == 200
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "ending the local API\n")
    # It starts within 3 s only while it loads no more than it needs.
    assert set(out.split()).isdisjoint({"mlflow", "ministack", "aws_cdk", "jsii", "pandas", "numpy", "sklearn"})
