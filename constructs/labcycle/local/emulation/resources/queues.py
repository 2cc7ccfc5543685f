"""Compute environments, queues and job definitions of AWS Batch; `jobs` runs what is submitted."""

from __future__ import annotations

import json
import uuid
from typing import Any

from ministack.services import batch

from labcycle.local.emulation.resources.registration import Made, Properties, answered, register

_AS_THEY_ARE = ("Tags", "Options", "Parameters")  # whose keys are the user's


def install() -> None:
    register("AWS::Batch::ComputeEnvironment", _environment, _delete_environment, _update_environment)
    register("AWS::Batch::JobQueue", _queue, _delete_queue, _update_queue)
    register("AWS::Batch::JobDefinition", _definition, _delete_definition)


def _environment(logical_id: str, properties: Properties, stack: str) -> Made:
    name = properties.get("ComputeEnvironmentName") or f"{logical_id}-{uuid.uuid4().hex[:16]}"
    asked = {**_asked(properties), "computeEnvironmentName": name}
    answered(batch._create_compute_environment(asked), "CreateComputeEnvironment")
    arn = batch._ce_arn(name)
    return arn, {"ComputeEnvironmentArn": arn}


def _update_environment(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
    asked = {**_asked(new), "computeEnvironment": physical_id}
    answered(batch._update_compute_environment(asked), "UpdateComputeEnvironment")
    return physical_id, {"ComputeEnvironmentArn": physical_id}


def _delete_environment(physical_id: str, properties: Properties) -> None:
    batch._compute_envs.pop(_name(physical_id), None)


def _queue(logical_id: str, properties: Properties, stack: str) -> Made:
    name = properties.get("JobQueueName") or f"{logical_id}-{uuid.uuid4().hex[:16]}"
    answered(batch._create_job_queue({**_asked(properties), "jobQueueName": name}), "CreateJobQueue")
    arn = batch._jq_arn(name)
    return arn, {"JobQueueArn": arn}


def _update_queue(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
    batch._job_queues[_name(physical_id)].update(_asked(new))
    return physical_id, {"JobQueueArn": physical_id}


def _delete_queue(physical_id: str, properties: Properties) -> None:
    batch._job_queues.pop(_name(physical_id), None)


def _definition(logical_id: str, properties: Properties, stack: str) -> Made:
    name = properties.get("JobDefinitionName") or f"{logical_id}-{uuid.uuid4().hex[:16]}"
    asked = {**_asked(properties), "jobDefinitionName": name}
    said = json.loads(answered(batch._register_job_definition(asked), "RegisterJobDefinition"))
    record = batch._job_definitions[name][-1]
    record.update({key: asked[key] for key in ("retryStrategy", "timeout") if key in asked})
    return said["jobDefinitionArn"], {"JobDefinitionArn": said["jobDefinitionArn"]}


def _delete_definition(physical_id: str, properties: Properties) -> None:
    for record in batch._job_definitions.get(_name(physical_id).partition(":")[0], []):
        if record["jobDefinitionArn"] == physical_id:
            record["status"] = "INACTIVE"


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _asked(value: Any, below: str = "") -> Any:
    """As Batch's own API writes it: keys begin with a small letter."""
    if isinstance(value, dict):
        if below in _AS_THEY_ARE:
            return value
        return {key[0].lower() + key[1:]: _asked(one, key) for key, one in value.items()}
    return [_asked(one) for one in value] if isinstance(value, list) else value
