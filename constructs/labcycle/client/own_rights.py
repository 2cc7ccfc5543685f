"""What a member asks of AWS itself, with the rights of the own role, in the account and region of the team."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from labcycle.errors import LabcycleError


class NotThere(LabcycleError):
    """AWS has no such thing."""


@dataclass(frozen=True)
class OwnRights:
    """`who_may` says which roles have what is asked for."""

    region: str
    who_may: str

    def client(self, service: str) -> Any:
        session: Any = boto3.Session()
        return session.client(service, region_name=self.region)

    def parameter(self, name: str, what: str, absent: str) -> str:
        """An SSM parameter of the team. `absent` is what is said where it is not there; else as `ask`. Raises `LabcycleError`."""
        ssm = self.client("ssm")
        try:
            value: str = self.ask(what, lambda: ssm.get_parameter(Name=name)["Parameter"]["Value"])
        except NotThere:
            raise LabcycleError(absent) from None
        return value

    def ask(self, what: str, call: Callable[[], Any]) -> Any:
        """The answer of AWS. `what` begins the sentence that says what was not to be had.

        Raises
        ------
        NotThere
            If there is no such parameter, object or execution.
        LabcycleError
            If it may not be asked for, or AWS does not answer.
        """
        try:
            return call()
        except ClientError as error:
            code, message = (error.response["Error"].get(key, "") for key in ("Code", "Message"))
            if code in ("ParameterNotFound", "NoSuchKey", "ExecutionDoesNotExist"):
                raise NotThere(f"{what}: {message}") from None
            if code in ("AccessDenied", "AccessDeniedException"):
                raise LabcycleError(f"{what}: your role may not read it. {self.who_may}") from None
            raise LabcycleError(f"{what}: AWS says {code}: {message}") from None
        except BotoCoreError as error:
            raise LabcycleError(f"{what}: {error}") from None
