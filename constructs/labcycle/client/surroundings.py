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
    url = _without_credentials(str(origin.get("url") or ""))
    if not url:
        return pinned
    if "dir_info" in origin or url.startswith("file:"):
        return f"# {pinned} was installed from a folder or file"
    version = origin.get("vcs_info")
    if isinstance(version, dict):
        return f"{name} @ {version.get('vcs')}+{url}@{version.get('commit_id')}"
    return f"{name} @ {url}"


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else url


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
