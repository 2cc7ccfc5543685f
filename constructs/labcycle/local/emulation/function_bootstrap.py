"""Runs first in the process of a function: its text is put before MiniStack's worker script. It imports nothing of ours."""

from __future__ import annotations

import importlib.machinery
import json
import logging
import sys
import time
from collections.abc import Collection, Sequence
from typing import Any

MARK = "\x1elabcycle-end "  # begins the line on standard error that ends the log of one invocation


class HostPackages:
    """Finds the packages that Lambda's runtime or the function's own wheels would bring, where the host has them."""

    def __init__(self, allowed: Collection[str], folders: Sequence[str]) -> None:
        self._allowed = allowed
        self._folders = folders

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if path is None and name in self._allowed:
            return importlib.machinery.PathFinder.find_spec(name, self._folders, target)
        return None


class LambdaFormatter(logging.Formatter):
    """Lines as Lambda's own handler of the root logger writes them."""

    converter = time.gmtime  # type: ignore[assignment]

    def format(self, record: logging.LogRecord) -> str:
        stamp = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z"
        return f"[{record.levelname}]\t{stamp}\t{super().format(record)}"


def isolate(manifest: str, runtime_packages: Collection[str], standard_library: Collection[str]) -> None:
    """Let nothing be imported but the standard library, the runtime's packages, and the vendored ones of `manifest`."""
    try:
        with open(manifest) as file:  # noqa: PTH123 - the fewer imports the better
            vendored = {str(name).split(".")[0] for name in json.load(file)["names"]}
    except OSError:
        vendored = set()
    folders = [path for path in sys.path if path.rstrip("/").endswith(("site-packages", "dist-packages"))]
    own = (importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter, importlib.machinery.PathFinder)
    sys.path[:] = [path for path in sys.path if path in standard_library]
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder in own]
    sys.meta_path.append(HostPackages(vendored | set(runtime_packages), folders))


def mark(context: dict[str, Any]) -> None:
    """Say that everything which this invocation logs was logged."""
    sys.stderr.write(f"{MARK}{context.get('request_id')}\n")
    sys.stderr.flush()


def log_as_lambda_does() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LambdaFormatter("%(message)s"))
    logging.getLogger().addHandler(handler)
