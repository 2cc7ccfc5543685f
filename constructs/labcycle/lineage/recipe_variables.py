"""The environment variables of a recipe: what it takes to run, and nothing of the caller's that opens a door.

A recipe neither logs nor reads from AWS (docs/decisions/002).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_KEPT = {
    *("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME"),
    *("LANG", "TZ", "TMPDIR"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
}
_KEPT_BEGINNINGS = ("LC_", "CUDA_", "NVIDIA_")
# Where the SDKs would look by themselves: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
_NO_CREDENTIALS = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
}


def recipe_variables(given: Mapping[str, str], home: Path) -> dict[str, str]:
    """Those of `given` that a recipe may see, with a home folder of its own."""
    kept = {key: value for key, value in given.items() if key in _KEPT or key.startswith(_KEPT_BEGINNINGS)}
    return {**kept, "HOME": str(home), **_NO_CREDENTIALS}
