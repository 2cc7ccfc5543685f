"""Functions in Python run in child processes of the host's Python, and see what Lambda's runtime would let them see.

* Wheels vendored for Lambda's Python cannot be loaded by another: packages named in the asset's `vendored.json` are taken
  out of the code when the function is made, and the host's same packages are imported in their place. Every swap, with
  the difference of versions, is kept for the deploy report.
* Nothing else of the host can be imported: only the standard library, boto3 and what it needs (the runtime brings
  them), the function's own code, and the vendored names. A forgotten requirement fails here as it fails on AWS.
* An error carries the class of the exception, which MiniStack reports as `Runtime.HandlerError` for all.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import io
import json
import os
import queue
import re
import sys
import sysconfig
import threading
import time
import zipfile
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from labcycle.local.emulation import function_bootstrap
from labcycle.local.settings import Settings, bare_environment

MANIFEST = "vendored.json"
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


class _LastType(threading.local):
    """Class of the exception that ended the thread's latest invocation."""

    value: str | None = None


_swaps: dict[str, dict[str, Any]] = {}
_last_type = _LastType()

_REPLACED = {
    '"trace": traceback.format_exc()}': '"trace": traceback.format_exc(), "type": type(e).__name__}',
    '_real_stdout.write(json.dumps({"status": "ok"': 'mark(_ms_ctx); _real_stdout.write(json.dumps({"status": "ok"',
    '_real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace"':
        'mark(_ms_ctx); _real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace"',
}  # fmt: skip
LOG_SECONDS = 0.25


def swaps() -> list[dict[str, Any]]:
    """One record for each code archive whose vendored packages were swapped for the host's."""
    return list(_swaps.values())


def install(settings: Settings) -> None:
    """Cure code loading, isolation, environment and error types of MiniStack's Python functions."""
    _swap_vendored()
    _isolate()
    _keep_environment_private()
    _report_error_types()


def _swap_vendored() -> None:
    original = lambda_svc._fetch_code_from_s3

    def fetch(bucket: str, key: str, version_id: str | None = None) -> bytes | None:
        code = original(bucket, key, version_id=version_id)
        return without_vendored(key, code) if code else code

    lambda_svc._fetch_code_from_s3 = fetch


def without_vendored(key: str, code: bytes) -> bytes:
    """The archive without the packages that its manifest names; unchanged where it has no manifest."""
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        if MANIFEST not in archive.namelist():
            return code
        manifest = json.loads(archive.read(MANIFEST))
        names = set(manifest["names"])
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as kept:
            for item in archive.infolist():
                if item.filename.split("/")[0] not in names:
                    kept.writestr(item, archive.read(item))
    swapped(key, manifest.get("lock") or [])
    return out.getvalue()


def swapped(asset: str, lock: list[str]) -> list[dict[str, str | None]]:
    """The packages that `lock` pins, with the host's versions of them; kept for the deploy report."""
    _swaps[asset] = {"asset": asset, "packages": _versions(lock)}
    packages: list[dict[str, str | None]] = _swaps[asset]["packages"]
    return packages


def _versions(lock: list[str]) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = []
    for line in lock:
        match = re.match(r"\s*([A-Za-z0-9][\w.-]*)\s*==\s*([^\s;#\\]+)", line)
        if not match:
            continue
        try:
            host: str | None = importlib.metadata.version(match[1])
        except importlib.metadata.PackageNotFoundError:
            host = None
        found.append({"package": match[1], "locked": match[2], "host": host})
    return found


def isolation(runtime_packages: tuple[str, ...]) -> str:
    """Source that a process runs first, in the folder of its code: only what may be imported can be from then on."""
    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    library = sorted({*(p for p in sys.path if p.endswith(("lib-dynload", ".zip"))), *paths})
    return f"{inspect.getsource(function_bootstrap)}isolate({MANIFEST!r}, {runtime_packages!r}, {library!r})\n"


def _isolate() -> None:
    original = lambda_runtime._detect_runtime_binary
    bootstrap = isolation(RUNTIME_PACKAGES) + "log_as_lambda_does()\n"

    def detect(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        if runtime.startswith("python"):
            for old, new in reversed(_REPLACED.items()):
                if script.count(old) != 1:
                    raise RuntimeError(f"MiniStack's worker script changed, so that it cannot be mended: {old}")
                script = script.replace(old, new)
            script = bootstrap + script
        return binary, script

    lambda_runtime._detect_runtime_binary = detect


def _keep_environment_private() -> None:
    """A function sees its own environment and what Lambda sets, not the server's."""
    private = SimpleNamespace(**{name: getattr(os, name) for name in dir(os) if not name.startswith("__")})
    seen = bare_environment()
    for name in ("AWS_ENDPOINT_URL", "GATEWAY_PORT", "TMPDIR", "LABCYCLE_LOCAL_START_ID", "AWS_EC2_METADATA_DISABLED"):
        if name in os.environ:
            seen[name] = os.environ[name]
    seen["TZ"] = ":UTC"
    seen["PYTHONDONTWRITEBYTECODE"] = "1"
    private.environ = seen
    lambda_runtime.os = private


def _report_error_types() -> None:
    original = lambda_runtime.Worker.invoke

    def invoke(self: Any, event: Any, request_id: str, **named: Any) -> dict[str, Any]:
        self.labcycle_request = request_id
        answer: dict[str, Any] = original(self, event, request_id, **named)
        _last_type.value = answer.get("type")
        return answer

    lambda_runtime.Worker.invoke = invoke
    lambda_runtime.Worker._drain_stderr_bounded = _log_of_invocation
    warm = lambda_svc._execute_function_warm

    def execute(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        _last_type.value = None
        result: dict[str, Any] = warm(function, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
            body["errorType"] = _last_type.value or _ended(str(body.get("errorMessage", "")))
            body["requestId"] = request_id
        return result

    lambda_svc._execute_function_warm = execute


def _log_of_invocation(worker: Any) -> str:
    """What the invocation wrote, up to its mark. MiniStack waits 50 ms for a line that may never come."""
    lines: list[str] = []
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        try:
            line = worker._stderr_queue.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return "\n".join(lines)
        if line == f"{function_bootstrap.MARK}{worker.labcycle_request}":
            return "\n".join(lines)
        if not line.startswith(function_bootstrap.MARK):
            lines.append(line)


def _ended(message: str) -> str:
    return "Runtime.ExitError" if "died" in message or "exited" in message else "Runtime.Unknown"
