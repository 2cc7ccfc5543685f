"""Stage the code of a Lambda function: our package, its templates, and the wheels that its requirements.txt pins.

Staging is plain Python (no Docker, no bundling callback): the same input gives the same bytes, from a checkout and
from the installed wheel alike. Vendored wheels are cached by the hash of their lock, so that synth runs pip once.
"""

from __future__ import annotations

import csv
import email
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import aws_lambda as lambda_

from labcycle.config import Lock
from labcycle.config.locks import normalised
from labcycle.errors import LabcycleError

LAMBDA_PYTHON = "3.13"
LAMBDA_RUNTIME = lambda_.Runtime.PYTHON_3_13
_LAYOUT = "records"  # of what is cached; another word makes all of it anew
VENDORED_MANIFEST = "vendored.json"  # in the asset: which top-level names came from wheels, and the lock they came from
UNZIPPED_LIMIT_BYTES = 262_144_000  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
ARCHIVED_LIMIT_BYTES = 600_000_000  # beside the archive itself on a disk of 1,024 MiB
_PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")
_ONNX = ("numpy", "onnxruntime")  # what is left out where a model has a lock; that has its own numpy
_NOT_NEEDED = "nvidia-"  # of what the larger xgboost asks for, a processor has no use
_LARGEST = 5  # parts of a function that is too large
_JUNK = shutil.ignore_patterns("__pycache__", "*.pyc", "py.typed", "requirements.txt")


class AssetError(LabcycleError):
    """The code of a function could not be staged; the message says why and what to do."""


