"""SageMaker training jobs, executed: the container's layout below a temporary root, the entry point as a process.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html. The root replaces /opt/ml and is
given to the process as LABCYCLE_TRAINING_ROOT.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from moto.sagemaker.models import sagemaker_backends

from tests.cloud.harness.permissions import Guard, training_needs
from tests.cloud.harness.place import Place

_CONTAINER_ROOT = "/opt/ml"
_GUARD_SECONDS = 120
# SageMaker uploads archives in parts, whatever their size.
_IN_PARTS = TransferConfig(multipart_threshold=1, use_threads=False)


def _nothing(job: str) -> None: ...


class TrainingJobs:
    """Runs training jobs. `before_run` is called with the job's name first, and may hold it up."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.before_run: Callable[[str], None] = _nothing
        self.ran: list[str] = []

    def reset(self) -> None:
        """No job ever ran, and none is held up."""
        self.before_run = _nothing
        self.ran.clear()

    def run(self, place: Place, name: str) -> dict[str, Any]:
        """Run the job and return its description, `Completed` or `Failed` with a reason."""
        self.before_run(name)
        self.ran.append(name)
        sagemaker = place.client("sagemaker")
        job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        self._guard.require(job["RoleArn"], place, "CreateTrainingJob", training_needs(place, job))
        s3 = self._guard.client("s3", place, job["RoleArn"])
        with tempfile.TemporaryDirectory(prefix="training-") as folder:
            reason = _execute(s3, job, Path(folder))
            if not reason:
                for archive, part in (("model", "model"), ("output", "output/data")):
                    _upload(s3, job, archive, Path(folder) / part)
        record = sagemaker_backends[place.account][place.region].training_jobs[name]
        record.training_job_status = record.secondary_status = "Failed" if reason else "Completed"
        if reason:
            record.failure_reason = reason[:1024]
        described: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        described.pop("ResponseMetadata")
        return described


def _execute(s3: Any, job: dict[str, Any], root: Path) -> str:
    """Why the job failed; empty where it did not."""
    for part in ("input/config", "input/data", "model", "output/data"):
        (root / part).mkdir(parents=True)
    (root / "input/config/hyperparameters.json").write_text(json.dumps(job.get("HyperParameters", {})))
    for channel in job.get("InputDataConfig", ()):
        source = channel["DataSource"]["S3DataSource"]
        assert source["S3DataType"] == "S3Prefix", source
        if not _download(s3, source["S3Uri"], root / "input/data" / channel["ChannelName"]):
            return f"ClientError: no S3 objects found under {source['S3Uri']}"
    entry: list[str] = job["AlgorithmSpecification"]["ContainerEntrypoint"]
    entry = entry + job["AlgorithmSpecification"].get("ContainerArguments", [])
    command = [part.replace(_CONTAINER_ROOT, str(root)) for part in entry]
    if command[0] in {"python", "python3"}:
        command[0] = sys.executable
    environment = {
        "PATH": os.environ["PATH"],
        "LABCYCLE_TRAINING_ROOT": str(root),
        "TRAINING_JOB_NAME": job["TrainingJobName"],
    }
    run = subprocess.run(
        command, env=environment, cwd=root, check=False, capture_output=True, text=True, timeout=_GUARD_SECONDS
    )
    if not run.returncode:
        return ""
    told = root / "output/failure"
    return f"AlgorithmError: {told.read_text() if told.exists() else run.stderr[-800:]}, exit code: {run.returncode}"


def _download(s3: Any, uri: str, folder: Path) -> int:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    count = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            relative = entry["Key"].removeprefix(prefix).lstrip("/") or entry["Key"].rpartition("/")[2]
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
            count += 1
    return count


def _upload(s3: Any, job: dict[str, Any], archive: str, folder: Path) -> None:
    if not any(folder.iterdir()):
        return
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    base = job["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    bucket, _, prefix = f"{base}/{job['TrainingJobName']}/output/{archive}.tar.gz".removeprefix("s3://").partition("/")
    s3.upload_fileobj(io.BytesIO(buffer.getvalue()), bucket, prefix, Config=_IN_PARTS)
