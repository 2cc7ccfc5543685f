"""The header provider, in the stock client that found it by its entry point: in a process of its own, since MLflow looks
for entry points as it is imported."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labcycle.client import mlflow_headers

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SCRIPT = """
import json, os, sys
from mlflow.utils.rest_utils import MlflowHostCreds, http_request
before = os.environ.get("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE")
for method in sys.argv[2:]:
    http_request(MlflowHostCreds(sys.argv[1]), "/x", method, backoff_factor=0, backoff_jitter=0, json={})
from mlflow.environment_variables import MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE as threshold
print(json.dumps({"before": before, "threshold": threshold.get()}))
"""


@pytest.fixture
def flaky() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server that answers 429 to two of three requests; and (method, key) of all."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, self.headers["Idempotency-Key"]))
            self.send_response(200 if len(seen) % 3 == 0 else 429)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", seen
    server.shutdown()
    server.server_close()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH that declares the entry point as the wheel does."""
    info = tmp_path / "installed_by_the_wheel-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-by-the-wheel\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[mlflow.request_header_provider]\nlabcycle_here = labcycle.client.mlflow_headers:LabcycleHeaderProvider\n"
    )
    return tmp_path


def test_each_call_has_one_key_for_all_its_repeats(flaky: tuple[str, list[tuple[str, str]]], installed: Path) -> None:
    address, seen = flaky
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, address, *METHODS],
        env={**inherited, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [method for method, _ in seen] == [method for method in METHODS for _ in range(3)]
    by_call = [{key for _, key in seen[start : start + 3]} for start in range(0, len(seen), 3)]
    assert all(len(keys) == 1 for keys in by_call)
    assert len(set.union(*by_call)) == len(METHODS)
    # The threshold is the wheel's before the first upload asks for it.
    assert json.loads(done.stdout.splitlines()[-1]) == {"before": None, "threshold": mlflow_headers.LARGEST_PUT}


def test_a_threshold_that_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "77")
    importlib.reload(mlflow_headers)
    assert os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] == "77"
