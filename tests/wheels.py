"""Wheels that hold next to nothing, so that what installs packages can be tested without the network."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path


def wheel(
    folder: Path, name: str, version: str, *, module: str = "", needs: Sequence[str] = (), bytes_held: int = 0
) -> str:
    """Write a wheel with one module of that many bytes, of the package's name unless it has another, into the folder; its
    requirement, with its hash. The same each time."""
    plain = name.replace("-", "_")
    content = {
        f"{module or plain}/__init__.py": f"__version__ = {version!r}\n" + "#" * bytes_held,
        f"{plain}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {one}\n" for one in needs),
        f"{plain}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{plain}-{version}.dist-info/RECORD": "",
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in content.items():
            archive.writestr(zipfile.ZipInfo(file), text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
