"""An account in moto with teams in it, and trouble on the way to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import boto3
import botocore.endpoint
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.cloudformation import parsing
from moto.cloudformation.models import CloudFormationBackend, Stack
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from labcycle.removal.account import Account

REGION = "eu-west-1"
ACCOUNT = "123456789012"
LOCKED = {
    "ObjectLockEnabled": "Enabled",
    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
}


@dataclass
class Cloud:
    """The account as an administrator sees it; `slept` is what the code under test waited."""

    slept: list[float] = field(default_factory=list)
    faults: dict[str, Callable[[Any], AWSResponse | None]] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(service, region_name=REGION)  # type: ignore[call-overload]
        return self._clients[service]

    @property
    def account(self) -> Account:
        return Account(client=self.client, sleep=self.slept.append)

    # ---- what teams have ----------------------------------------------------------------------------------------

    def team(self, team: str, *, stage: str | None = "sandbox", model: str = "") -> None:
        """The stacks of a team, and its retained buckets with something in them."""
        parts = ["guardrails", "foundation", "tracking", *([f"model-{model}"] if model else [])]
        for part in parts:
            self.stack(f"labcycle-{team}-{part}", team=team, stage=stage)
        for kind in ("artifacts", "anchors", "logs"):
            self.bucket(team, kind, stage=stage)

    def stack(
        self,
        name: str,
        *,
        team: str | None,
        stage: str | None = "sandbox",
        resources: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        own = {
            "Parameter": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Type": "String", "Value": "x", "Name": f"/{name}"},
            }
        }
        if name.endswith("-tracking"):
            own["Ledger"] = {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "TableName": f"labcycle-{team}-ledger",
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                },
            }
        self.client("cloudformation").create_stack(
            StackName=name,
            TemplateBody=json.dumps({"Resources": resources or own}),
            Tags=tags(team, stage),
            **more,
        )

    def bucket(self, team: str, kind: str, *, stage: str | None = "sandbox", objects: int = 2) -> str:
        """A bucket of a team with objects, each in two versions, of which one is marked as deleted."""
        s3, name = self.client("s3"), bucket_name(team, kind)
        s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=kind == "anchors",
        )
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags(team, stage)})
        if kind == "anchors":
            s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=LOCKED)
        for n in range(objects):
            for body in (b"old", b"newer"):
                s3.put_object(Bucket=name, Key=f"object-{n}", Body=body)
        if kind == "artifacts" and objects:
            s3.delete_object(Bucket=name, Key="object-0")
            s3.create_multipart_upload(Bucket=name, Key="unfinished")
        return name

    # ---- what is there ------------------------------------------------------------------------------------------

    def stacks(self) -> list[str]:
        return sorted(stack["StackName"] for stack in self.client("cloudformation").describe_stacks()["Stacks"])

    def buckets(self) -> list[str]:
        return sorted(bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"])

    # ---- trouble ------------------------------------------------------------------------------------------------

    def fault(self, operation: str, answer: Callable[[Any], AWSResponse], *, times: int = 1) -> list[str]:
        """Answer the next calls of an operation (`s3.DeleteObjects`) in AWS's place; gives the URLs of those it answered."""
        struck: list[str] = []

        def strike(request: Any) -> AWSResponse | None:
            if len(struck) >= times:
                return None
            struck.append(request.url)
            return answer(request)

        self.faults[f"before-send.{operation}"] = strike
        return struck

    def answering(self, moto: Callable[..., Any]) -> Callable[..., Any]:
        """What answers in place of moto: a fault that is planned, else moto."""

        def answer(stubber: Any, event_name: str, request: Any, **rest: Any) -> Any:
            strike = self.faults.get(event_name, lambda request: None)
            return strike(request) or moto(stubber, event_name, request, **rest)

        return answer


def remembering() -> ExitStack:
    """Let moto list what a deleted stack had, as AWS does; by itself it makes the resources again to list them."""
    had: dict[str, list[Any]] = {}
    delete, listed = Stack.delete, CloudFormationBackend.list_stack_resources

    def remember(stack: Stack) -> None:
        had[stack.stack_id] = list(stack.stack_resources)
        delete(stack)

    def list_resources(backend: CloudFormationBackend, name: str) -> Any:
        stack = backend.get_stack(name)
        return (stack, had[stack.stack_id]) if stack.stack_id in had else listed(backend, name)

    patches = ExitStack()
    patches.enter_context(mock.patch.object(Stack, "delete", remember))
    patches.enter_context(mock.patch.object(CloudFormationBackend, "list_stack_resources", list_resources))
    return patches


def tags(team: str | None, stage: str | None) -> list[dict[str, str]]:
    known = {"labcycle:team": team, "labcycle:stage": stage}
    return [{"Key": key, "Value": value} for key, value in known.items() if value]


def bucket_name(team: str, kind: str) -> str:
    return f"labcycle-{team}-{kind}-{ACCOUNT}-{REGION}"


def answered(request: Any, body: str, status: int = 200) -> AWSResponse:
    """An answer with this body."""
    return AWSResponse(request.url, status, HTTPHeaders(), MockRawResponse(body))


def refusal(status: int, code: str, message: str) -> Callable[[Any], AWSResponse]:
    """An error as S3 and the query services write it."""

    def answer(request: Any) -> AWSResponse:
        inner = f"<Code>{code}</Code><Message>{message}</Message>"
        body = (
            f"<Error>{inner}</Error>"
            if ".s3." in request.url or "s3" in request.url
            else (f"<ErrorResponse><Error>{inner}</Error><RequestId>r</RequestId></ErrorResponse>")
        )
        return answered(request, body, status)

    return answer


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    no_sleep = mock.Mock(sleep=lambda seconds: None)
    cloud = Cloud()
    answering = mock.patch.object(BotocoreStubber, "__call__", cloud.answering(BotocoreStubber.__call__))
    with mock_aws(), remembering(), answering, own_models(), mock.patch.object(botocore.endpoint, "time", no_sleep):
        yield cloud


@contextmanager
def own_models() -> Iterator[None]:
    """moto's own models of resources, which can be deleted, also where those of tests/cloud are in the same process."""
    models = {
        model.cloudformation_type(): model
        for model in parsing.get_model_list()
        if not model.__module__.endswith(".harness")
    }
    names = {kind: model.cloudformation_name_type() for kind, model in models.items()}
    with (
        mock.patch.object(parsing, "get_model_map", lambda: models),
        mock.patch.object(parsing, "get_name_type_map", lambda: names),
    ):
        yield
