"""The harness itself, on a small stack: a green test on it must mean that the thing really ran."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns

from tests.cloud.harness import Caller, Cloud, cloud
from tests.cloud.harness.cloud import DeploymentFailed
from tests.cloud.harness.machines import executions, history
from tests.cloud.harness.place import Place
from tests.cloud.harness.policies import NotPermitted
from tests.cloud.recipe import train
from tests.cloud.small_stack import SmallStack, TrainingStack

PLACE = Place("210987654321", "eu-central-1")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    app = cdk.App(outdir=str(tmp_path_factory.mktemp("small")))
    SmallStack(app, tmp_path_factory.mktemp("code"))
    TrainingStack(app)
    directory = app.synth().directory
    with cloud() as made:
        made.deploy(directory, PLACE)
        yield made


@pytest.fixture
def outputs(small: Cloud) -> Iterator[dict[str, str]]:
    small.functions.restart()
    yield small.outputs["small"]
    assert small.guard.refused == []
    small.faults.clear()
    small.functions.failures.clear()


def invoke(outputs: dict[str, str], **event: Any) -> Any:
    answer = PLACE.client("lambda").invoke(FunctionName=outputs["FunctionName"], Payload=json.dumps(event).encode())
    return json.loads(answer["Payload"].read())


def count(outputs: dict[str, str], name: str) -> int:
    key = {"pk": {"S": f"count-{name}"}}
    item = PLACE.client("dynamodb").get_item(TableName=outputs["TableName"], Key=key, ConsistentRead=True).get("Item")
    return int(item["n"]["N"]) if item else 0


def test_a_function_keeps_its_state_between_calls_and_its_modules_to_itself(outputs: dict[str, str]) -> None:
    assert invoke(outputs, name="state")["calls"] == 1
    assert invoke(outputs, name="state") == {"n": 2, "calls": 2, "said": 'quote " and\nline'}
    with pytest.raises(ModuleNotFoundError):
        __import__("counter")


def test_a_function_finds_only_what_lambda_has(small: Cloud, outputs: dict[str, str]) -> None:
    assert invoke(outputs, **{"import": "pydantic"})["errorType"] == "ModuleNotFoundError"
    assert invoke(outputs, **{"import": "urllib3"})["calls"] == 2
    assert [f.event for f in small.functions.failures] == [{"import": "pydantic"}]


def test_the_api_routes_authorises_and_tells_who_called(outputs: dict[str, str], small: Cloud) -> None:
    api = small.api(outputs["Url"], PLACE.account)
    everyone, things = Caller(PLACE.account, "small-all", "ann"), Caller(PLACE.account, "small-things", "ben")
    answer = api.call("GET", "/a b/c", everyone, query=[("q", "x y"), ("q", "ü")])
    assert (answer.status, answer.json()["routeKey"]) == (201, "ANY /{proxy+}")
    assert answer.json()["rawQueryString"] == "q=x%20y&q=%C3%BC"
    assert answer.json()["rawPath"] == "/a b/c"
    assert answer.json()["arn"] == f"arn:aws:sts::{PLACE.account}:assumed-role/small-all/ann"
    answer = api.call("POST", "/things/7", things, body={"a": 1})
    assert (answer.status, answer.json()["routeKey"], answer.json()["body"]) == (201, "POST /things/{id}", '{"a": 1}')
    assert api.call("POST", "/things/7", things, body=b"\xff", headers={"content-type": "image/png"}).json()[
        "isBase64Encoded"
    ]
    assert api.call("GET", "/a", things).status == 403
    assert api.call("GET", "/a").status == 403
    assert api.call("GET", "/").status == 404


def test_an_alarm_looks_at_its_own_metric_and_tells_topic_and_rule(outputs: dict[str, str], small: Cloud) -> None:
    hear = small.listen(outputs["TopicArn"])
    now = datetime(2026, 3, 1, 12, 4, tzinfo=UTC)
    cloudwatch = PLACE.client("cloudwatch")

    def put(value: float, minutes_ago: int, model: str = "a") -> None:
        data = {"MetricName": "shift", "Value": value, "Timestamp": now - timedelta(minutes=minutes_ago)}
        cloudwatch.put_metric_data(
            Namespace="small", MetricData=[{**data, "Dimensions": [{"Name": "model", "Value": model}]}]
        )

    put(0.9, 0)
    put(0.9, 5, model="b")
    small.evaluate_alarms(PLACE, now)
    assert hear() == []
    put(0.9, 10)
    small.evaluate_alarms(PLACE, now)
    small.evaluate_alarms(PLACE, now)
    assert [json.loads(m)["NewStateValue"] for m in hear()] == ["ALARM"]
    (execution,) = executions(outputs["MachineArn"])
    ended = small.finish(execution)
    assert ended["status"] == "SUCCEEDED", history(execution)
    assert json.loads(ended["output"]) == {"counted": 1, "said": 'quote " and\nline'}
    assert count(outputs, outputs["AlarmName"]) == 1


def test_a_throttled_call_is_repeated_by_sdk_and_state_machine(outputs: dict[str, str], small: Cloud) -> None:
    fault = small.faults.throttle("dynamodb.UpdateItem", times=11)  # one more than a call with all its repeats
    states = PLACE.client("stepfunctions")
    event = json.dumps({"detail": {"alarmName": "throttled"}})
    execution = states.start_execution(stateMachineArn=outputs["MachineArn"], name="throttled", input=event)[
        "executionArn"
    ]
    assert small.finish(execution)["status"] == "SUCCEEDED", history(execution)
    assert (fault.struck, count(outputs, "throttled")) == (11, 1)


def test_a_lost_answer_is_a_call_that_was_carried_out(outputs: dict[str, str], small: Cloud) -> None:
    fault = small.faults.lose_answer("dynamodb.UpdateItem")
    assert invoke(outputs, name="lost")["n"] == 2
    assert fault.struck == 1


def test_a_call_that_the_role_may_not_make_is_refused(outputs: dict[str, str], small: Cloud) -> None:
    iam = PLACE.client("iam")
    function = PLACE.client("lambda").get_function_configuration(FunctionName=outputs["FunctionName"])
    role = function["Role"].rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName=policy)
    try:
        assert invoke(outputs, name="refused")["errorType"] == "ClientError"
        assert [refusal.split(" do not allow ")[1].split(" on ")[0] for refusal in small.guard.refused] == [
            "dynamodb:UpdateItem"
        ]
        assert count(outputs, "refused") == 0
    finally:
        small.guard.refused.clear()
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))


def test_a_schedule_starts_its_function(outputs: dict[str, str], small: Cloud) -> None:
    small.fire_schedule(PLACE, "small-hourly")
    assert count(outputs, "scheduled") == 1


def test_a_delivery_that_is_not_permitted_fails(outputs: dict[str, str], small: Cloud) -> None:
    topic = sns_topic_policy(outputs["TopicArn"])
    PLACE.client("sns").set_topic_attributes(
        TopicArn=outputs["TopicArn"],
        AttributeName="Policy",
        AttributeValue='{"Version": "2012-10-17", "Statement": []}',
    )
    try:
        PLACE.client("cloudwatch").set_alarm_state(AlarmName=outputs["AlarmName"], StateValue="OK", StateReason="test")
        with pytest.raises(NotPermitted, match="sns:Publish to cloudwatch"):
            PLACE.client("cloudwatch").set_alarm_state(
                AlarmName=outputs["AlarmName"], StateValue="ALARM", StateReason="test"
            )
    finally:
        PLACE.client("sns").set_topic_attributes(
            TopicArn=outputs["TopicArn"], AttributeName="Policy", AttributeValue=topic
        )


def sns_topic_policy(arn: str) -> str:
    policy: str = PLACE.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    return policy


def test_a_training_job_runs_the_recipe_and_the_state_machine_waits(outputs: dict[str, str], small: Cloud) -> None:
    names = small.outputs["training"]
    s3, states = PLACE.client("s3"), PLACE.client("stepfunctions")
    s3.put_object(Bucket=names["BucketName"], Key="recipe/train.py", Body=Path(train.__file__).read_bytes())
    s3.put_object(
        Bucket=names["BucketName"], Key="training/a.csv", Body=b"x,y,target\n1,1,1\n-1,-1,0\n2,1,1\n-2,-1,0\n"
    )

    def run(name: str, outcome: str) -> Any:
        given = json.dumps({"name": name, "parameters": {"outcome": outcome}})
        execution = states.start_execution(stateMachineArn=names["MachineArn"], name=name, input=given)["executionArn"]
        ended = small.finish(execution)
        assert ended["status"] == "SUCCEEDED", history(execution)
        return json.loads(ended["output"])["told"]

    assert run("job-1", "good") == "Completed"
    with tarfile.open(
        fileobj=s3.get_object(Bucket=names["BucketName"], Key="jobs/job-1/output/output.tar.gz")["Body"], mode="r|gz"
    ) as tar:
        assert {m.name: json.load(tar.extractfile(m) or io.BytesIO()) for m in tar}["metrics.json"] == {"accuracy": 1.0}
    assert run("job-2", "broken") == "AlgorithmError: the recipe was told to fail, exit code: 1"


def test_a_resource_type_that_nothing_makes_fails_the_deployment(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    stack = cdk.Stack(app, "unknown")
    sns.Topic(stack, "Topic")
    cdk.CfnResource(stack, "Thing", type="AWS::QLDB::Ledger", properties={})
    directory = app.synth().directory
    with cloud() as made, pytest.raises(DeploymentFailed, match="nothing makes AWS::QLDB::Ledger"):
        made.deploy(directory, PLACE)
