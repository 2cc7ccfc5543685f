"""The end of a sandbox, step by step; each step looks at what is there, so that a second run continues the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from labcycle.config import names
from labcycle.errors import LabcycleError

from . import running
from .account import Account
from .belonging import (
    PREFIX,
    DeployedStack,
    TaggedResource,
    deleted_stacks,
    deployed_stacks,
    last_first,
    resources_of,
    tagged_resources,
)
from .buckets import contents, remove_bucket
from .failure import StepFailed
from .item import Item
from .keys import waits_until
from .presence import is_there
from .stacks import remove_stack, size_of

Say = Callable[[str], None]


class Refused(LabcycleError):
    """What is deployed is not a sandbox, or that cannot be told. Nothing was touched."""


@dataclass(frozen=True)
class Step:
    """One step of the end.

    Parameters
    ----------
    find
        What there is of it now.
    waits
        Its items end some time after their deletion, and the next step needs them gone.
    """

    name: str
    find: Callable[[], list[Item]]
    waits: bool = False


class Destruction:
    """The end of one team in one account and region.

    Parameters
    ----------
    say
        Tells the person at the keyboard a line.
    """

    def __init__(self, account: Account, team: str, say: Say) -> None:
        self._account, self._team, self._say = account, team, say
        self._kept: dict[str, str] = {}
        self.steps = (
            Step("applications", lambda: running.applications(account, self._stacks()), waits=True),
            Step("spaces", lambda: running.spaces(account, self._stacks()), waits=True),
            Step("executions", lambda: running.executions(account, self._stacks())),
            Step("training jobs", lambda: running.training_jobs(account, self._stacks(), team), waits=True),
            Step("instances", lambda: running.instances(account, team), waits=True),
            Step("stacks", self._stack_items),
            Step("buckets", self._bucket_items),
            Step("log groups", self._group_items),
            Step("snapshots", lambda: running.snapshots(account, team)),
            Step("volumes", lambda: running.volumes(account, team)),
        )

    def refuse_unless_sandbox(self) -> None:
        """Look at the tags of what is deployed; a team file says only what was meant to be.

        Raises
        ------
        Refused
            If something is not of a sandbox, nothing says that it is, there is nothing at all, or a stack is protected.
        """
        where = f"team {self._team} in account {self._account.caller['Account']}, region {self._account.region}"
        stacks, resources = self._stacks(), self._tagged()
        if not stacks and not resources:
            raise Refused(f"{where}: there is nothing with its tag. Check the name, the account and the region")
        for stack in stacks:
            if stack.stage != "sandbox":
                raise Refused(
                    f"{where}: the stack {stack.name} is deployed with the stage {stack.stage or '(no tag labcycle:stage)'}; "
                    "allowed sandbox. Only a sandbox is ended by this command"
                )
            if stack.protected:
                raise Refused(
                    f"{where}: the stack {stack.name} is protected from termination. If it may go: aws cloudformation "
                    f"update-termination-protection --no-enable-termination-protection --stack-name {stack.name}"
                )
        for resource in resources:
            if resource.stage not in ("sandbox", ""):
                raise Refused(
                    f"{where}: the {resource.kind} {resource.name} is of the stage {resource.stage}; allowed sandbox. "
                    "It is left of a former stage: end it by hand, or change its tag"
                )
        if not stacks and not any(resource.stage == "sandbox" for resource in resources):
            raise Refused(
                f"{where}: no stack is deployed, and nothing that is left says by its tag labcycle:stage that it was a sandbox. "
                "End what is left by hand"
            )

    def plan(self) -> Iterator[tuple[str, list[Item]]]:
        """Each step with what it would end."""
        for step in self.steps:
            yield step.name, self._told(step)

    def execute(self) -> None:
        """Go all steps.

        Raises
        ------
        StepFailed
            At the first step that AWS refuses; all before it are done.
        """
        for step in self.steps:
            for item in self._told(step):
                self._say(f"{step.name}: {item}")
                if item.delete:
                    with _named(f"{item.kind} {item.name}"):
                        item.delete()
            if step.waits:
                with _named(step.name):
                    running.wait_until_gone(self._account, step.name, step.find)

    def stays(self) -> list[str]:
        """What is left on purpose, or could not be ended, in sentences."""
        found = [f"bucket {name}: {why}" for name, why in self._kept.items()]
        gone = self._gone() | self._kept.keys()
        for resource in self._tagged():
            if resource.kind == "key":
                told = waits_until(self._account, resource) or "is in use"
                found.append(f"key {resource.name} {told}")
            elif resource.name not in gone and is_there(self._account, resource):
                found.append(f"{resource.kind} {resource.name} ({resource.arn})")
        found += [
            f"backup {one['BackupName']} of the table {one['TableName']} ({one['BackupType'].lower()}; "
            f"until {one['BackupExpiryDateTime']:%Y-%m-%d})"
            if "BackupExpiryDateTime" in one
            else f"backup {one['BackupName']} of the table {one['TableName']}"
            for one in self._backups()
        ]
        found += [
            f"stack {stack.name}, whose name begins like a stack of the team and whose tags do not say so"
            for stack in deployed_stacks(self._account)
            if stack.name.startswith(f"{PREFIX}{self._team}-") and not stack.team
        ]
        return found

    # ---- what there is ----------------------------------------------------------------------------------------------

    def _told(self, step: Step) -> list[Item]:
        with _named(step.name):
            return step.find()

    def _stacks(self) -> list[DeployedStack]:
        return [stack for stack in deployed_stacks(self._account) if stack.is_of(self._team)]

    def _tagged(self) -> list[TaggedResource]:
        return tagged_resources(self._account, self._team)

    def _stack_items(self) -> list[Item]:
        return [
            Item("stack", stack.name, size_of(self._account, stack), delete=self._removing_stack(stack))
            for stack in last_first(self._stacks(), self._team)
        ]

    def _removing_stack(self, stack: DeployedStack) -> Callable[[], None]:
        return lambda: remove_stack(self._account, stack)

    def _bucket_items(self) -> list[Item]:
        def place(resource: TaggedResource) -> tuple[bool, str]:
            """The bucket that gets the access logs of the others goes last."""
            kind = resource.name.removeprefix(f"{PREFIX}{self._team}-").partition("-")[0]
            return kind == "logs", resource.name

        found = [one for one in self._tagged() if one.kind == "bucket" and one.stage == "sandbox"]
        return [
            Item("bucket", one.name, str(contents(self._account, one.name)), delete=self._removing_bucket(one.name))
            for one in sorted(found, key=place)
            if is_there(self._account, one)
        ]

    def _removing_bucket(self, bucket: str) -> Callable[[], None]:
        def remove() -> None:
            why = remove_bucket(self._account, bucket, self._say)
            if why:
                self._kept[bucket] = why
                self._say(f"  {bucket} stays: {why}")

        return remove

    def _group_items(self) -> list[Item]:
        """Log groups that were retained, and those that Lambda made for functions of the stacks.

        Of a team that was in production and then a sandbox, those of its production stay.
        """
        logs = self._account.client("logs")
        functions = {
            f"/aws/lambda/{one['PhysicalResourceId']}"
            for stack in [*self._stacks(), *deleted_stacks(self._account, self._team)]
            if stack.stage == "sandbox"
            for one in resources_of(self._account, stack, "AWS::Lambda::Function")
            if one.get("PhysicalResourceId")
        }
        retained = {one.name for one in self._tagged() if one.kind == "log group" and one.stage == "sandbox"}
        found = []
        for name in sorted(functions | retained):
            groups = self._account.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
            found += [
                Item("log group", name, f"{group.get('storedBytes', 0):,} bytes", delete=_deleting_group(logs, name))
                for group in groups
                if group["logGroupName"] == name
            ]
        return found

    def _backups(self) -> list[dict[str, Any]]:
        backups = self._account.client("dynamodb").list_backups(
            TableName=names.ledger_table(self._team), BackupType="ALL"
        )
        found: list[dict[str, Any]] = backups["BackupSummaries"]
        return found

    def _gone(self) -> set[str]:
        """What CloudFormation deleted with the stacks; its tags are listed for some time."""
        return {
            str(one["PhysicalResourceId"]).rpartition("/")[2].rpartition(":")[2]
            for stack in deleted_stacks(self._account, self._team)
            for one in resources_of(self._account, stack)
            if one["ResourceStatus"] == "DELETE_COMPLETE" and one.get("PhysicalResourceId")
        }


@contextmanager
def _named(step: str) -> Iterator[None]:
    """What AWS refuses is told with the step in which it did."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise StepFailed(step, str(error).rstrip(".")) from error


def _deleting_group(logs: Any, name: str) -> Callable[[], None]:
    def delete() -> None:
        logs.delete_log_group(logGroupName=name)

    return delete
