"""What of a team runs outside its stacks' control: applications, executions, training jobs, instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .account import Account
from .belonging import STAGE, TEAM, DeployedStack, resources_of
from .failure import StepFailed
from .item import Item

_SECONDS = 10.0
_LOOKS = 90  # a quarter of an hour


def applications(account: Account, stacks: Sequence[DeployedStack]) -> list[Item]:
    """Applications of the SageMaker domains in the stacks; a space with one cannot be deleted."""
    found = []
    for domain in _domains(account, stacks):
        for app in account.pages("sagemaker", "list_apps", "Apps", DomainIdEquals=domain):
            if app["Status"] not in ("Deleted", "Failed"):
                owner = {key: app[key] for key in ("SpaceName", "UserProfileName") if app.get(key)}
                asked = {"DomainId": domain, "AppType": app["AppType"], "AppName": app["AppName"], **owner}
                name = "/".join([domain, *owner.values(), app["AppType"], app["AppName"]])
                delete = (
                    _deleting(account.client("sagemaker").delete_app, asked) if app["Status"] != "Deleting" else None
                )
                found.append(Item("application", name, delete=delete))
    return found


def spaces(account: Account, stacks: Sequence[DeployedStack]) -> list[Item]:
    """Spaces of the SageMaker domains in the stacks; a domain with one cannot be deleted."""
    found = []
    for domain in _domains(account, stacks):
        for space in account.pages("sagemaker", "list_spaces", "Spaces", DomainIdEquals=domain):
            asked = {"DomainId": domain, "SpaceName": space["SpaceName"]}
            delete = (
                _deleting(account.client("sagemaker").delete_space, asked) if space["Status"] != "Deleting" else None
            )
            found.append(Item("space", f"{domain}/{space['SpaceName']}", delete=delete))
    return found


def executions(account: Account, stacks: Sequence[DeployedStack]) -> list[Item]:
    """Running executions of the state machines in the stacks."""
    stop = account.client("stepfunctions").stop_execution
    return [
        Item("execution", one["executionArn"], delete=_deleting(stop, {"executionArn": one["executionArn"]}))
        for machine in _physical(account, stacks, "AWS::StepFunctions::StateMachine")
        for one in account.pages(
            "stepfunctions", "list_executions", "executions", stateMachineArn=machine, statusFilter="RUNNING"
        )
    ]


def training_jobs(account: Account, stacks: Sequence[DeployedStack], team: str) -> list[Item]:
    """Training jobs in progress that run as a role of the stacks: by their names alone they could be another team's."""
    roles = set(_physical(account, stacks, "AWS::IAM::Role"))
    sagemaker = account.client("sagemaker")
    found = []
    for status in ("InProgress", "Stopping") if roles else ():
        for one in account.pages(
            "sagemaker",
            "list_training_jobs",
            "TrainingJobSummaries",
            StatusEquals=status,
            NameContains=f"labcycle-{team}-",
        ):
            name = one["TrainingJobName"]
            role = sagemaker.describe_training_job(TrainingJobName=name)["RoleArn"]
            if role.rpartition("/")[2] in roles:
                asked = {"TrainingJobName": name}
                stop = _deleting(sagemaker.stop_training_job, asked) if status == "InProgress" else None
                found.append(Item("training job", name, delete=stop))
    return found


def instances(account: Account, team: str) -> list[Item]:
    """Instances with the tag of the team. Their data volumes stay for the step that deletes those."""
    ec2 = account.client("ec2")
    asked = [
        {"Name": f"tag:{TEAM}", "Values": [team]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]},
    ]
    return [
        Item(
            "instance",
            instance["InstanceId"],
            f"{instance['InstanceType']}, {instance['State']['Name']}",
            delete=_deleting(ec2.terminate_instances, {"InstanceIds": [instance["InstanceId"]]}),
        )
        for reservation in account.pages("ec2", "describe_instances", "Reservations", Filters=asked)
        for instance in reservation["Instances"]
        if _is_sandbox(instance)
    ]


def volumes(account: Account, team: str) -> list[Item]:
    """Volumes with the tag of the team."""
    ec2 = account.client("ec2")
    return [
        Item(
            "volume",
            one["VolumeId"],
            f"{one['Size']} GiB",
            delete=_deleting(ec2.delete_volume, {"VolumeId": one["VolumeId"]}),
        )
        for one in account.pages("ec2", "describe_volumes", "Volumes", Filters=_tagged(team))
        if _is_sandbox(one)
    ]


def snapshots(account: Account, team: str) -> list[Item]:
    """Snapshots of the account with the tag of the team."""
    ec2 = account.client("ec2")
    return [
        Item(
            "snapshot",
            one["SnapshotId"],
            f"of {one['VolumeSize']} GiB",
            delete=_deleting(ec2.delete_snapshot, {"SnapshotId": one["SnapshotId"]}),
        )
        for one in account.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=_tagged(team))
        if _is_sandbox(one)
    ]


def wait_until_gone(account: Account, step: str, find: Callable[[], list[Item]]) -> None:
    """Look until nothing is found any more.

    Raises
    ------
    StepFailed
        After a quarter of an hour.
    """
    for _ in range(_LOOKS):
        left = find()
        if not left:
            return
        account.sleep(_SECONDS)
    raise StepFailed(
        step, f"{', '.join(str(item) for item in left)} did not end within {_LOOKS * _SECONDS / 60:.0f} minutes"
    )


def _physical(account: Account, stacks: Sequence[DeployedStack], kind: str) -> list[str]:
    return [
        one["PhysicalResourceId"]
        for stack in stacks
        for one in resources_of(account, stack, kind)
        if one.get("PhysicalResourceId") and one["ResourceStatus"] != "DELETE_COMPLETE"
    ]


def _domains(account: Account, stacks: Sequence[DeployedStack]) -> list[str]:
    return _physical(account, stacks, "AWS::SageMaker::Domain")


def _tagged(team: str) -> list[dict[str, Any]]:
    return [{"Name": f"tag:{TEAM}", "Values": [team]}]


def _is_sandbox(found: dict[str, Any]) -> bool:
    """What people made beside the platform may lack the tag of the stage; what says another one is not touched."""
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    return bool(tags.get(STAGE, "sandbox") == "sandbox")


def _deleting(operation: Callable[..., Any], asked: dict[str, Any]) -> Callable[[], None]:
    def delete() -> None:
        operation(**asked)

    return delete
