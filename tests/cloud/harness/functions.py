"""Runs the code of deployed functions in this interpreter, from the zip that was uploaded.

Each function is its own world: own modules (so that every function starts cold once and keeps its state after), own
environment variables, and no import of anything that its asset, its vendored wheels or the Lambda runtime does not
hold. Functions run one at a time.
"""

from __future__ import annotations

import builtins
import importlib
import io
import json
import os
import sys
import tempfile
import threading
import traceback
import types
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest import mock

import boto3
from moto.awslambda.models import LambdaFunction, LambdaVersion

from tests.cloud.harness.assembly import VENDORED_MANIFEST
from tests.cloud.harness.place import access_key

_RUNTIME_PACKAGES = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"}
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "PYTEST_CURRENT_TEST")


@dataclass(frozen=True)
class _Code:
    """An unpacked asset: its own top-level names, and all that its functions may import."""

    root: Path
    names: set[str]
    allowed: set[str]


@dataclass
class _World:
    code: _Code
    modules: dict[str, types.ModuleType] = field(default_factory=dict)
    session: Any = None  # boto3's default session, which keeps the credentials that it found first


@dataclass(frozen=True)
class Failure:
    """An invocation that raised."""

    function: str
    event: Any
    error: str
    trace: str


@dataclass(frozen=True)
class _Context:
    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    aws_request_id: str
    timeout_seconds: int
    function_version: str = "$LATEST"

    def get_remaining_time_in_millis(self) -> int:
        return self.timeout_seconds * 1000


class Functions:
    """The functions of a cloud."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self._codes: dict[str, _Code] = {}
        self._worlds: dict[tuple[str, str, str], _World] = {}
        self._lock = threading.RLock()
        self._running = threading.local()

    @property
    def running(self) -> Any | None:
        """The function whose code runs in this thread."""
        return getattr(self._running, "function", None)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """What happens inside is AWS's doing, not the function's."""
        function, self._running.function = self.running, None
        try:
            yield
        finally:
            self._running.function = function

    def restart(self, name: str = "") -> None:
        """Functions whose name holds `name` start cold again at their next call."""
        self._worlds = {key: world for key, world in self._worlds.items() if name not in key[0]}

    def patch(self, stack: ExitStack) -> None:
        """Let moto's functions run here until `stack` closes."""
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="functions-")))

        def invoke(function: Any, body: str, request_headers: Any, response_headers: Any) -> str:
            return self._invoke(function, body, response_headers)

        stack.enter_context(mock.patch.object(LambdaFunction, "invoke", invoke))
        # The template language asks a version for attributes that moto's model does not have.
        version = mock.patch.multiple(
            LambdaVersion,
            create=True,
            has_cfn_attr=classmethod(lambda cls, name: name == "Version"),
            get_cfn_attribute=lambda self, name: self.version,
        )
        stack.enter_context(version)
        stack.enter_context(mock.patch.object(builtins, "__import__", self._guarded_import(builtins.__import__)))

    def _invoke(self, function: Any, body: str, response_headers: dict[str, str]) -> str:
        event = json.loads(body) if body else {}
        context = _Context(
            function.function_name,
            function.function_arn,
            int(function.memory_size),
            str(uuid.uuid4()),
            int(function.timeout),
        )
        try:
            with self._inside(function) as handler:
                answer = handler(event, context)
                return json.dumps(answer)
        except Exception as error:  # noqa: BLE001 - Lambda catches whatever a function raises
            trace = traceback.format_exc()
            self.failures.append(Failure(function.function_name, event, type(error).__name__, trace))
            print(trace, file=sys.stderr)
            response_headers["x-amz-function-error"] = "Unhandled"
            frames = traceback.format_tb(error.__traceback__)
            return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": frames})

    @contextmanager
    def _inside(self, function: Any) -> Iterator[Any]:
        """The function's handler, with its modules and variables in place."""
        with self._lock, _variables(function):
            world = self._world(function)
            outer = _take_modules(world.code.names)
            sys.modules.update(world.modules)
            sys.path.insert(0, str(world.code.root))
            caller, self._running.function = self.running, function
            session, boto3.DEFAULT_SESSION = boto3.DEFAULT_SESSION, world.session
            try:
                module, _, name = function.handler.rpartition(".")
                yield getattr(importlib.import_module(module.replace("/", ".")), name)
            finally:
                self._running.function = caller
                world.session, boto3.DEFAULT_SESSION = boto3.DEFAULT_SESSION, session
                sys.path.remove(str(world.code.root))
                world.modules = _take_modules(world.code.names)
                sys.modules.update(outer)

    def _world(self, function: Any) -> _World:
        key = (function.function_arn, function.code_sha_256, json.dumps(function.environment_vars, sort_keys=True))
        if key not in self._worlds:
            self._worlds[key] = _World(self._code(function))
        return self._worlds[key]

    def _code(self, function: Any) -> _Code:
        if function.code_sha_256 not in self._codes:
            root = self._folder / str(len(self._codes))
            with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                archive.extractall(root)
            manifest = root / VENDORED_MANIFEST
            vendored = set(json.loads(manifest.read_text())["names"]) if manifest.exists() else set()
            names = {path.stem for path in root.iterdir() if path.is_dir() or path.suffix == ".py"}
            allowed = names | {Path(name).stem for name in vendored} | _RUNTIME_PACKAGES | sys.stdlib_module_names
            self._codes[function.code_sha_256] = _Code(root, names, allowed)
        return self._codes[function.code_sha_256]

    def _guarded_import(self, original: Any) -> Any:
        """`import` as a function finds it on Lambda: the host's other packages are not there."""

        def guarded(
            name: str, globals: Mapping[str, Any] | None = None, locals: Any = None, fromlist: Any = (), level: int = 0
        ) -> Any:
            if level == 0 and globals is not None:
                file = str(globals.get("__file__", ""))
                for code in list(self._codes.values()) if file.startswith(str(self._folder)) else ():
                    if file.startswith(f"{code.root}{os.sep}") and name.partition(".")[0] not in code.allowed:
                        raise ModuleNotFoundError(f"No module named '{name}' in the function's asset", name=name)
            return original(name, globals, locals, fromlist, level)

        return guarded


def _take_modules(names: set[str]) -> dict[str, types.ModuleType]:
    taken = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in taken}


@contextmanager
def _variables(function: Any) -> Iterator[None]:
    """The process's environment as the function sees it, and only that."""
    before = dict(os.environ)
    inside = {name: before[name] for name in _KEPT_VARIABLES if name in before}
    inside |= {
        "AWS_ACCESS_KEY_ID": access_key(function.account_id),
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_LOG_GROUP_NAME": function.logs_group_name,
    }
    inside |= cast("dict[str, str]", {k: str(v) for k, v in (function.environment_vars or {}).items()})
    os.environ.clear()
    os.environ.update(inside)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
