"""The state machines that promote models: each model's stack publishes its own in an SSM parameter."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ExecutionAlreadyExists":
                return
            if code in ("ThrottlingException", "TooManyRequestsException", "ServiceUnavailable", "InternalFailure"):
                raise Throttled(f"Step Functions: {code}") from error
            raise
        except (ConnectionError, HTTPClientError) as error:
            raise Throttled(f"Step Functions: {type(error).__name__}") from error
