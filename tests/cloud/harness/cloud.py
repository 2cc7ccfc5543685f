"""The cloud: moto with everything of this package in place."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.loaders
import botocore.session
import moto.iam.models
from moto import mock_aws
from moto.iam.models import iam_backends

from tests.cloud.harness import buckets, delivery, disks, machines, streams
from tests.cloud.harness import stores as _registers_its_models  # noqa: F401
from tests.cloud.harness.assembly import Assembly, Stack
from tests.cloud.harness.endpoints import Endpoints
from tests.cloud.harness.faults import Faults
from tests.cloud.harness.functions import Functions
from tests.cloud.harness.http_api import HttpApi
from tests.cloud.harness.permissions import FUNCTION_CALLS, Guard
from tests.cloud.harness.place import Place, account_from_access_key
from tests.cloud.harness.resources import LEFT_OUT, supported
from tests.cloud.harness.training import TrainingJobs

_MOTO_CONFIG: Any = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": True}}
_BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"


class DeploymentFailed(Exception):
    """A stack could not be deployed as it was synthesized."""


class Cloud:
    """Deploys assemblies and reaches what they deployed. Made by `cloud()`."""

    def __init__(self) -> None:
        self.functions = Functions()
        self.faults = Faults(self.functions)
        self.guard = Guard()
        self.training = TrainingJobs(self.guard)
        self.endpoints = Endpoints(self.guard)
        self.steering = machines.Steering()
        self.meanwhile: Callable[[float], object] = lambda seconds: None  # what happens while a state machine waits
        self.outputs: dict[str, dict[str, str]] = {}
        self.places: dict[str, Place] = {}
        self.left_out: set[str] = set()
        self._uploaded: set[tuple[str, str]] = set()

    def deploy(
        self, directory: Path | str, default: Place, select: Callable[[str], bool] = lambda name: True
    ) -> list[str]:
        """Deploy the stacks of an assembly whose names `select` takes, in the order of their dependencies.

        `default` is where stacks without an environment go. Returns the names deployed; outputs are in `outputs`.

        Raises
        ------
        DeploymentFailed
            If a resource type is not supported and not listed in `LEFT_OUT`, or moto could not make sense of
            something, or a stack does not complete.
        """
        assembly = Assembly(Path(directory), default)
        stacks = [stack for stack in assembly.stacks() if select(stack.name)]
        if not stacks:
            raise DeploymentFailed(f"nothing in {directory} is selected")
        for place in dict.fromkeys(stack.place for stack in stacks):
            place.client("ssm").put_parameter(Name=_BOOTSTRAP_PARAMETER, Value="30", Type="String", Overwrite=True)
            self._upload(assembly, place)
        for stack in stacks:
            self._create(stack)
        return [stack.name for stack in stacks]

    def api(self, address: str, account: str) -> HttpApi:
        return HttpApi(address, account)

    def finish(self, execution_arn: str) -> dict[str, Any]:
        """See `machines.finish`."""
        return machines.finish(execution_arn)

    def redrive(self, execution_arn: str) -> None:
        """See `machines.redrive`."""
        machines.redrive(execution_arn)

    def evaluate_alarms(self, place: Place, at: datetime | None = None) -> None:
        """See `delivery.evaluate_alarms`."""
        delivery.evaluate_alarms(place, at or datetime.now(UTC))

    def forget_metrics(self, place: Place) -> None:
        """See `delivery.forget_metrics`."""
        delivery.forget_metrics(place)

    def fire_schedule(self, place: Place, name: str, at: datetime | None = None, group: str = "default") -> None:
        """See `delivery.fire_schedule`."""
        delivery.fire_schedule(place, name, at or datetime.now(UTC), group)

    def deliver_streams(self, place: Place) -> None:
        """See `streams.deliver`."""
        streams.deliver(place)

    def forget_streams(self, place: Place) -> None:
        """See `streams.forget`."""
        streams.forget(place)

    def client(self, service: str, place: Place, role: str) -> Any:
        """A client that may do what the deployed role may."""
        arn: str = iam_backends[place.account]["aws"].get_role(role).arn
        return self.guard.client(service, place, arn)

    def listen(self, topic_arn: str) -> Callable[[], list[str]]:
        """Subscribe a new queue to a topic; the answer gives the messages that came since it was last called."""
        place = Place.of_arn(topic_arn)
        sqs = place.client("sqs")
        name = f"listener-{len(sqs.list_queues().get('QueueUrls', []))}"
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = f"arn:aws:sqs:{place.region}:{place.account}:{name}"
        place.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)

        def messages() -> list[str]:
            found = []
            while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                for message in received:
                    found.append(json.loads(message["Body"])["Message"])
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return found

        return messages

    def _upload(self, assembly: Assembly, place: Place) -> None:
        s3 = place.client("s3")
        where = (
            {} if place.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
        )
        for asset in assembly.assets(place):
            if (asset.bucket, asset.key) in self._uploaded or asset.source.name.endswith(".template.json"):
                continue
            with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                s3.create_bucket(Bucket=asset.bucket, **where)
            s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=asset.content())
            self._uploaded.add((asset.bucket, asset.key))

    def _create(self, stack: Stack) -> None:
        template = self._without_left_out(stack)
        cloudformation = stack.place.client("cloudformation")
        with _moto_must_not_complain(stack.name):
            cloudformation.create_stack(
                StackName=stack.name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"]
            )
        described = cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]
        if described["StackStatus"] != "CREATE_COMPLETE":
            raise DeploymentFailed(f"{stack.name}: {described['StackStatus']} {described.get('StackStatusReason', '')}")
        self.outputs[stack.name] = {o["OutputKey"]: o["OutputValue"] for o in described.get("Outputs", ())}
        self.places[stack.name] = stack.place

    def _without_left_out(self, stack: Stack) -> dict[str, Any]:
        """The template without the listed types; whatever refers to one of them fails in moto as undefined."""
        resources: Mapping[str, Any] = stack.template["Resources"]
        unknown = sorted(
            {r["Type"] for r in resources.values() if not supported(r["Type"]) and r["Type"] not in LEFT_OUT}
        )
        if unknown:
            raise DeploymentFailed(
                f"{stack.name}: nothing makes {', '.join(unknown)}; give it a model in tests/cloud/harness/resources.py"
            )
        self.left_out |= {r["Type"] for r in resources.values() if r["Type"] in LEFT_OUT}
        return {**stack.template, "Resources": {k: r for k, r in resources.items() if r["Type"] not in LEFT_OUT}}


@contextlib.contextmanager
def _moto_must_not_complain(stack: str) -> Iterator[None]:
    """moto logs what it does not understand and leaves it out: here that fails."""
    complaints: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("moto")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if complaints:
        raise DeploymentFailed(f"{stack}: {complaints}")


@contextlib.contextmanager
def cloud() -> Iterator[Cloud]:
    """An empty cloud, in this process, until the block ends. One at a time."""
    with ExitStack() as stack:
        endpoints = {name: "" for name in os.environ if name.startswith("AWS_")}
        stack.enter_context(mock.patch.dict(os.environ))
        for name in endpoints:
            del os.environ[name]
        os.environ.pop("MOTO_ACCOUNT_ID", None)
        os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
        stack.enter_context(mock_aws(config=_MOTO_CONFIG))
        account_of = account_from_access_key(moto.iam.models.get_account_id_from)
        stack.enter_context(mock.patch.object(moto.iam.models, "get_account_id_from", account_of))
        made = Cloud()
        made.guard.patch(stack)
        # One reader of botocore's service models for all sessions: reading them anew takes most of a session's time.
        loader = botocore.loaders.create_loader()
        stack.enter_context(mock.patch.object(botocore.session, "create_loader", lambda *_: loader))
        made.functions.patch(stack)
        made.faults.patch(stack)
        machines.patch(stack, made.training, made.guard, lambda seconds: made.meanwhile(seconds), made.steering)
        delivery.patch(stack)
        streams.patch(stack)
        buckets.patch(stack)
        disks.patch(stack)
        made.endpoints.patch(stack)
        stack.enter_context(mock.patch.multiple(FUNCTION_CALLS, guard=made.guard, functions=made.functions))
        yield made
