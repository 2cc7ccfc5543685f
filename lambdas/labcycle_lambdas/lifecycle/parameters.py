"""What the stacks of a team's models publish in SSM parameters."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from labcycle_lambdas.lifecycle.flavours import Runtime
from labcycle_lambdas.model_server.keeping import Keeping

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


REMEMBERED_SECONDS = 60.0
T = TypeVar("T")


def remembered(read: Callable[[str], T], monotonic: Callable[[], float] = time.monotonic) -> Callable[[str], T]:
    """`read`, asked for a model once a minute at most: for what is asked with every call. Systems Manager answers 40 requests a second of
    a whole account: https://docs.aws.amazon.com/general/latest/gr/ssm.html"""
    known: dict[str, tuple[float, T]] = {}

    def asked(model: str) -> T:
        if model not in known or monotonic() >= known[model][0]:
            known[model] = monotonic() + REMEMBERED_SECONDS, read(model)
        return known[model][1]

    return asked


def parameter(ssm: SSMClient, name: str) -> str | None:
    """The value; None where no stack published it."""
    try:
        return ssm.get_parameter(Name=name)["Parameter"].get("Value", "")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"ParameterNotFound", "ValidationException"}:  # the second: a name that no parameter can have
            return None
        raise


def server_memory_mb(ssm: SSMClient, team: str, model: str) -> int | None:
    """How much memory the server of a model has; None where none is deployed."""
    value = parameter(ssm, f"/labcycle/team/{team}/model/{model}/memory-mb")
    return int(value) if value is not None else None


def shadow_place(ssm: SSMClient, team: str, model: str) -> str | None:
    """Where the shadow of a model runs: `function` or `process`; None where it has no place."""
    return parameter(ssm, f"/labcycle/team/{team}/model/{model}/shadow")


def server_runs_on(ssm: SSMClient, team: str, model: str) -> dict[str, Any] | None:
    """What the server of a model runs on, with the keys of the team file; None where none is deployed."""
    value = parameter(ssm, f"/labcycle/team/{team}/model/{model}/runs-on")
    return dict(json.loads(value)) if value is not None else None


def declared(ssm: SSMClient, team: str, model: str) -> dict[str, Any] | None:
    """What the team file says of a model: `business_owner`, `monitor`, `react`; None where no stack of the team has the model."""
    value = parameter(ssm, f"/labcycle/team/{team}/model/{model}/declared")
    return dict(json.loads(value)) if value is not None else None


def cohorts(ssm: SSMClient, team: str, model: str) -> Sequence[str]:
    """The features of a model whose values are watched apart."""
    found: Sequence[str] = ((declared(ssm, team, model) or {}).get("monitor") or {}).get("cohorts", ())
    return found


def kept_of_records(ssm: SSMClient, team: str, model: str) -> Keeping | None:
    """What is kept of the records of a model that is served elsewhere; None where it is not."""
    value = parameter(ssm, f"/labcycle/team/{team}/model/{model}/records")
    return Keeping.of(value) if value is not None else None


def server_runtime(ssm: SSMClient, team: str, model: str) -> Runtime | None:
    """What the server of a model is made from; None where that is ONNX, or none is deployed."""
    return Runtime.read(parameter(ssm, f"/labcycle/team/{team}/model/{model}/runtime") or "")
