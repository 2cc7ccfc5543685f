"""Synthesize configuration folders in a process of its own: `python -m tests.generated.synthesis CONFIG OUT ...`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.generated.locks import wheels_of

ROOT = Path(__file__).parents[2]
Work = tuple[Path, Path]
"""A folder with `teams` and `targets`, and the folder for its assembly."""


def synthesize_here(work: Sequence[Work]) -> None:
    """Synthesize each folder as anybody does who is in the checkout."""
    _run(work, ROOT, {"PYTHONHASHSEED": "1"})


def synthesize_elsewhere(work: Sequence[Work], home: Path) -> None:
    """Synthesize each folder as on another machine: with `home` for the working, home, temporary and cache folder.

    The wheels of functions are taken along, so that nothing is downloaded; call `synthesize_here` before, which has them.
    """
    here = Path.home() / ".cache"
    wheels = Path(os.environ.get("XDG_CACHE_HOME") or here) / "labcycle" / "wheels"
    shutil.copytree(wheels, home / "cache" / "labcycle" / "wheels")
    (home / "tmp").mkdir()
    moved = {"HOME": home, "TMPDIR": home / "tmp", "XDG_CACHE_HOME": home / "cache"}
    kernel = os.environ.get("JSII_RUNTIME_PACKAGE_CACHE_ROOT") or here / "aws" / "jsii" / "package-cache"
    environment = {name: str(path) for name, path in {**moved, "JSII_RUNTIME_PACKAGE_CACHE_ROOT": kernel}.items()}
    _run(work, home, {**environment, "PYTHONHASHSEED": "2"})


def _run(work: Sequence[Work], folder: Path, environment: dict[str, str]) -> None:
    paths = [str(path.resolve()) for config, out in work for path in (config, out)]
    found = " ".join(wheels_of(config / "teams").resolve().as_uri() for config, _ in work)
    environment = {
        **os.environ,
        "PIP_FIND_LINKS": found,
        "CDK_VALIDATION": "false",
        "PYTHONPATH": _search_path(),
        **environment,
    }
    command = [sys.executable, "-m", __name__, *paths]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-8000:]


def _search_path() -> str:
    """Of this process, which may have been told where the packages are."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def main() -> None:
    from aws_cdk import App

    from infra.app import build, settings

    paths = sys.argv[1:]
    for config, out in zip(paths[::2], paths[1::2], strict=True):
        app = App(outdir=out, context=settings() | {"config": config}, analytics_reporting=False)
        build(app)
        app.synth()


if __name__ == "__main__":
    main()
