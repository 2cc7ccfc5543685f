"""Where artifacts lie, in the words of the caller: the ledger keeps addresses in S3.

Who signs requests has credentials of AWS, and reads and writes there. Everybody else is shown `mlflow-artifacts:` roots,
behind which MLflow's client asks the API.
"""

from __future__ import annotations

from typing import Any

from labcycle_lambdas.tracking.artifacts import ArtifactStore

_ADDRESSES = ("artifact_location", "artifact_uri", "root_uri", "source")
_NOT_OURS = "dataset"  # where data came from is what its logger said


def proxied(value: Any, artifacts: ArtifactStore) -> Any:
    """A document in which every address of artifacts is one behind the API."""
    if isinstance(value, list):
        return [proxied(item, artifacts) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: artifacts.proxied(item) if key in _ADDRESSES and isinstance(item, str)
        else item if key == _NOT_OURS
        else proxied(item, artifacts)
        for key, item in value.items()
    }  # fmt: skip
