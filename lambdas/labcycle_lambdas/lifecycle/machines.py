"""The state machines that promote models and react to what is found of them: each model's stack publishes its own in SSM parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.lifecycle.parameters import parameter

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True)
class Machines:
    """Of one team."""

    ssm: SSMClient
    states: SFNClient
    team: str

    def find(self, model: str) -> str | None:
        """ARN of the model's state machine; None where its stack has none."""
        return parameter(self.ssm, f"/labcycle/team/{self.team}/model/{model}/promotion")

    def start(self, machine: str, execution: str) -> None:
        """Start the execution of this name; that it was started before is no error.

        Raises
        ------
        Throttled
            If Step Functions asks for patience, or cannot be reached.
        """
        try:
            self.states.start_execution(stateMachineArn=machine, name=execution, input=json.dumps({}))
        except (ClientError, ConnectionError, HTTPClientError) as error:
            _unless(error, "ExecutionAlreadyExists")

    def reaction(self, model: str) -> dict[str, Any] | None:
        """What is done when something is found of the model, as `reaction.policies` describes it, and the `machine` that does it; None
        where its stack has none."""
        value = parameter(self.ssm, f"/labcycle/team/{self.team}/model/{model}/policies")
        return dict(json.loads(value)) if value is not None else None

    def wake(self, token: str) -> None:
        """End the wait of this token; that it ended before is no error.

        Raises
        ------
        Throttled
            If Step Functions asks for patience, or cannot be reached.
        """
        try:
            self.states.send_task_success(taskToken=token, output=json.dumps({}))
        except (ClientError, ConnectionError, HTTPClientError) as error:
            _unless(error, "TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


def _unless(error: ClientError | ConnectionError | HTTPClientError, *codes: str) -> None:
    """Raise what Step Functions answered, unless it is one of `codes`."""
    if not isinstance(error, ClientError):
        raise Throttled(f"Step Functions: {type(error).__name__}") from error
    code = error.response["Error"]["Code"]
    if code in ("ThrottlingException", "TooManyRequestsException", "ServiceUnavailable", "InternalFailure"):
        raise Throttled(f"Step Functions: {code}") from error
    if code not in codes:
        raise error
