"""What a training job left in S3: unpack it, and keep it as artifacts of the run."""

from __future__ import annotations

import json
import math
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from labcycle_lambdas.ledger.registry import PinnedFile
from labcycle_lambdas.reaction.cannot_react import CannotReact

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MODEL, OUTPUT = "model.tar.gz", "output.tar.gz"
RESULTS = ("metrics.json", "reference.json", "holdout.json")
LOCK = "requirements.txt"  # all packages that were installed; without it the record of the run is not whole
UNPACKED_LIMIT_BYTES = 3_000_000_000  # the function has 4 GB of disk, the archives included
# Of what is not there S3 says 403 to those who may not list it: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
_MISSING = {"404", "NoSuchKey", "403", "AccessDenied"}


@dataclass(frozen=True)
class TrainingOutput:
    """Unpacked below `folder`: `model/` and `data/`. `finished_at` is when the job uploaded it."""

    folder: Path
    finished_at: datetime

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def result(self, name: str) -> Path:
        return self.folder / "data" / name

    def metrics(self) -> dict[str, float]:
        """Raises CannotReact if metrics.json is no mapping of names to finite numbers."""
        try:
            read = json.loads(self.result("metrics.json").read_text())
            metrics = {str(name): float(value) for name, value in read.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise CannotReact(f"the recipe wrote a metrics.json that holds no numbers by name: {error}") from None
        odd = [name for name, value in metrics.items() if not math.isfinite(value)]
        if odd:
            raise CannotReact(f"the recipe measured no finite value for {', '.join(odd)}")
        return metrics


@contextmanager
def downloaded(s3: S3Client, bucket: str, prefix: str) -> Iterator[TrainingOutput]:
    """The output of the job below `prefix`, for as long as the block lasts.

    Raises
    ------
    CannotReact
        If the archives are missing, broken, too large, or lack what a recipe must write.
    """
    with tempfile.TemporaryDirectory(prefix="training-") as made:
        folder = Path(made)
        _unpack(s3, bucket, f"{prefix}{MODEL}", folder / "model")
        finished_at = _unpack(s3, bucket, f"{prefix}{OUTPUT}", folder)
        output = TrainingOutput(folder, finished_at)
        _gather(folder, output)
        missing = [name for name in RESULTS if not output.result(name).is_file()]
        if not (output.model / "MLmodel").is_file():
            missing.append("model/MLmodel")
        if missing:
            raise CannotReact(f"the recipe did not write {', '.join(missing)}")
        yield output


def _gather(folder: Path, output: TrainingOutput) -> None:
    """Move results from the top of the archive to data/: the archive holds /opt/ml/output/data with or without its name."""
    (folder / "data").mkdir(exist_ok=True)
    for name in (*RESULTS, LOCK):
        if (folder / name).is_file() and not output.result(name).exists():
            (folder / name).rename(output.result(name))


def _unpack(s3: S3Client, bucket: str, key: str, folder: Path) -> datetime:
    folder.mkdir(exist_ok=True)
    archive = folder.parent / f"{folder.name}.tar.gz"
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if (code := error.response["Error"]["Code"]) in _MISSING:
            raise CannotReact(f"the training job left no s3://{bucket}/{key} that may be read: {code}") from None
        raise
    with archive.open("wb") as file:
        shutil.copyfileobj(found["Body"], file, 1 << 20)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            if sum(member.size for member in tar) > UNPACKED_LIMIT_BYTES:
                raise CannotReact(f"{key} unpacks to more than {UNPACKED_LIMIT_BYTES / 1e9:.0f} GB")
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CannotReact(f"{key} cannot be unpacked: {error}") from None
    archive.unlink()
    return found["LastModified"]


def upload_folder(s3: S3Client, bucket: str, prefix: str, folder: Path) -> list[PinnedFile]:
    """Put each file of `folder` below `prefix`, and tell the exact object versions."""
    files = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        files.append(
            PinnedFile(name, f"{prefix}{name}", upload(s3, bucket, f"{prefix}{name}", path), path.stat().st_size)
        )
    return files


def upload(s3: S3Client, bucket: str, key: str, path: Path) -> str:
    """Put one file (5 GB at most); the S3 version id."""
    with path.open("rb") as body:
        answer: Any = s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")
    return str(answer.get("VersionId") or "null")
