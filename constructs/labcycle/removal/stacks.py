"""Delete stacks, one after the other, and wait for each."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from .account import Account
from .belonging import DeployedStack, described, resources_of
from .failure import StepFailed

_SECONDS = 5.0
_LOOKS = 720  # an hour


def size_of(account: Account, stack: DeployedStack) -> str:
    """What of the stack's resources counts: how many they are, and the items of its tables."""
    resources = [one for one in resources_of(account, stack) if one["ResourceStatus"] != "DELETE_COMPLETE"]
    told = [f"{len(resources)} resources"]
    for one in resources:
        if one["ResourceType"] == "AWS::DynamoDB::Table":
            told.append(f"table {_table(account, one['PhysicalResourceId'])}")
    return ", ".join([stack.status, *told] if stack.status.endswith("FAILED") else told)


def remove_stack(account: Account, stack: DeployedStack) -> None:
    """Delete a stack and wait until it is gone; one whose deletion failed before is tried again.

    Raises
    ------
    StepFailed
        If CloudFormation cannot delete it, with its reasons.
    """
    cloudformation = account.client("cloudformation")
    if stack.status != "DELETE_IN_PROGRESS":
        cloudformation.delete_stack(StackName=stack.name)
    step = f"stack {stack.name}"
    for _ in range(_LOOKS):
        now = described(account, stack.identifier)
        if now is None or now.status == "DELETE_COMPLETE":
            return
        if now.status == "DELETE_FAILED":
            raise StepFailed(step, f"CloudFormation could not delete it: {_reasons(account, stack)}")
        account.sleep(_SECONDS)
    raise StepFailed(step, f"it was not deleted within {_LOOKS * _SECONDS / 60:.0f} minutes")


def _reasons(account: Account, stack: DeployedStack) -> str:
    """What the events of the last attempt say, newest first."""
    found: list[str] = []
    events: list[dict[str, Any]] = account.pages(
        "cloudformation", "describe_stack_events", "StackEvents", StackName=stack.identifier
    )
    for event in events:
        of_stack = event.get("PhysicalResourceId") == stack.identifier
        if of_stack and event["ResourceStatus"] == "DELETE_IN_PROGRESS":
            break
        if event["ResourceStatus"] == "DELETE_FAILED" and not of_stack:
            found.append(
                f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '')}"
            )
    return "; ".join(dict.fromkeys(found)) or "it does not say why; see its events"


def _table(account: Account, name: str) -> str:
    try:
        found = account.client("dynamodb").describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return f"{name}: gone"
        raise
    # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html: counted every six hours
    return f"{name}: about {found['ItemCount']:,} items, {found['TableSizeBytes']:,} bytes"
