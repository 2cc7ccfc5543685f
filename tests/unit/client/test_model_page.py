"""`labcycle models app` and `openapi`: the door on 127.0.0.1, with a model server behind it, and a browser before it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client import model_api, model_page
from labcycle.client.api import TeamApi
from labcycle.client.model_api import ModelApi, ModelUnreachable
from labcycle.client.model_page import ModelPage
from labcycle.client.own_rights import OwnRights
from labcycle.config import names
from labcycle.errors import LabcycleError
from labcycle_lambdas.ledger.deployments import Deployments
from tests.unit.model_server.bench import SPLIT, Bench
from tests.unit.model_server.conftest import bench, world  # noqa: F401 - fixtures
from tests.unit.model_server.upstream import Upstream, running
from tests.unit.serving.workshop import FEATURES, MODEL, REVIEWER, TEAM, classifier, reference_table

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HTTP = urllib3.PoolManager()


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


@pytest.fixture
def upstream(bench: Bench) -> Iterator[Upstream]:  # noqa: F811 - the fixture
    """A classifier with its reference, live."""
    bench.serve(classifier(), run_id=bench.world.run({"reference.json": reference_table()}))
    made = Upstream(bench.server)
    with running(made):
        yield made


@pytest.fixture
def page(upstream: Upstream) -> Iterator[ModelPage]:
    made = ModelPage(ModelApi(MODEL, upstream.url))
    with running(made):
        yield made


def ask(
    page: ModelPage, method: str, path: str, body: bytes = b"", **headers: str
) -> urllib3.response.BaseHTTPResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{page.server_port}{path}"
    return HTTP.request(method, url, body=body or None, headers=named, retries=False, redirect=False)


# ---- the door ---------------------------------------------------------------------------------------------------


def test_an_api_with_consumers_gets_the_key_of_the_team(
    page: ModelPage, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.key = "the-team's-own"
    asked: list[tuple[str, str]] = []

    def read_key(model: str, consumer: str) -> str:
        asked.append((model, consumer))
        return upstream.key

    monkeypatch.setattr(model_api, "read_key", read_key)
    for _ in range(2):
        answer = ask(page, "POST", "/invocations", json.dumps(SPLIT).encode(), content_type="application/json")
        assert answer.status == 200, answer.data
    assert ask(page, "GET", "/ping").status == 200
    assert asked == [(MODEL, "team")], "read when it is wanted, and once"


def test_what_the_page_asks_passes_signed(page: ModelPage, upstream: Upstream) -> None:
    body = json.dumps(SPLIT).encode()
    for method, path, content in (
        ("GET", "/app", b""),
        ("GET", "/openapi.json", b""),
        ("GET", "/ping", b""),
        ("GET", "/version", b""),
        ("POST", "/invocations", body),
    ):
        answer = ask(page, method, path, content, content_type="application/json", x_labcycle_key="k", cookie="secret")
        assert answer.status == 200, answer.data
        came = upstream.came[-1]
        assert (came.method, came.path, came.body) == (method, path, content)
        assert re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=\w+/\d{8}/eu-west-1/execute-api/aws4_request, SignedHeaders=[a-z0-9;-]+, "
            r"Signature=[0-9a-f]{64}",
            came.headers["authorization"],
        )
        assert came.headers["x-labcycle-key"] == "k"
        assert "cookie" not in came.headers
        assert (answer.headers["x-labcycle-model"], answer.headers["x-request-id"][:8]) == (MODEL, "request-")
    assert json.loads(answer.data) == {"predictions": classifier().estimator.predict(_rows()).tolist()}
    html = ask(page, "GET", "/app")
    assert html.headers["content-security-policy"].startswith("default-src 'none'")
    assert html.headers["content-type"] == "text/html; charset=utf-8"


def _rows() -> Any:
    return SPLIT["dataframe_split"]["data"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/app"),
        ("GET", "/invocations"),
        ("PUT", "/invocations"),
        ("DELETE", "/app"),
        ("OPTIONS", "/invocations"),
        ("HEAD", "/app"),
        ("GET", "/"),
        ("GET", "/app?more=1"),
        ("GET", "/app/"),
        ("GET", "/labcycle/1.0/models"),
        ("GET", "//evil.example/app"),
        ("GET", "http://evil.example/app"),
    ],
)
def test_nothing_else_passes(page: ModelPage, upstream: Upstream, method: str, path: str) -> None:
    host = f"127.0.0.1:{page.server_port}"
    assert b" 404 " in raw(page, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").splitlines()[0]
    assert upstream.came == []


def raw(page: ModelPage, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", page.server_port), timeout=10) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "headers",
    [
        "Host: evil.example",
        "Host: evil.example:{port}",
        "Host: 127.0.0.1",
        "Host: 127.0.0.1:1",
        "Host: 127.0.0.1:{port}\r\nHost: evil.example",
        "X-Host: 127.0.0.1:{port}",
        "Host: 127.0.0.1:{port}\r\nOrigin: https://evil.example",
        "Host: 127.0.0.1:{port}\r\nOrigin: null",
        "Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:1",
        "Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nOrigin: http://evil.example",
    ],
)
def test_other_names_and_other_pages_are_refused(page: ModelPage, upstream: Upstream, headers: str) -> None:
    given = headers.format(port=page.server_port)
    for first in ("GET /app", "POST /invocations"):
        said = raw(page, f"{first} HTTP/1.1\r\n{given}\r\nContent-Length: 0\r\n\r\n")
        assert b" 403 " in said.splitlines()[0] and b"PERMISSION_DENIED" in said
    assert upstream.came == []


def test_its_own_names_and_its_own_origin_pass(page: ModelPage) -> None:
    for name in page.hosts:
        said = raw(page, f"GET /ping HTTP/1.1\r\nHost: {name}\r\nOrigin: http://{name}\r\n\r\n")
        assert b" 200 " in said.splitlines()[0]
    assert page.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Content-Length: {model_page.BODY_BYTES + 1}", 413),
        ("Content-Length: 99999999999999999999", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 1\r\nContent-Length: 2", 411),
        ("Transfer-Encoding: chunked", 411),
    ],
)
def test_bodies_have_a_limit(page: ModelPage, upstream: Upstream, header: str, status: int) -> None:
    said = raw(page, f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{page.server_port}\r\n{header}\r\n\r\n")
    assert f" {status} ".encode() in said.splitlines()[0]
    assert upstream.came == []


def test_what_goes_wrong_behind_it_is_said_in_the_shape_of_the_api(page: ModelPage, upstream: Upstream) -> None:
    upstream.forbidden = True
    answer = ask(page, "GET", "/version")
    assert answer.status == 403 and "a role that may invoke models" in json.loads(answer.data)["message"]
    page.api = ModelApi(MODEL, "http://127.0.0.1:9")
    answer = ask(page, "GET", "/version")
    assert answer.status == 502 and "cannot be reached" in json.loads(answer.data)["message"]


def test_a_port_that_is_taken_is_told(page: ModelPage) -> None:
    with pytest.raises(LabcycleError, match=f"port {page.server_port} of 127.0.0.1 cannot be had .*leave --port out"):
        ModelPage(page.api, page.server_port)


# ---- the commands -----------------------------------------------------------------------------------------------


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["models", *words])


@pytest.fixture
def published(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """With the parameter that the model's stack writes."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", upstream.url)
    boto3.client("ssm", "eu-west-1").put_parameter(
        Name=names.model_url_parameter(TEAM, MODEL), Value=upstream.url, Type="String"
    )
    return upstream