def package_directory(name: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise AssetError(f"the package {name} is not installed: run `pip install labcycle[cdk]`")
    return Path(next(iter(spec.submodule_search_locations)))


def cache_directory() -> Path:
    """Where vendored wheels and staged assets are kept; `XDG_CACHE_HOME` moves it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labcycle"


def function_code(function: str, lock: Lock | None = None) -> lambda_.Code:
    """Code of the function `function` (a folder of labcycle_lambdas), with the wheels that its requirements.txt pins, and the
    templates in the folder of the same name of labcycle_templates. `lock`: with these wheels in the place of ONNX Runtime's.

    Raises
    ------
    AssetError
        If the wheels cannot be had, or the result is larger than Lambda takes.
    """
    return lambda_.Code.from_asset(str(stage(function, lock)))


def stage(function: str, lock: Lock | None = None) -> Path:
    """Folder holding the code of `function`, ready to be zipped."""
    source = package_directory("labcycle_lambdas")
    file = source / function / "requirements.txt"
    own = file.read_text() if file.exists() else ""
    named = {f"{function}/requirements.txt": own}
    if lock:
        named = {f"{function}/requirements.txt": beside_lock(own, lock), "the model's requirements": lock.text}
    digest = hashlib.sha256(_kind_of("\n".join(named.values())))
    for path in sorted(source.rglob("*.py")):
        digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes() + b"\0")
    templates = package_directory("labcycle_templates")
    own_templates = sorted(path for path in (templates / function).glob("*") if path.suffix in (".j2", ".html"))
    for path in own_templates:
        digest.update(str(path.relative_to(templates)).encode() + b"\0" + path.read_bytes() + b"\0")
    out = cache_directory() / "assets" / digest.hexdigest()[:32]
    if out.is_dir():
        return out
    with _building(out) as build:
        for name, requirements in named.items():
            if requirements:
                wheels = _vendored(requirements, name)
                if lock and requirements == lock.text:
                    _check_closure(wheels, lock)
                _merge(build, wheels)
        shutil.copytree(source, build / "labcycle_lambdas", ignore=_JUNK)
        for path in [templates / "__init__.py", *own_templates] if own_templates else []:
            target = build / "labcycle_templates" / path.relative_to(templates)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        size = _size(build)
        if size > UNZIPPED_LIMIT_BYTES:
            parts = sorted(((_size(part), part.name) for part in build.iterdir()), reverse=True)[:_LARGEST]
            raise AssetError(
                f"the function {function} is {size / 1e6:.1f} MB unzipped, {(size - UNZIPPED_LIMIT_BYTES) / 1e6:.1f} MB more than "
                f"Lambda allows. Its largest parts: {', '.join(f'{name} {part / 1e6:.1f} MB' for part, name in parts)}. "
                "Remove packages that predictions do not need from its requirements, or serve the model from a container "
                "(deliver with runtime: fargate, and without a promotion in steps, batches and a retraining, which are functions)."
            )
    return out


def packages_archive(lock: Lock) -> tuple[Path, str]:
    """Archive with the wheels of a lock, for functions whose code has no room for them, and its SHA-256.

    Raises
    ------
    AssetError
        If the wheels cannot be had, or are more than a function's disk is made for.
    """
    out = cache_directory() / "archives" / hashlib.sha256(_kind_of(lock.text)).hexdigest()[:32]
    archive = out / "packages.zip"
    if not out.is_dir():
        wheels = _vendored(lock.text, "the requirements of the model's next runtime")
        _check_closure(wheels, lock)
        if (size := _size(wheels)) > ARCHIVED_LIMIT_BYTES:
            raise AssetError(
                f"the packages of the model's next runtime are {size / 1e6:.1f} MB; allowed {ARCHIVED_LIMIT_BYTES / 1e6:.0f} MB. Remove "
                "packages that predictions do not need from its requirements."
            )
        with _building(out) as build, zipfile.ZipFile(build / archive.name, "w", zipfile.ZIP_DEFLATED) as made:
            for path in sorted(path for path in wheels.rglob("*") if path.is_file()):
                # Without times, which would make another archive each time.
                entry = zipfile.ZipInfo(path.relative_to(wheels).as_posix())
                entry.compress_type = zipfile.ZIP_DEFLATED
                made.writestr(entry, path.read_bytes())
    return archive, hashlib.sha256(archive.read_bytes()).hexdigest()


def _size(path: Path) -> int:
    """In bytes, with all below."""
    return sum(p.stat().st_size for p in [path, *path.rglob("*")] if p.is_file())


def beside_lock(own: str, lock: Lock) -> str:
    """What of our own requirements is installed beside a model's lock: not ONNX Runtime, and nothing that the lock pins."""
    pinned = {*_ONNX, *lock.pins}
    left = [line for line in own.splitlines() if normalised(line.partition("==")[0]) not in pinned]
    return "".join(f"{line}\n" for line in left if not line.startswith("#"))


def _check_closure(wheels: Path, lock: Lock) -> None:
    """Raises `AssetError` where a package needs another one, whatever the circumstances, that the lock does not pin."""
    lacking: dict[str, list[str]] = {}
    for metadata in sorted(wheels.glob("*.dist-info/METADATA")):
        said = email.message_from_string(metadata.read_text(encoding="utf-8"))
        for needed in said.get_all("Requires-Dist", []):
            name = normalised(re.split(r"[^A-Za-z0-9._-]", needed, maxsplit=1)[0])
            if ";" not in needed and name not in lock.pins and not name.startswith(_NOT_NEEDED):
                lacking.setdefault(name, []).append(str(said["Name"]))
    if lacking:
        told = ", ".join(f"{name} (for {' and '.join(by)})" for name, by in lacking.items())
        raise AssetError(
            f"the model's requirements do not pin all that their packages need: {told}. Nothing else is installed: add them, with "
            "their versions; `uv pip compile` or `pip freeze` write all."
        )


def _merge(build: Path, wheels: Path) -> None:
    """Add a folder of wheels to what is built, and its names to the list of those that came from wheels."""
    listed = build / VENDORED_MANIFEST
    before = json.loads(listed.read_text()) if listed.exists() else None
    listed.unlink(missing_ok=True)  # it is a file of the cache
    shutil.copytree(wheels, build, dirs_exist_ok=True, copy_function=_link)
    if before:
        added = json.loads(listed.read_text())
        listed.unlink()
        listed.write_text(json.dumps({key: before[key] + added[key] for key in before}, indent=1))


def image_context(files: Mapping[str, str], packages: Sequence[str]) -> Path:
    """Folder from which an image is built: `files` by name, of labcycle_lambdas its own modules and `packages`, and the templates
    in folders of the same names."""
    found: dict[str, bytes] = {name: content.encode() for name, content in files.items()}
    code, templates = package_directory("labcycle_lambdas"), package_directory("labcycle_templates")
    modules = [*code.glob("*.py"), *(path for name in packages for path in (code / name).rglob("*.py"))]
    shown = [path for name in packages for path in (templates / name).glob("*") if path.is_file()]
    for path in [*modules, templates / "__init__.py", *shown]:
        root = code if path.is_relative_to(code) else templates
        found[f"{root.name}/{path.relative_to(root)}"] = path.read_bytes()
    digest = hashlib.sha256()
    for name, content in sorted(found.items()):
        digest.update(name.encode() + b"\0" + content + b"\0")
    out = cache_directory() / "images" / digest.hexdigest()[:32]
    if out.is_dir():
        return out
    with _building(out) as build:
        for name, content in found.items():
            target = build / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return out


def _kind_of(lock: str) -> bytes:
    """All that decides what the wheels of a lock are."""
    return f"{_LAYOUT}\n{LAMBDA_PYTHON}\n{_PLATFORMS}\n{lock}".encode()


def _vendored(lock: str, named: str) -> Path:
    """Folder with the wheels of `lock`, which errors call `named`, for Lambda's Python; made once a lock."""
    out = cache_directory() / "wheels" / hashlib.sha256(_kind_of(lock)).hexdigest()[:32]
    if out.is_dir():
        return out
    with _building(out) as build:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-compile", "--only-binary=:all:", "--python-version", LAMBDA_PYTHON, "--target", str(build)]
        command += [part for platform in _PLATFORMS for part in ("--platform", platform)]
        with tempfile.TemporaryDirectory() as folder:
            requirements = Path(folder) / "requirements.txt"
            requirements.write_text(lock, encoding="utf-8")
            run = subprocess.run([*command, "-r", str(requirements)], capture_output=True, text=True, check=False)
        if run.returncode:
            raise AssetError(
                f"the wheels of {named} cannot be had for Python {LAMBDA_PYTHON} on x86_64: "
                f"{run.stderr.strip()[-600:]}. Check the pins, and that the package index can be reached."
            )
        names = sorted(p.name for p in build.iterdir() if p.name != "bin" and not p.name.endswith(".dist-info"))
        for junk in [
            build / "bin",
            *build.rglob("__pycache__"),
            *build.rglob("tests"),
            *build.rglob("*.pyi"),
        ]:
            shutil.rmtree(junk) if junk.is_dir() else junk.unlink(missing_ok=True)
        for record in build.glob("*.dist-info/RECORD"):
            _shorten(record)
        (build / VENDORED_MANIFEST).write_text(json.dumps({"names": names, "lock": lock.splitlines()}, indent=1))
    return out


def _shorten(record: Path) -> None:
    """Leave in a wheel's list, by which published files are known, what is left of the wheel; scripts differ by machine.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    rows = sorted(csv.reader(record.read_text(encoding="utf-8").splitlines()))
    left = [row for row in rows if len(row) == 3 and row[1] and (record.parents[1] / row[0]).is_file()]
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(left)


def _link(source: str, target: str) -> None:
    """A second name for a file of the same cache: the wheels of a function take 100 MB, and its code changes often."""
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


class _building:
    """A temporary folder that becomes `out` at once when the block ends well, so that no half-made folder is ever used."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def __enter__(self) -> Path:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._build = Path(tempfile.mkdtemp(prefix=".build-", dir=self._out.parent))
        return self._build

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            try:
                self._build.chmod(0o755)
                self._build.rename(self._out)
                return
            except OSError:
                if not self._out.is_dir():  # another process was faster: its folder is as good as ours
                    raise
        shutil.rmtree(self._build, ignore_errors=True)
