"""A version as it was promoted. Plain Python, so that what loads it needs no client of AWS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DeployedFile:
    """One file of a model: the S3 object version that was pinned, and what its bytes must hash to. `size` in bytes."""

    path: str
    key: str
    version_id: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Deployed:
    """A version with all that a model server needs to run it.

    `files` are all files of the model folder, `model_file` is the one among them that is loaded. `signature` holds MLflow's
    column or tensor specifications under `inputs` and `outputs`; `runtime` is what the version is loaded with, as
    `lifecycle.flavours` describes it, None for ONNX; `reference` is a `profiles.Reference` as a document,
    None where the run logged none (then drift is not measured). `promoted_at` and `promoted_by` are set by `promote`.
    """

    version: int
    source_run: str | None
    model_file: DeployedFile
    files: tuple[DeployedFile, ...]
    signature: dict[str, Any] | None = None
    reference: dict[str, Any] | None = None
    promoted_at: str = ""
    promoted_by: str = ""
    runtime: dict[str, Any] | None = None
