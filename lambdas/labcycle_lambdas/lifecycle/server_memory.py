"""How much memory the server of a model has: its stack publishes it in an SSM parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


def server_memory_mb(ssm: SSMClient, team: str, model: str) -> int | None:
    """None where no server of this model is deployed."""
    try:
        value = ssm.get_parameter(Name=f"/labcycle/team/{team}/model/{model}/memory-mb")["Parameter"].get("Value", "")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"ParameterNotFound", "ValidationException"}:  # the second: a name that no parameter can have
            return None
        raise
    return int(value)