def test_app_prints_its_address_and_ends(published: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def interrupted(self: ModelPage) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelPage, "serve_forever", interrupted)
    result = call("app", MODEL)
    assert result.exit_code == 0, result.output
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+/app", result.stdout)
    assert opened == [url]
    assert json.loads(call("app", MODEL, "--json").stdout)["url"].endswith("/app")
    assert call("app", MODEL, "--no-browser").exit_code == 0
    assert opened == [url]


def test_app_says_what_is_in_the_way(published: Upstream, bench: Bench) -> None:  # noqa: F811 - the fixture
    published.routes.discard("/app")
    assert "has no page: add {form: app} to deliver" in call("app", MODEL).output.replace("\n", " ")
    published.forbidden = True
    result = call("app", MODEL)
    assert result.exit_code == 2 and "refused you (Forbidden)" in result.output.replace("\n", " ")
    result = call("app", "other")
    assert result.exit_code == 2
    assert "the model other of the team fraud has no API" in result.output.replace("\n", " ")


def test_nothing_live_is_said(bench: Bench) -> None:  # noqa: F811 - the fixture
    upstream = Upstream(bench.server)
    with running(upstream), pytest.raises(ModelUnreachable, match="no version of card-fraud is live"):
        ModelApi(MODEL, upstream.url).get("/version")


