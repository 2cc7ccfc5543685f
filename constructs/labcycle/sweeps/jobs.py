"""Jobs of AWS Batch, with the rights of the member's own role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labcycle.client.own_rights import OwnRights
from labcycle.config import names
from labcycle.sweeps.plan import Machine

ENDED = ("SUCCEEDED", "FAILED")
_MIB = 1024
_WHAT = "the job of the sweep"


@dataclass(frozen=True)
class JobView:
    """What Batch says of a job; `status` is empty where it does not know it any more."""

    job: str
    status: str = ""
    reason: str = ""

    @property
    def ended(self) -> bool:
        return self.status in ENDED or not self.status


class Jobs:
    """Those of one member. All methods raise `LabcycleError`."""

    def __init__(self, aws: OwnRights, team: str, member: str) -> None:
        self._aws, self._team, self._member = aws, team, member
        self._batch = aws.client("batch")

    def submit(self, name: str, *, lanes: int, machine: Machine, environment: Mapping[str, str]) -> str:
        """An array of so many children, or one job where that is one; its id. Never repeated by itself: it is not idempotent."""
        requirements = [
            {"type": "VCPU", "value": str(machine.vcpus)},
            {"type": "MEMORY", "value": str(machine.memory_gib * _MIB)},
            *([{"type": "GPU", "value": str(machine.gpus)}] if machine.gpus else []),
        ]
        asked: dict[str, Any] = {
            "jobName": name,
            "jobQueue": names.job_queue(self._team, queue_of(machine)),
            "jobDefinition": names.job_definition(self._team, self._member),
            "containerOverrides": {
                "resourceRequirements": requirements,
                "environment": [{"name": key, "value": value} for key, value in environment.items()],
            },
            "tags": {"labcycle:team": self._team, "labcycle:member": self._member},
            **({"arrayProperties": {"size": lanes}} if lanes > 1 else {}),
        }
        return str(self._aws.ask(_WHAT, lambda: self._batch.submit_job(**asked)["jobId"]))

    def named(self, name: str, machine: Machine) -> str | None:
        """Id of the newest job of this name; None where there is none."""
        queue = names.job_queue(self._team, queue_of(machine))
        filters = [{"name": "JOB_NAME", "values": [name]}]
        pages = self._batch.get_paginator("list_jobs").paginate(jobQueue=queue, filters=filters)
        found = self._aws.ask(_WHAT, lambda: [job for page in pages for job in page["jobSummaryList"]])
        found = [job for job in found if job["jobName"] == name]  # the filter takes no notice of case
        return str(max(found, key=lambda job: job["createdAt"])["jobId"]) if found else None

    def look(self, *jobs: str) -> dict[str, JobView]:
        """By id; at most a hundred."""
        if not jobs:
            return {}
        found = self._aws.ask(_WHAT, lambda: self._batch.describe_jobs(jobs=list(jobs))["jobs"])
        known = {one["jobId"]: JobView(one["jobId"], one["status"], one.get("statusReason", "")) for one in found}
        return {job: known.get(job, JobView(job)) for job in jobs}

    def stop(self, job: str) -> None:
        """End a job, all its children with it."""
        reason = f"{names.JOB_STOPPED} by {self._member}"
        self._aws.ask(_WHAT, lambda: self._batch.terminate_job(jobId=job, reason=reason))


def queue_of(machine: Machine) -> str:
    return "gpu" if machine.gpus else "cpu"
