"""CloudFormation asks for an image: a build begins, or CloudFormation is told at once."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from labcycle._templates import render
from labcycle_lambdas.image_build import handler
from labcycle_lambdas.image_build.building import Building

TOLD = {"StackId": "stack", "RequestId": "request-1", "LogicalResourceId": "Built"}


class CodeBuild:
    """The one call of CodeBuild that is made."""

    def __init__(self, error: Exception | None = None) -> None:
        self.builds: list[dict[str, Any]] = []
        self.error = error

    def start_build(self, **asked: Any) -> None:
        if self.error:
            raise self.error
        self.builds.append(asked)


class CloudFormation(HTTPServer):
    """Takes answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[dict[str, str], dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), _Taking)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/answer?signature=x"


class _Taking(BaseHTTPRequestHandler):
    server: CloudFormation

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.answers.append((dict(self.headers), json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    server = CloudFormation()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def event(cloudformation: CloudFormation, kind: str, **more: str) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": cloudformation.url,
        "ResourceProperties": {"Tag": "abc"},
        **TOLD,
        **more,
    }


def use(monkeypatch: pytest.MonkeyPatch, codebuild: CodeBuild) -> None:
    monkeypatch.setattr(handler, "building", lambda: Building(codebuild, "project-1"))


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_build_begins_and_is_left_to_answer(
    kind: str, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    codebuild = CodeBuild()
    use(monkeypatch, codebuild)
    handler.handle(event(cloudformation, kind, PhysicalResourceId="former"), None)
    [build] = codebuild.builds
    assert (build["projectName"], build["idempotencyToken"]) == ("project-1", "request-1")
    variables = {one["name"]: one["value"] for one in build["environmentVariablesOverride"]}
    assert (variables["TAG"], variables["ANSWER_URL"]) == ("abc", cloudformation.url)
    assert json.loads(variables["ANSWER"]) == {**TOLD, "PhysicalResourceId": "abc", "Status": "FAILED", "Reason": ""}
    assert cloudformation.answers == []


def test_nothing_is_built_at_the_end(cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    codebuild = CodeBuild()
    use(monkeypatch, codebuild)
    handler.handle(event(cloudformation, "Delete", PhysicalResourceId="former"), None)
    [(headers, answer)] = cloudformation.answers
    assert (answer["Status"], answer["PhysicalResourceId"], codebuild.builds) == ("SUCCESS", "former", [])
    assert {name.lower(): value for name, value in headers.items()}["content-type"] == ""


def test_a_build_that_cannot_begin_is_told(cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, CodeBuild(RuntimeError("too many builds")))
    with pytest.raises(RuntimeError):
        handler.handle(event(cloudformation, "Create"), None)
    [(_, answer)] = cloudformation.answers
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the build could not begin: too many builds")


_TOOLS = {
    "aws": 'case "$1 $2" in "ecr get-login-password") echo secret;; "s3 cp") echo "$4" >> calls; touch "$5";; esac',
    "docker": 'echo "docker $1" >> calls; if [ "$1" = manifest ]; then exit "$MISSING"; fi; if [ "$1" = build ]; then exit "$BROKEN"; fi',
    "unzip": "exit 0",
    "jq": 'cat > /dev/null; printf \'{"Status": "%s"}\' "$3"',
    "curl": 'cat answer.json > told; for last; do :; done; echo "$last" >> told',
}


@pytest.mark.parametrize(
    ("missing", "broken", "calls", "status"),
    [
        (
            "1",
            "0",
            ["docker login", "docker manifest", "s3://assets/key.zip", "docker build", "docker push"],
            "SUCCESS",
        ),
        ("0", "0", ["docker login", "docker manifest"], "SUCCESS"),
        ("1", "1", ["docker login", "docker manifest", "s3://assets/key.zip", "docker build"], "FAILED"),
    ],
)
def test_the_build_answers_however_it_ends(
    missing: str, broken: str, calls: list[str], status: str, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, body in _TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    variables = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "REPOSITORY": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/server",
        "TAG": "abc",
        "ANSWER": "{}",
        "ANSWER_URL": "https://answer",
        "CODEBUILD_BUILD_ID": "build-1",
        "MISSING": missing,
        "BROKEN": broken,
    }
    script = render("serving/build_image.sh.j2", context="s3://assets/key.zip")
    run = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert (tmp_path / "calls").read_text().splitlines() == calls, run.stderr
    assert (tmp_path / "told").read_text() == f'{{"Status": "{status}"}}https://answer\n'
    assert run.returncode == (0 if status == "SUCCESS" else 1)
