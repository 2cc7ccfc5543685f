"""The Python that runs a run again: a fresh environment made from its lock, or the one at hand."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from labcycle.client import record
from labcycle.client.surroundings import lock as installed
from labcycle.lineage.cannot_reproduce import CannotReproduce
from labcycle.lineage.libraries import Lock, differences, packages
from labcycle.lineage.runs_client import Run

_LAST_LINES = 15
_SIGNS_WITH = "boto3"  # labcycle does
_PROGRESS = ("Collecting", "Building")


@dataclass(frozen=True)
class Interpreter:
    """`different`: packages whose version is not the recorded one: recorded, and here. `notes`: a sentence each."""

    path: str
    reused: bool
    different: dict[str, tuple[str | None, str | None]]
    notes: list[str] = field(default_factory=list)

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """`given`, so that `python3`, scripts and what packages put on the path are this interpreter's, too."""
        binaries = Path(self.path).parent
        found = {**given, "PATH": os.pathsep.join([str(binaries), given.get("PATH", os.defpath)])}
        if self.reused:
            return {**found, "PYTHONUSERBASE": site.getuserbase()}  # else it moves with HOME
        return {
            **{key: value for key, value in found.items() if key not in ("PYTHONPATH", "PYTHONHOME")},
            "VIRTUAL_ENV": str(binaries.parent),
        }


def reused(lock: Lock | None) -> Interpreter:
    """The Python that runs this, and how its packages differ from the lock."""
    here = packages(installed())
    wanted = lock.packages() if lock else {}
    return Interpreter(sys.executable, True, _different(wanted, here))


def fresh(run: Run, lock: Lock | None, folder: Path, say: Callable[[str], object]) -> Interpreter:
    """A virtual environment in `folder` with the packages of the lock, by pip and its own settings, and with labcycle.

    Raises
    ------
    CannotReproduce
        If there is no lock, the run's Python is not on this machine, or pip cannot install it.
    """
    if lock is None:
        raise CannotReproduce(
            f"run {run.run_id} recorded no libraries (no lineage/requirements.txt, no model with a requirements.txt). Run it "
            f"with the packages that are installed here: --reuse-environment."
        )
    _run([_python(run), "-m", "venv", str(folder)], "a virtual environment cannot be made", os.environ)
    python = Interpreter(str(folder / "bin" / "python"), False, {})
    variables = python.variables(os.environ)  # what lies on PYTHONPATH is not installed
    requirements = folder / "requirements.txt"
    requirements.write_text(lock.text)
    left_out = lock.on_no_index()
    say(f"installing {len(lock.packages()) - len(left_out)} packages of {lock.origin}, with what pip says")
    # A whole lock has nothing to resolve; what a model needs does not have to log.
    options = ["--no-deps"] if lock.whole else [_SIGNS_WITH]
    _run(
        [python.path, "-m", "pip", "install", "--disable-pip-version-check", *options, "-r", str(requirements)],
        f"the packages of {lock.origin} cannot be installed. Try --reuse-environment, or mend pip's index",
        variables,
        lambda line: say(f"  {line.partition(' (from')[0]}") if line.startswith(_PROGRESS) else None,
    )
    where = [python.path, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    here = _bring_along(Path(_run(where, "the new environment does not work", variables).strip()))
    different = _different(left_out, here)
    notes = [
        f"{name} {was} was installed from a folder or file, not from an index: "
        + (f"{now} of this machine is used" if now else "the new environment lacks it")
        for name, (was, now) in different.items()
    ]
    return replace(python, different=different, notes=notes)


def _different(wanted: dict[str, str], here: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    return {name: pair for name, pair in differences(wanted, here).items() if name in wanted}


def _python(run: Run) -> str:
    """The interpreter of the run's minor version."""
    wanted = ".".join(run.tags.get(record.PYTHON, "").split(".")[:2])
    if not wanted or wanted == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{wanted}")
    if not found:
        raise CannotReproduce(
            f"run {run.run_id} ran on Python {wanted}, and there is no python{wanted} on the path. Install it, or run it with "
            f"this one and the packages that are installed here: --reuse-environment."
        )
    return found


def _bring_along(site_packages: Path) -> dict[str, str]:
    """labcycle itself, which may be on no index: a script that logs is signed by it. Tells its version, where it was copied."""
    spec = find_spec("labcycle")
    if spec is None or not spec.submodule_search_locations or (site_packages / "labcycle").exists():
        return {}
    source = Path(next(iter(spec.submodule_search_locations)))
    shutil.copytree(source, site_packages / "labcycle", ignore=shutil.ignore_patterns("__pycache__"))
    try:
        known = distribution("labcycle")
    except PackageNotFoundError:
        return {}
    about = site_packages / f"labcycle-{known.version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: labcycle\nVersion: {known.version}\n")
    (about / "entry_points.txt").write_text(known.read_text("entry_points.txt") or "")
    return {"labcycle": known.version}


def _run(
    command: list[str],
    otherwise: str,
    variables: Mapping[str, str],
    hear: Callable[[str], object] = lambda line: None,
) -> str:
    """What the command prints; `hear` is told each line at once."""
    lines: list[str] = []
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            lines.append(line.rstrip())
            hear(lines[-1])
    if running.returncode:
        last = "\n".join(lines[-_LAST_LINES:])
        raise CannotReproduce(f"{otherwise}:\n{last}")
    return "\n".join(lines)
