"""Where artifacts lie, in the words of the caller: the ledger keeps addresses in S3.

Who signs requests has credentials of AWS, and reads and writes there. Everybody else is shown `mlflow-artifacts:` roots,
behind which MLflow's client asks the API.
"""

from __future__ import annotations

from typing import Any

from labcycle_lambdas.tracking.artifacts import ArtifactStore

_ADDRESSES = ("artifact_location", "artifact_uri", "root_uri", "source")
_NOT_OURS = "dataset"  # where data came from is what its logger said


def proxied(document: dict[str, Any], artifacts: ArtifactStore) -> dict[str, Any]:
    """A document in which every address of artifacts is one behind the API."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if key in _ADDRESSES and isinstance(value, str):
            found[key] = artifacts.proxied(value)
        elif isinstance(value, dict) and key != _NOT_OURS:
            found[key] = proxied(value, artifacts)
        elif isinstance(value, list):
            found[key] = [proxied(item, artifacts) if isinstance(item, dict) else item for item in value]
        else:
            found[key] = value
    return found
