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
import io
import json
import os
import re
import sys
import sysconfig
import threading
import zipfile
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from labcycle.local.settings import Settings, bare_environment

MANIFEST = "vendored.json"
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


class _LastType(threading.local):
    """Class of the exception that ended the thread's latest invocation."""

    value: str | None = None


_swaps: dict[str, dict[str, Any]] = {}
_last_type = _LastType()

_BOOTSTRAP = """
import importlib.machinery, json, logging, os, sys, time

def _labcycle_isolate():
    try:
        with open("vendored.json") as manifest:
            vendored = set(json.load(manifest)["names"])
    except OSError:
        vendored = set()
    allowed = {name.split(".")[0] for name in vendored} | set(RUNTIME_PACKAGES)
    host = [p for p in sys.path if p.rstrip("/").endswith(("site-packages", "dist-packages"))]
    sys.path[:] = [p for p in sys.path if p in STANDARD_LIBRARY]
    class HostPackages:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if path is None and name in allowed:
                return importlib.machinery.PathFinder.find_spec(name, host, target)
            return None
    sys.meta_path[:] = [f for f in sys.meta_path if f.__module__ if f.__module__.startswith(("_frozen", "importlib", "zipimport"))
                        or isinstance(f, type)]
    sys.meta_path.append(HostPackages)

class _LambdaLog(logging.Formatter):
    converter = time.gmtime
    def format(self, record):
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + ".%03dZ" % record.msecs
        return "[%s]\\t%s\\t%s" % (record.levelname, stamp, super().format(record))

_handler = logging.StreamHandler(sys.stderr)
_handler.setFormatter(_LambdaLog("%(message)s"))
logging.getLogger().addHandler(_handler)
_labcycle_isolate()
"""
_OLD_ERROR = '"trace": traceback.format_exc()}'
_NEW_ERROR = '"trace": traceback.format_exc(), "type": type(e).__name__}'


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
    _swaps[key] = {"asset": key, "packages": _versions(manifest.get("lock") or [])}
    return out.getvalue()


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


def _isolate() -> None:
    original = lambda_runtime._detect_runtime_binary
    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    library = [p for p in sys.path if p in paths or p.endswith(("lib-dynload", ".zip"))]
    constants = f"RUNTIME_PACKAGES = {RUNTIME_PACKAGES!r}\nSTANDARD_LIBRARY = {sorted({*library, *paths})!r}\n"

    def detect(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        if runtime.startswith("python"):
            assert _OLD_ERROR in script, "MiniStack's worker script changed: the error type cannot be added"
            script = constants + _BOOTSTRAP + script.replace(_OLD_ERROR, _NEW_ERROR)
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

    def invoke(self: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
        answer: dict[str, Any] = original(self, *arguments, **named)
        _last_type.value = answer.get("type")
        return answer

    lambda_runtime.Worker.invoke = invoke
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


def _ended(message: str) -> str:
    return "Runtime.ExitError" if "died" in message or "exited" in message else "Runtime.Unknown"
