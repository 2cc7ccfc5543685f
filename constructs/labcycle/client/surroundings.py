"""Where code runs: the installed packages as a lock, the platform, the image, the GPUs."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import Distribution, distributions
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import urllib3

# The address of a container's own description, inside of it. `ImageID` is the digest of the image.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html
_ECS = "ECS_CONTAINER_METADATA_URI_V4"
_CONDA_BUILDS = re.compile(r"/croot/|/feedstock_root/|/conda-bld/|/tmp/build/")
IMAGE = "LABCYCLE_IMAGE"  # what started the container may say it outright


def lock() -> str:
    """Every installed package at its version, as pip's requirements; what no index has is a comment."""
    lines: dict[str, str] = {}
    for found in distributions():
        name = found.metadata["Name"]
        if name:  # a broken installation has none
            lines.setdefault(re.sub(r"[-_.]+", "-", name).lower(), _line(name, found))
    return "".join(f"{line}\n" for _, line in sorted(lines.items()))


def surroundings() -> dict[str, Any]:
    """`python`, `implementation`, `platform`, `machine`, `image` ("" where unknown) and `gpus`, a line each."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "image": _image(),
        "gpus": _gpus(),
    }


def _line(name: str, found: Distribution) -> str:
    pinned = f"{name}=={found.version}"
    try:
        # https://packaging.python.org/en/latest/specifications/direct-url/
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    url = str(origin.get("url") or "")
    if not url or _is_conda(url, found):
        return pinned
    if "dir_info" in origin or url.startswith("file:"):
        return f"# {pinned} was installed from a folder or file"
    version, below = origin.get("vcs_info"), origin.get("subdirectory")
    address = without_credentials(url)
    if isinstance(version, dict):
        address = f"{version.get('vcs')}+{address}@{version.get('commit_id')}"
    return f"{name} @ {address}" + (f"#subdirectory={below}" if below else "")


def _is_conda(url: str, found: Distribution) -> bool:
    """Whether it is a package of conda, whose address is a folder of the machine that built it."""
    by_conda = (found.read_text("INSTALLER") or "").strip() == "conda"
    return url.startswith("file:") and (by_conda or bool(_CONDA_BUILDS.search(url)))


def without_credentials(url: str) -> str:
    """An address without user, password and query; `git` is kept, which is the user of every ssh address."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    kept = "git@" if parts.scheme.endswith("ssh") and user.partition(":")[0] == "git" else ""
    return urlunsplit(parts._replace(netloc=kept + host, query="", fragment=""))


def _image() -> str:
    if said := os.environ.get(IMAGE):
        return said
    address = os.environ.get(_ECS)
    if not address:
        return ""
    try:
        answer = urllib3.PoolManager().request("GET", address, timeout=2.0, retries=False)
        container = json.loads(answer.data)
        return f"{container['Image'].partition('@')[0]}@{container['ImageID']}"
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return said.stdout.strip().splitlines() if said.returncode == 0 else []
