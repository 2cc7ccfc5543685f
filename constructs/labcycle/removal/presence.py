"""Whether a tagged resource is still there: AWS lists the tags of what was deleted for some time."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from .account import Account
from .belonging import TaggedResource

_GONE = ("404", "NoSuchBucket", "ResourceNotFoundException")


def is_there(account: Account, resource: TaggedResource) -> bool:
    """Asks the service of what holds data or costs money; of everything else the tag is believed."""
    look = _LOOKS.get(resource.kind)
    return look is None or look(account, resource.name)


def _bucket(account: Account, name: str) -> bool:
    return _answers(lambda: account.client("s3").head_bucket(Bucket=name))


def _table(account: Account, name: str) -> bool:
    return _answers(lambda: account.client("dynamodb").describe_table(TableName=name))


def _log_group(account: Account, name: str) -> bool:
    found = account.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    return any(group["logGroupName"] == name for group in found)


def _instance(account: Account, name: str) -> bool:
    asked = [{"Name": "instance-id", "Values": [name]}]
    return any(
        instance["State"]["Name"] != "terminated"
        for reservation in account.pages("ec2", "describe_instances", "Reservations", Filters=asked)
        for instance in reservation["Instances"]
    )


def _volume(account: Account, name: str) -> bool:
    asked = [{"Name": "volume-id", "Values": [name]}]
    return bool(account.pages("ec2", "describe_volumes", "Volumes", Filters=asked))


def _snapshot(account: Account, name: str) -> bool:
    asked = [{"Name": "snapshot-id", "Values": [name]}]
    return bool(account.pages("ec2", "describe_snapshots", "Snapshots", Filters=asked))


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True


_LOOKS: dict[str, Callable[[Account, str], bool]] = {
    "bucket": _bucket,
    "instance": _instance,
    "log group": _log_group,
    "snapshot": _snapshot,
    "table": _table,
    "volume": _volume,
}
