"""SageMaker training jobs really run: the container's entry point as a process of the host's Python.

The process finds the layout of a training container below LABCYCLE_TRAINING_ROOT instead of /opt/ml: channels
downloaded, hyperparameters as a file, a folder for the model and one for other output, which are uploaded as
`model.tar.gz` and `output.tar.gz`. It runs with the credentials of the job's role and nothing of the server's environment.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import contextvars
import json
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ministack.services import cloudwatch_logs, eventbridge

from labcycle.local.clients import client
from labcycle.local.emulation import log_groups, moto_services, policies, processes
from labcycle.local.settings import START_ID, Settings, bare_environment, client_environment

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
CONTAINER_ROOT = "/opt/ml"
STOP_SECONDS = 20  # AWS gives 120
_REASON_LENGTH = 1_024

_jobs: dict[str, TrainingJob] = {}
_settings: Settings | None = None


class JobFailed(Exception):
    """The job ends as Failed; the text is its FailureReason."""


class TrainingJob:
    """One job: its record in moto, its process, and its log."""

    def __init__(self, record: Any, settings: Settings) -> None:
        self.record = record
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._timed_out = False
        self._root = settings.temporary / "training" / record.training_job_name
        self._log = f"{record.training_job_name}/algo-1-{int(datetime.now(UTC).timestamp())}"
        self._credentials = policies.session_of(record.role_arn, "SageMaker")
        self._s3 = client(settings.endpoint, settings.region, self._credentials, "s3")

    def run(self) -> None:
        """Blocking, from Starting to one of Completed, Failed and Stopped."""
        try:
            self._status("InProgress", "Downloading")
            self._prepare()
            self._status("InProgress", "Training")
            code = self._train()
            self._status("InProgress", "Uploading")
            self._upload("output", self._root / "output" / "data")
            if self._stopping or self._timed_out:
                self._upload("model", self._root / "model")
                self._status("Stopped", "MaxRuntimeExceeded" if self._timed_out else "Stopped")
                return
            if code:
                raise JobFailed(self._reason(code))
            self._upload("model", self._root / "model")
            self._status("Completed", "Completed")
        except JobFailed as failure:
            self.record.failure_reason = str(failure)[:_REASON_LENGTH]
            self._status("Failed", "Failed")
        except Exception as error:  # noqa: BLE001 - a job never hangs because its runner broke
            self.record.failure_reason = f"InternalServerError: {type(error).__name__}: {error}"[:_REASON_LENGTH]
            self._status("Failed", "Failed")
        finally:
            shutil.rmtree(self._root, ignore_errors=True)

    def stop(self) -> None:
        """Ask the process to end, and end it if it does not."""
        self._stopping = True
        self.record.training_job_status = self.record.secondary_status = "Stopping"
        processes.end(self._process, STOP_SECONDS)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _prepare(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        for folder in ("input/config", "input/data", "model", "output/data"):
            (self._root / folder).mkdir(parents=True)
        config = self._root / "input" / "config"
        (config / "hyperparameters.json").write_text(json.dumps(self.record.hyper_parameters or {}))
        channels = {}
        for channel in self.record.input_data_config or []:
            source = channel["DataSource"]["S3DataSource"]
            channels[channel["ChannelName"]] = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
            self._download(source["S3Uri"], self._root / "input" / "data" / channel["ChannelName"])
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))

    def _download(self, uri: str, folder: Path) -> None:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        found = 0
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    relative = item["Key"][len(prefix) :].lstrip("/") or Path(item["Key"]).name
                    if item["Key"].endswith("/"):
                        continue
                    target = (folder / relative).resolve()
                    if not target.is_relative_to(folder.resolve()):
                        raise JobFailed(f"ClientError: the key {item['Key']} leaves its channel")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self._s3.download_file(bucket, item["Key"], str(target))
                    found += 1
        except self._s3.exceptions.ClientError as error:
            raise JobFailed(f"ClientError: Data download failed: {error}") from error
        if not found:
            raise JobFailed(f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}"')

    def _train(self) -> int:
        specification = self.record.algorithm_specification
        command = [*(specification.get("ContainerEntrypoint") or ()), *(specification.get("ContainerArguments") or ())]
        if not command:
            raise JobFailed(
                "ClientError: no ContainerEntrypoint: the image's own entry point cannot run without Docker"
            )
        command = [part.replace(CONTAINER_ROOT, str(self._root)) for part in command]
        if command[0] in ("python", "python3"):
            command[0] = sys.executable
        environment = {
            **bare_environment(),
            **client_environment(self._settings.endpoint, self._settings.region, self._credentials),
            **{str(k): str(v) for k, v in (getattr(self.record, "environment", None) or {}).items()},
            "LABCYCLE_TRAINING_ROOT": str(self._root),
            "TRAINING_JOB_NAME": self.record.training_job_name,
            "TRAINING_JOB_ARN": self.record.arn,
            "PYTHONUNBUFFERED": "1",
            START_ID: self._settings.start_id,
        }
        limit = int((self.record.stopping_condition or {}).get("MaxRuntimeInSeconds") or 86_400)
        if self._stopping:
            return 0
        try:
            self._process = subprocess.Popen(
                command, cwd=self._root, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise JobFailed(f"AlgorithmError: the entry point {command[0]} cannot be started: {error}") from error
        timer = threading.Timer(limit, self._exceeded)
        timer.daemon = True
        timer.start()
        assert self._process.stdout is not None
        for line in self._process.stdout:
            log_groups.append(LOG_GROUP, self._log, line.decode(errors="replace").rstrip("\n"))
        timer.cancel()
        return self._process.wait()

    def _exceeded(self) -> None:
        self._timed_out = True
        processes.end(self._process, STOP_SECONDS)

    def _reason(self, code: int) -> str:
        failure = self._root / "output" / "failure"
        text = failure.read_text(errors="replace") if failure.exists() else self._last_lines()
        return f"AlgorithmError: {text.strip()}, exit code: {code}"

    def _last_lines(self) -> str:
        streams = cloudwatch_logs._log_groups[LOG_GROUP]["streams"]
        events = streams.get(self._log, {}).get("events", [])
        return "\n".join(event["message"] for event in events[-12:])

    def _upload(self, name: str, folder: Path) -> None:
        archive = self._root / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=path.name)
        base = self.record.output_data_config["S3OutputPath"].removeprefix("s3://").rstrip("/")
        bucket, _, prefix = f"{base}/{self.record.training_job_name}/output/{name}.tar.gz".partition("/")
        try:
            self._s3.upload_file(str(archive), bucket, prefix)
        except Exception as error:  # boto3's own S3UploadFailedError is no ClientError
            raise JobFailed(f"ClientError: Artifact upload failed: {error}") from error

    def _status(self, status: str, secondary: str) -> None:
        record, now = self.record, datetime.now(UTC).replace(tzinfo=None)
        if record.secondary_status_transitions:
            record.secondary_status_transitions[-1]["EndTime"] = now
        record.secondary_status_transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": secondary})
        record.secondary_status, record.last_modified_time = secondary, now
        if secondary == "Training":
            record.training_start_time = now
        if status in ("Completed", "Failed", "Stopped"):
            record.training_end_time = now
        if not (self._stopping and status == "InProgress"):
            record.training_job_status = status  # last: who polls the status then finds the rest
        detail = {
            "TrainingJobName": record.training_job_name,
            "TrainingJobArn": record.arn,
            "TrainingJobStatus": record.training_job_status,
            "SecondaryStatus": secondary,
            "FailureReason": getattr(record, "failure_reason", None),
        }
        entry = {
            "Source": "aws.sagemaker",
            "DetailType": "SageMaker Training Job State Change",
            "Resources": [record.arn],
            "Detail": json.dumps(detail),
        }
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def install(settings: Settings) -> None:
    global _settings
    _settings = settings
    moto_services.operation("SageMaker.CreateTrainingJob", _create)
    moto_services.operation("SageMaker.StopTrainingJob", _stop)


def stop_all() -> None:
    """End every training process; the server is going down."""
    for job in _jobs.values():
        job.kill()


def _create(asked: dict[str, Any], headers: Mapping[str, str]) -> moto_services.Response:
    assert _settings is not None
    from moto.sagemaker.models import sagemaker_backends

    name = asked.get("TrainingJobName")
    if name in _jobs:
        return _fault(
            400, "ResourceInUse", f"Training job names must be unique within an AWS account and region: {name}"
        )
    answer = moto_services.call("SageMaker.CreateTrainingJob", asked, headers)
    if answer[0] != 200:
        return answer
    record = sagemaker_backends[_settings.account][_settings.region].training_jobs[name]
    record.training_job_status, record.secondary_status = "InProgress", "Starting"
    record.training_end_time = None
    record.final_metric_data_list = []
    record.algorithm_specification.pop("MetricDefinitions", None)
    if asked.get("Environment"):
        record.environment = asked["Environment"]
    cloudwatch_logs._log_groups.setdefault(LOG_GROUP, _new_log_group())
    job = _jobs[str(name)] = TrainingJob(record, _settings)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(job.run,), daemon=True, name=f"training-{name}").start()
    return answer


def _stop(asked: dict[str, Any], headers: Mapping[str, str]) -> moto_services.Response:
    job = _jobs.get(str(asked.get("TrainingJobName")))
    if job is None:
        return _fault(400, "ValidationException", "Requested resource not found.")
    if job.record.training_job_status not in ("InProgress", "Stopping"):
        message = f"The request was rejected because the training job is in status {job.record.training_job_status}."
        return _fault(400, "ValidationException", message)
    job.stop()
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, b""


def _new_log_group() -> dict[str, Any]:
    return {
        "arn": cloudwatch_logs._make_group_arn(LOG_GROUP),
        "creationTime": int(datetime.now(UTC).timestamp() * 1000),
        "retentionInDays": None,
        "tags": {},
        "subscriptionFilters": {},
        "streams": {},
    }


def _fault(status: int, code: str, message: str) -> moto_services.Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()
