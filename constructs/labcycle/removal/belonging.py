"""What belongs to a team: stacks by tag and name, everything else by tag. Never by a prefix alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from .account import Account

TEAM = "labcycle:team"
STAGE = "labcycle:stage"
TARGET = "labcycle:target"
PREFIX = "labcycle-"
# Stacks of a team that others of it stand on, in the order in which they may go; models and whatever else comes before.
_LAST = ("workspaces", "tracking", "foundation", "guardrails")


class _Tagged:
    """What belongs where its tags say; `team` and `stage` are empty where it has none."""

    tags: Mapping[str, str]

    @property
    def team(self) -> str:
        return self.tags.get(TEAM, "")

    @property
    def stage(self) -> str:
        return self.tags.get(STAGE, "")


@dataclass(frozen=True)
class DeployedStack(_Tagged):
    """A stack as CloudFormation has it."""

    name: str
    identifier: str
    status: str
    protected: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    def is_of(self, team: str) -> bool:
        """By its tag, and by the name that the platform gives the stacks of a team."""
        return self.team == team and self.name.startswith(f"{PREFIX}{team}-")


@dataclass(frozen=True)
class TaggedResource(_Tagged):
    """A resource with a team's tag."""

    arn: str
    tags: Mapping[str, str]

    @property
    def kind(self) -> str:
        """In words, of what AWS writes in the ARN."""
        return _KINDS.get(self._type, self._type)

    @property
    def name(self) -> str:
        """Name or id, as commands take it."""
        rest = self.arn.split(":", 5)[5]
        if self._type in ("logs:log-group", "ssm:parameter"):
            return rest.removeprefix("log-group:").removeprefix("parameter").removesuffix(":*")
        return rest.rpartition("/")[2].rpartition(":")[2]

    @property
    def _type(self) -> str:
        _, _, service, _, _, rest = self.arn.split(":", 5)
        named = rest.replace("/", ":").split(":", 1)
        return f"{service}:{named[0]}" if len(named) > 1 else service


_KINDS = {
    "dynamodb:table": "table",
    "ec2:instance": "instance",
    "ec2:launch-template": "launch template",
    "ec2:snapshot": "snapshot",
    "ec2:volume": "volume",
    "events:event-bus": "event bus",
    "kms:key": "key",
    "lambda:function": "function",
    "logs:log-group": "log group",
    "s3": "bucket",
    "sns": "topic",
    "sqs": "queue",
    "ssm:parameter": "parameter",
    "states:stateMachine": "state machine",
}


def deployed_stacks(account: Account) -> list[DeployedStack]:
    """All stacks of the platform that are deployed, nested ones apart, by name."""
    return sorted(
        (
            _stack(found)
            for found in account.pages("cloudformation", "describe_stacks", "Stacks")
            if found["StackName"].startswith(PREFIX)
            and found["StackStatus"] != "DELETE_COMPLETE"
            and "ParentId" not in found
        ),
        key=lambda stack: stack.name,
    )


def deleted_stacks(account: Account, team: str) -> list[DeployedStack]:
    """The stacks of a team that were deleted; CloudFormation knows them for 90 days."""
    summaries = account.pages("cloudformation", "list_stacks", "StackSummaries", StackStatusFilter=["DELETE_COMPLETE"])
    found = []
    for summary in summaries:
        if summary["StackName"].startswith(f"{PREFIX}{team}-"):
            stack = described(account, summary["StackId"])
            if stack and stack.is_of(team):
                found.append(stack)
    return found


def described(account: Account, identifier: str) -> DeployedStack | None:
    """A stack by its id, also a deleted one; None where CloudFormation does not know it any more."""
    try:
        (found,) = account.client("cloudformation").describe_stacks(StackName=identifier)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return _stack(found)


def last_first(stacks: list[DeployedStack], team: str) -> list[DeployedStack]:
    """In the order in which they may be deleted: what stands on others goes before them."""

    def place(stack: DeployedStack) -> tuple[int, str]:
        part = stack.name.removeprefix(f"{PREFIX}{team}-")
        return _LAST.index(part) + 1 if part in _LAST else 0, stack.name

    return sorted(stacks, key=place)


def resources_of(account: Account, stack: DeployedStack, *kinds: str) -> list[dict[str, Any]]:
    """Summaries of a stack's resources, of a deleted one too; all kinds, or these."""
    found = account.pages(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack.identifier
    )
    return [one for one in found if not kinds or one["ResourceType"] in kinds]


def tagged_resources(account: Account, team: str | None = None) -> list[TaggedResource]:
    """Every resource of the region with the tag of this team, or of any; by ARN."""
    wanted = {"Key": TEAM} if team is None else {"Key": TEAM, "Values": [team]}
    found = account.pages("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=[wanted])
    resources = (TaggedResource(one["ResourceARN"], _tags(one["Tags"])) for one in found)
    return sorted((one for one in resources if ":cloudformation:" not in one.arn), key=lambda one: one.arn)


def _stack(found: Mapping[str, Any]) -> DeployedStack:
    return DeployedStack(
        name=found["StackName"],
        identifier=found["StackId"],
        status=found["StackStatus"],
        protected=bool(found.get("EnableTerminationProtection")),
        tags=_tags(found.get("Tags", [])),
    )


def _tags(found: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found}
