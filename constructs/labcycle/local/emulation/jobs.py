"""Jobs of AWS Batch really run: the container's command as a process of the host's Python, arrays child by child.

What the image holds is the host's Python, with this labcycle. A process runs with the credentials of the job's role and nothing of
the server's environment. As many run at once as the host has processors, whatever processors and memory they ask for. A job that a
test interrupts ends as on a spot machine that AWS takes back, and begins again where its retry strategy says so.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

from __future__ import annotations

import contextvars
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_actions
from ministack.core.responses import error_response_json
from ministack.services import batch, eventbridge, tagging

import labcycle
from labcycle.local.emulation import log_groups, policies, processes
from labcycle.local.settings import START_ID, Settings, bare_environment, client_environment

Response = tuple[int, dict[str, str], bytes]
ARRAY_SIZES = range(2, 10_001)
STOP_SECONDS = 30
MOST_ATTEMPTS = 10
_ENDED = ("SUCCEEDED", "FAILED")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_CALLER = re.compile(r"Credential=([^/]+)/")
_PAGE = 100  # jobs that ListJobs and DescribeJobs give at once

_jobs: dict[str, Job] = {}  # by id, children too
_settings: Settings | None = None
_workers: ThreadPoolExecutor | None = None
_lock = threading.RLock()


class Job:
    """A job, a child of an array, or an array: its record, and its process while it runs."""

    def __init__(
        self, asked: Mapping[str, Any], definition: Mapping[str, Any], *, job_id: str, index: int | None = None
    ) -> None:
        container = definition["containerProperties"]
        overrides = asked.get("containerOverrides") or {}
        environment = {one["name"]: one["value"] for one in container.get("environment", ())}
        environment |= {one["name"]: one["value"] for one in overrides.get("environment", ())}
        self.index = index
        self.command: list[str] = overrides.get("command") or container.get("command") or []
        self.environment: dict[str, str] = environment
        self.role: str = container.get("jobRoleArn", "")
        self.log = (container.get("logConfiguration") or {}).get("options") or {}
        self.strategy = asked.get("retryStrategy") or definition.get("retryStrategy") or {}
        self.seconds = (asked.get("timeout") or definition.get("timeout") or {}).get("attemptDurationSeconds")
        self.children: list[Job] = []
        self.parent: Job | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_by = ""  # why we ended the process
        self._stopped = ""  # why no attempt is begun any more
        self.record: dict[str, Any] = {
            "jobId": job_id,
            "jobArn": batch._job_arn(job_id),
            "jobName": asked["jobName"],
            "jobQueue": batch._jq_arn(_short(asked["jobQueue"])),
            "jobDefinition": definition["jobDefinitionArn"],
            "status": "SUBMITTED",
            "createdAt": batch._now_ms(),
            "attempts": [],
            "dependsOn": [],
            "tags": dict(asked.get("tags") or {}),
            "container": {"image": container["image"], "command": self.command, "jobRoleArn": self.role},
        }

    @property
    def status(self) -> str:
        return str(self.record["status"])

    def run(self) -> None:
        """Attempts, one after the other, until one succeeds or the strategy says that it is enough."""
        attempts = min(int(self.strategy.get("attempts", 1)), MOST_ATTEMPTS)
        for attempt in range(1, attempts + 1):
            if self._stopped:
                return self._set("FAILED", self._stopped)
            self._set("RUNNING")
            self._ended_by = ""
            code, reason = self._attempt(attempt)
            status_reason = self._ended_by or ("Essential container in task exited" if code else "")
            container = {"exitCode": code, "reason": reason} if code is not None else {"reason": reason}
            self.record["attempts"].append(
                {"container": container, "statusReason": status_reason, "stoppedAt": batch._now_ms()}
            )
            self.record["container"].update(container)
            if code == 0:
                return self._set("SUCCEEDED", status_reason or "Essential container in task exited")
            if attempt == attempts or self._stopped or not self._again(status_reason, reason, code):
                return self._set("FAILED", self._stopped or status_reason)
            self._set("RUNNABLE", status_reason)
        return None

    def interrupt(self, instance: str) -> None:
        """The machine is gone, and the process with it; raises `ValueError` where none runs."""
        with _lock:
            if self._process is None or self._process.poll() is not None:
                raise ValueError(f"the job {self.record['jobId']} does not run; it is {self.status}")
            self._ended_by = f"Host EC2 (instance {instance}) terminated."
            self._process.kill()

    def terminate(self, reason: str) -> None:
        with _lock:
            for job in self.children or [self]:
                if job.status not in _ENDED:
                    job._stopped = job._ended_by = reason
                    processes.end(job._process, STOP_SECONDS)

    def kill(self) -> None:
        self._stopped = "the local cloud stopped"
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _again(self, status_reason: str, reason: str, code: int | None) -> bool:
        """https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html"""
        rules = self.strategy.get("evaluateOnExit") or []
        said = {"onStatusReason": status_reason, "onReason": reason, "onExitCode": "" if code is None else str(code)}
        for rule in rules:
            if all(fnmatchcase(said[key], rule[key]) for key in said if key in rule):
                return bool(rule["action"].upper() == "RETRY")
        return True

    def _attempt(self, attempt: int) -> tuple[int | None, str]:
        """Exit code, None where the machine was lost, and what the container's end was."""
        assert _settings is not None
        command = list(self.command)
        if command and command[0] in ("python", "python3"):
            command[0] = sys.executable
        identity = uuid.uuid4().hex
        folder = _settings.temporary / "jobs" / identity
        folder.mkdir(parents=True)
        environment = {
            **bare_environment(),
            "PYTHONPATH": str(Path(labcycle.__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(folder),
            **self.environment,
            "AWS_BATCH_JOB_ID": self.record["jobId"],
            "AWS_BATCH_JOB_ATTEMPT": str(attempt),
            "AWS_BATCH_JQ_NAME": _short(self.record["jobQueue"]),
            START_ID: _settings.start_id,
        }
        if self.role:
            credentials = policies.session_of(self.role, identity)
            environment |= client_environment(_settings.endpoint, _settings.region, credentials)
        if self.index is not None:
            environment["AWS_BATCH_JOB_ARRAY_INDEX"] = str(self.index)
        stream = f"{self.log.get('awslogs-stream-prefix', 'job')}/default/{identity}"
        self.record["container"]["logStreamName"] = stream
        try:
            with _lock:
                if self._stopped:
                    return None, ""
                self._process = subprocess.Popen(
                    command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
        except OSError as error:
            return 127, f"CannotStartContainerError: {error}"
        timer = threading.Timer(self.seconds or 14 * 86_400, self._exceeded)
        timer.daemon = True
        timer.start()
        try:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                log_groups.append(self.log.get("awslogs-group", ""), stream, line.decode(errors="replace").rstrip("\n"))
            code = self._process.wait()
        finally:
            timer.cancel()
            shutil.rmtree(folder, ignore_errors=True)
        if self._ended_by.startswith("Host EC2"):
            return None, ""
        return (128 - code if code < 0 else code), ""

    def _exceeded(self) -> None:
        self._ended_by = "Job attempt duration exceeded timeout"
        processes.end(self._process, STOP_SECONDS)

    def _set(self, status: str, reason: str = "") -> None:
        with _lock:
            self.record["status"] = status
            if reason:
                self.record["statusReason"] = reason
            if status == "RUNNING":
                self.record.setdefault("startedAt", batch._now_ms())
            if status in _ENDED:
                self.record["stoppedAt"] = batch._now_ms()
            parent = self.parent
            if parent is not None:
                self._tell_parent(parent)
        _publish(self)

    def _tell_parent(self, parent: Job) -> None:
        found = Counter(child.status for child in parent.children)
        parent.record["arrayProperties"]["statusSummary"] = dict(found)
        if parent.status in _ENDED or found["SUCCEEDED"] + found["FAILED"] < len(parent.children):
            return
        if found["FAILED"]:
            parent._set("FAILED", parent._stopped or "Array Child Job failed")
        else:
            parent._set("SUCCEEDED", "Array Child Job succeeded")


def install(settings: Settings) -> None:
    global _settings, _workers
    _settings = settings
    _workers = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="labcycle-job")
    operations: dict[str, Callable[[dict[str, Any]], Response]] = {
        "/v1/submitjob": _submit,
        "/v1/describejobs": _describe,
        "/v1/listjobs": _list,
        "/v1/terminatejob": _terminate,
    }
    batch._DISPATCH.update(operations)
    resource_of = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> Any:
        if service != "batch":
            return resource_of(service, method, path, headers, body, query, region, account)
        asked = json.loads(body or b"{}")
        place = f"arn:aws:batch:{region}:{account}"
        if path == "/v1/submitjob":
            found = _definition(str(asked.get("jobDefinition", "")))
            return found["jobDefinitionArn"] if found else f"{place}:job-definition/unknown:1"
        return f"{place}:job/{asked['jobId']}" if path == "/v1/terminatejob" and asked.get("jobId") else "*"

    iam_actions.extract_resource_arn = resource_arn
    tagging._RESOURCE_TAG_COLLECTORS["batch"] = _tags
    original = app.SERVICE_HANDLERS["batch"]

    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Response:
        if path.rstrip("/").lower() == "/v1/submitjob":
            missing = _missing(headers.get("authorization", ""), json.loads(body or b"{}"))
            if missing:
                refused: Response = error_response_json("AccessDeniedException", missing, 403)
                return refused
        answer: Response = await original(method, path, headers, body, query)
        return answer

    app.SERVICE_HANDLERS["batch"] = handle


def interrupt(job_id: str, instance: str = "i-0123456789abcdef0") -> None:
    """End the machine under a running job, or child of an array, as AWS takes back a spot machine. Raises `ValueError`."""
    job = _jobs.get(job_id)
    if job is None:
        raise ValueError(f"there is no job {job_id}")
    job.interrupt(instance)


def stop_all() -> None:
    """End every process; the server is going down."""
    if _workers is not None:
        _workers.shutdown(wait=False, cancel_futures=True)
    for job in list(_jobs.values()):
        job.kill()


def _tags() -> list[tuple[str, list[dict[str, str]]]]:
    return [
        (job.record["jobArn"], [{"Key": key, "Value": value} for key, value in job.record["tags"].items()])
        for job in list(_jobs.values())
    ]


def _missing(authorization: str, asked: Mapping[str, Any]) -> str:
    """What the caller may not do of a submission, besides using the definition; "" where all is allowed."""
    assert _settings is not None
    caller = _CALLER.search(authorization)
    if caller is None:
        return ""
    job = batch._job_arn("new")
    wanted = {f"aws:RequestTag/{key}": value for key, value in (asked.get("tags") or {}).items()}
    needed: list[tuple[str, str, dict[str, str]]] = [
        ("batch:SubmitJob", batch._jq_arn(_short(str(asked.get("jobQueue", "")))), {}),
        ("batch:SubmitJob", job, wanted),
        *([("batch:TagResource", job, wanted)] if wanted else []),
    ]
    for action, resource, context in needed:
        who = policies.refused_caller(
            caller[1], action, resource, account=_settings.account, region=_settings.region, context=context
        )
        if who:
            return f"User: {who} is not authorized to perform: {action} on resource: {resource}"
    return ""


def _submit(asked: dict[str, Any]) -> Response:
    definition = _definition(str(asked.get("jobDefinition", "")))
    queue = batch._job_queues.get(_short(str(asked.get("jobQueue", ""))))
    size = (asked.get("arrayProperties") or {}).get("size")
    if not _NAME.fullmatch(str(asked.get("jobName", ""))):
        return _fault("Job name should match valid pattern")
    if queue is None:
        return _fault(f"JobQueue {asked.get('jobQueue')} not found.")
    if definition is None:
        return _fault(f"JobDefinition {asked.get('jobDefinition')} not found or not active.")
    if size is not None and size not in ARRAY_SIZES:
        return _fault(f"Array size must be between {ARRAY_SIZES[0]} and {ARRAY_SIZES[-1]}.")
    if asked.get("dependsOn"):
        return _fault("The local cloud knows no dependencies of jobs.")
    job_id = str(uuid.uuid4())
    job = Job(asked, definition, job_id=job_id)
    if size is not None:
        job.record["arrayProperties"] = {"size": size, "statusSummary": {"RUNNABLE": size}}
        for index in range(size):
            child = Job(asked, definition, job_id=f"{job_id}:{index}", index=index)
            child.record["arrayProperties"] = {"index": index}
            child.record["tags"] = {}
            child.parent = job
            job.children.append(child)
    with _lock:
        for one in (job, *job.children):
            _jobs[one.record["jobId"]] = one
    job._set("PENDING" if job.children else "RUNNABLE")
    assert _workers is not None
    for one in job.children or [job]:
        one.record["status"] = "RUNNABLE"
        _workers.submit(contextvars.copy_context().run, one.run)
    return _json({"jobId": job_id, "jobName": asked["jobName"], "jobArn": job.record["jobArn"]})


def _describe(asked: dict[str, Any]) -> Response:
    wanted = asked.get("jobs") or []
    if len(wanted) > _PAGE:
        return _fault(f"The number of job ids must be at most {_PAGE}.")
    with _lock:
        return _json({"jobs": [_jobs[one].record for one in wanted if one in _jobs]})


def _list(asked: dict[str, Any]) -> Response:
    """https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html: with a filter the status does not matter."""
    array, filters = asked.get("arrayJobId"), asked.get("filters") or []
    with _lock:
        if array:
            found = list(_jobs[array].children) if array in _jobs else []
        else:
            queue = batch._jq_arn(_short(str(asked.get("jobQueue", ""))))
            found = [job for job in _jobs.values() if job.parent is None and job.record["jobQueue"] == queue]
        for one in filters:
            if one["name"] != "JOB_NAME":
                return _fault(f"The local cloud knows no filter {one['name']}.")
            found = [job for job in found if any(fnmatchcase(job.record["jobName"], text) for text in one["values"])]
        if not filters:
            status = asked.get("jobStatus") or "RUNNING"
            found = [job for job in found if job.status == status]
        start = int(asked.get("nextToken") or 0)
        keys = ("jobId", "jobArn", "jobName", "status", "statusReason", "createdAt", "startedAt", "stoppedAt")
        page = [
            {key: job.record[key] for key in (*keys, "arrayProperties") if key in job.record}
            for job in found[start : start + _PAGE]
        ]
        more = {"nextToken": str(start + _PAGE)} if start + _PAGE < len(found) else {}
    return _json({"jobSummaryList": page, **more})


def _terminate(asked: dict[str, Any]) -> Response:
    job = _jobs.get(str(asked.get("jobId")))
    if not asked.get("reason"):
        return _fault("A reason is needed.")
    if job is not None:  # one that is not there is no error
        job._stopped = asked["reason"]
        job.terminate(asked["reason"])
    return _json({})


def _definition(reference: str) -> dict[str, Any] | None:
    """By its ARN, name and revision, or name: the newest that is active."""
    name, _, revision = _short(reference).partition(":")
    active = [one for one in batch._job_definitions.get(name, []) if one["status"] == "ACTIVE"]
    found = [one for one in active if not revision or str(one["revision"]) == revision]
    return found[-1] if found else None


def _short(reference: str) -> str:
    return reference.rpartition("/")[2] if reference.startswith("arn:") else reference


def _publish(job: Job) -> None:
    record = job.record
    entry = {
        "Source": "aws.batch",
        "DetailType": "Batch Job State Change",
        "Resources": [record["jobArn"]],
        "Detail": json.dumps({key: value for key, value in record.items() if key != "attempts"}),
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _json(content: Mapping[str, Any]) -> Response:
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _fault(message: str) -> Response:
    answer: Response = error_response_json("ClientException", message, 400)
    return answer