def test_credentials_that_ended_are_said(published: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OwnRights, "client", lambda self, service: _Expired())
    with pytest.raises(LabcycleError, match=r"in the parameter .*ExpiredToken"):
        ModelApi.find(MODEL, TeamApi())


class _Expired:
    def get_parameter(self, Name: str) -> object:
        raise ClientError({"Error": {"Code": "ExpiredToken"}}, "GetParameter")


def test_openapi_prints_the_document(published: Upstream) -> None:
    result = call("openapi", MODEL)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["info"] == {
        "title": MODEL,
        "version": "1",
        "description": json.loads(result.stdout)["info"]["description"],
    }
    assert published.came[-1].path == "/openapi.json"


# ---- in a browser -----------------------------------------------------------------------------------------------


def seen(page: ModelPage, folder: Path, fragment: str) -> str:
    """The page as a browser has it when nothing moves any more."""
    assert CHROMIUM
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = f"--disable-component-update --disable-sync --virtual-time-budget=20000 --user-data-dir={folder}"
    command = [CHROMIUM, *flags.split(), *more.split(), "--dump-dom", f"{page.url}{fragment}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_a_browser_shows_what_the_api_answers(
    page: ModelPage,
    upstream: Upstream,
    bench: Bench,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    given = [3.0, 1.5, -0.25]
    filled = "&".join(f"{quote(name)}={value}" for name, value in zip(FEATURES, given, strict=True))
    html = seen(page, tmp_path, f"#score?{filled}")
    (prediction,) = bench.predictions({"dataframe_split": {"columns": FEATURES, "data": [given]}})
    assert f'id="answer" data-exact="{prediction}">{prediction}</p>' in html.replace(' class="answer"', "")
    assert "From version 1, request request-" in html
    first, second = (json.loads(came.body)["dataframe_split"] for came in upstream.came if came.method == "POST")
    assert first == {"columns": FEATURES, "data": [given]}
    assert second["data"][0] == given and len(second["data"]) == 4
    assert [sum(a != b for a, b in zip(row, given, strict=True)) for row in second["data"]] == [0, 1, 1, 1]
    headers = [came.headers for came in upstream.came if came.method == "POST"]
    assert ["x-labcycle-what-if" in one for one in headers] == [False, True]
    assert headers[0]["x-labcycle-key"] == headers[1]["x-labcycle-key"]
    answers = bench.predictions({"dataframe_split": second})
    shown = dict(re.findall(r"(mean \w+): (stays|would become \d+)", html))
    assert shown == {
        name: "stays" if answer == prediction else f"would become {answer}"
        for name, answer in zip(FEATURES, answers[1:], strict=True)
    }
    assert "neither how they act together nor what causes what" in html


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_a_browser_shows_errors_and_pauses(
    page: ModelPage,
    bench: Bench,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    bench.predictions(SPLIT)  # so that the version is loaded when the pause begins
    Deployments(bench.world.table).pause(MODEL, None, REVIEWER, reason="<b>wrong</b> data")
    bench.clock.pass_seconds(60)
    html = seen(page, tmp_path, "#score")
    assert "by reviewer-1: &lt;b&gt;wrong&lt;/b&gt; data." in html
    (error,) = re.findall(r'<div class="wrong" id="wrong" role="alert">(.*?)</div>', html)
    assert "was paused at" in error and "(request request-" in error
    assert re.search(r'id="result" aria-live="polite" hidden', html)
