"""Models on Fargate and on SageMaker in the local cloud: deployed, promoted, asked by SigV4, crashed, deployed anew."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from botocore.exceptions import ClientError

from labcycle.local import process
from labcycle.local.cloud import LocalCloud
from labcycle.local.report import DeployReport
from labcycle.local.settings import START_ID, Credentials
from tests.cloud.harness import Answer
from tests.cloud.serving.test_life_cycle import LARGE, SMALL
from tests.cloud.team import COLUMNS, Member
from tests.local.calling import call
from tests.local.conftest import free_port, until
from tests.one_team import synthesized

TEAM, REGION, ACCOUNT = "pulsar", "eu-west-1", "123456789012"
TASKS, INSTANCES, SERVERLESS = "tasks", "instances", "sparse"


def api(name: str, **how: Any) -> dict[str, Any]:
    return {"name": name, "business_owner": "head@example.com", "deliver": [{"form": "api", **how}]}


_TEAM = {
    "team": TEAM,
    "owner": "pulsar@example.com",
    "cost_centre": "cc-1",
    "target": "lab",
    "stage": "sandbox",
    "members": [
        {"name": "scientist-1", "principal": {"iam_user": "scientist-1"}, "roles": ["data_scientist"]},
        {"name": "reviewer-1", "principal": {"iam_user": "reviewer-1"}, "roles": ["lead", "reviewer"]},
    ],
    "models": [
        api(TASKS, runtime="fargate", cpu=512, memory_mb=1024, minimum_tasks=2, maximum_tasks=4),
        api(INSTANCES, runtime="sagemaker", mode="real_time", minimum_instances=1),
        api(SERVERLESS, runtime="sagemaker", mode="serverless", maximum_concurrency=1),
    ],
}
_TARGET = {
    "target": "lab",
    "account": ACCOUNT,
    "region": REGION,
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "lab", "cidr": "10.1.0.0/16", "egress": "nat"},
}


@dataclass(frozen=True)
class Pulsar:
    cloud: LocalCloud
    report: DeployReport

    def output(self, stack: str, key: str) -> str:
        return self.report.outputs[f"labcycle-{TEAM}-{stack}"][key]

    @cached_property
    def scientist(self) -> Person:
        return Person(self, "scientist-1")

    @cached_property
    def reviewer(self) -> Person:
        return Person(self, "reviewer-1")

    @cached_property
    def administrator(self) -> Any:
        return self.cloud.administrator

    def score(self, model: str, *amounts: float, caller: Credentials | None = None) -> Answer:
        body = {"dataframe_split": {"columns": COLUMNS, "data": [[amount, 12] for amount in amounts]}}
        return self.ask(model, "POST", "/invocations", json.dumps(body).encode(), caller)

    def ask(self, model: str, method: str, path: str, body: bytes = b"", caller: Credentials | None = None) -> Answer:
        url = self.output(f"model-{model}", "ModelUrl") + path
        headers = {"content-type": "application/json", "x-request-id": "mine"}
        given = call(caller or self.reviewer.credentials, REGION, url, method=method, body=body, headers=headers)
        return Answer(given.status, {name.lower(): value for name, value in given.headers}, given.body)

    def processes(self, model: str) -> list[int]:
        """Of the model's server, the oldest first."""
        found = []
        for pid in process.processes_of(self.cloud.settings.start_id):
            told = variables(pid)
            if told.get("MODEL") == model and told.get("LEDGER_TABLE") and "model_server.process" in command(pid):
                found.append(pid)
        return sorted(found)


class Person(Member):
    """A member who speaks to the local cloud."""

    def __init__(self, team: Pulsar, name: str) -> None:
        super().__init__(team, name)  # type: ignore[arg-type]
        credentials = team.cloud.assume(f"labcycle-{TEAM}-{name}", name)
        object.__setattr__(self, "credentials", credentials)
        object.__setattr__(self, "_pulsar", team)

    credentials: Credentials
    _pulsar: Pulsar

    @property
    def s3(self) -> Any:
        return self._pulsar.cloud.client("s3", self.credentials)

    def call(self, method: str, path: str, *, body: Any = None, query: Any = (), **how: Any) -> Answer:
        url = (
            self._pulsar.output("tracking", "TrackingUrl")
            + path
            + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        )
        sent = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        given = call(self.credentials, REGION, url, method=method, body=sent, headers=headers)
        return Answer(given.status, {name.lower(): value for name, value in given.headers}, given.body)

    def labcycle(self, *arguments: str) -> Any:
        """What `labcycle models ... --json` prints."""
        environment = {**os.environ, **self._pulsar.cloud.environment(self.credentials)}
        environment["MLFLOW_TRACKING_URI"] = self._pulsar.output("tracking", "TrackingUrl")
        line = [sys.executable, "-m", "labcycle.cli", "models", *arguments, "--json"]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)


def variables(pid: int) -> dict[str, str]:
    try:
        parts = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except OSError:
        return {}
    return dict(part.split("=", 1) for part in parts if "=" in part)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


@pytest.fixture(scope="module")
def pulsar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulsar]:
    assembly = synthesized(tmp_path_factory.mktemp("pulsar"), _TEAM, _TARGET)
    with LocalCloud.start(ACCOUNT, REGION, free_port(), folder=tmp_path_factory.mktemp("cloud")) as cloud:
        cloud.bootstrap()
        yield Pulsar(cloud, cloud.deploy(assembly.directory, ["*/*"]))


@pytest.fixture(scope="module")
def versions(pulsar: Pulsar) -> Callable[[str], tuple[int, int]]:
    """Two versions of a model, which say the opposite of each other; made once."""
    made: dict[str, tuple[int, int]] = {}

    def two(model: str) -> tuple[int, int]:
        if model not in made:
            scientist = pulsar.scientist
            made[model] = (scientist.log_model(model, LARGE), scientist.log_model(model, SMALL))
        return made[model]

    return two


def answered_by(pulsar: Pulsar, model: str, version: int) -> Answer:
    """The first answer of this version: servers look for what is live every few seconds."""

    def found() -> Answer | None:
        answer = pulsar.score(model, 2.0, -2.0)
        return answer if answer.headers.get("x-labcycle-model-version") == str(version) else None

    answer = until(found, seconds=30)
    assert answer, f"version {version} does not answer: {pulsar.score(model, 2.0)}"
    assert isinstance(answer, Answer)
    return answer


def test_the_report_says_what_stands_in_for_what(pulsar: Pulsar) -> None:
    lines = pulsar.report.lines()
    for name, said in (
        ("ECS::Service x1", "the same server runs as a process"),
        ("ElasticLoadBalancingV2::LoadBalancer x1", "the API asks the service's processes directly"),
        ("CodeBuild::Project x3", "nothing is built"),
        ("ECR::Repository x3", "there is no Docker"),
        ("SageMaker::Endpoint x2", "the same server runs as a process"),
        ("ApplicationAutoScaling::ScalingPolicy x3", "nothing scales"),
    ):
        [line] = [line for line in lines if name in line]
        assert said in line
    assert any("vendored wheels" in line for line in lines)


def at_once(act: Callable[[str], None], *models: str) -> None:
    """For each of the models, beside each other: most of it waits for servers to look at the record."""
    with ThreadPoolExecutor(len(models)) as pool:
        list(pool.map(act, models))


def test_promoted_scored_and_rolled_back(pulsar: Pulsar, versions: Callable[[str], tuple[int, int]]) -> None:
    at_once(lambda model: life_cycle(pulsar, model, versions(model)), TASKS, INSTANCES, SERVERLESS)


def life_cycle(pulsar: Pulsar, model: str, versions: tuple[int, int]) -> None:
    nothing = pulsar.score(model, 1.0)
    assert (nothing.status, nothing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    first, second = versions
    decide(pulsar, model, "promote", version=str(first))
    answer = answered_by(pulsar, model, first)
    assert (answer.status, answer.json(), answer.headers["x-labcycle-model"]) == (200, {"predictions": [1, 0]}, model)
    assert answer.headers["x-request-id"] not in ("", "mine")  # the API's own
    decide(pulsar, model, "promote", version=str(second))
    assert answered_by(pulsar, model, second).json() == {"predictions": [0, 1]}
    assert decide(pulsar, model, "rollback")["deployment"]["live"]["version"] == first
    assert answered_by(pulsar, model, first).json() == {"predictions": [1, 0]}
    assert pulsar.ask(model, "GET", "/ping").status == 200
    assert pulsar.ask(model, "GET", "/openapi.json").json()["openapi"].startswith("3.1")
    assert pulsar.ask(model, "GET", "/nowhere").status == 404
    wrong = pulsar.ask(model, "POST", "/invocations", b"{}")
    assert (wrong.status, wrong.json()["error_code"]) == (400, "BAD_REQUEST")
    unsigned = pulsar.score(model, 1.0, caller=Credentials("AKIANOBODY", "nothing"))
    assert unsigned.status == 403
    assert until(lambda: rows(pulsar, model, first), seconds=30)


def rows(pulsar: Pulsar, model: str, version: int) -> list[Any]:
    """The profiles that servers wrote of this version."""
    table = pulsar.cloud.client("dynamodb")
    found = table.scan(TableName=f"labcycle-{TEAM}-ledger")["Items"]
    return [one for one in found if one["pk"]["S"].startswith(f"PROFILE#{model}") and str(version) in one["pk"]["S"]]


def test_a_version_is_tried_then_shadows_then_all_is_paused(
    pulsar: Pulsar, versions: Callable[[str], tuple[int, int]]
) -> None:
    at_once(lambda model: decisions(pulsar, model, versions(model)), TASKS, INSTANCES)


def decisions(pulsar: Pulsar, model: str, versions: tuple[int, int]) -> None:
    first, second = versions
    decide(pulsar, model, "promote", version=str(first), now=True)
    decide(pulsar, model, "promote", version=str(second), percent=50)
    answered_by(pulsar, model, first)
    answered_by(pulsar, model, second)

    def counted() -> bool:  # a server that has not seen the trial yet counts nothing for it
        pulsar.score(model, 2.0)
        sides = pulsar.reviewer.call("GET", f"/labcycle/1.0/models/{model}/trial").json()["sides"]
        return all(side["requests"] for side in sides)

    assert until(counted, seconds=30)
    decide(pulsar, model, "rollback")
    decide(pulsar, model, "shadow", version=str(second))

    def seen() -> bool:
        pulsar.score(model, 2.0)
        said = pulsar.reviewer.call("GET", f"/labcycle/1.0/models/{model}/shadow").json()
        return bool(said["requests"]["seen"]) and said["agreement"]["same"] == 0

    assert until(seen, seconds=30)
    decide(pulsar, model, "shadow/end")
    decide(pulsar, model, "pause", answer=-1, reason="a test")
    assert until(lambda: "x-labcycle-paused" in pulsar.score(model, 1.0).headers, seconds=30)
    decide(pulsar, model, "resume")
    answered_by(pulsar, model, first)


def decide(pulsar: Pulsar, model: str, step: str, **body: Any) -> Any:
    answer = pulsar.reviewer.call("POST", f"/labcycle/1.0/models/{model}/{step}", body=body)
    assert answer.status == 200, str(answer)
    return answer.json()


def test_the_commands_show_and_promote(pulsar: Pulsar, versions: Callable[[str], tuple[int, int]]) -> None:
    first, second = versions(TASKS)
    decide(pulsar, TASKS, "promote", version=str(first), now=True)
    pulsar.reviewer.labcycle("promote", TASKS, str(second))
    shown = pulsar.reviewer.labcycle("show", TASKS)
    assert f'"version": {second}' in json.dumps(shown["live"])
    answered_by(pulsar, TASKS, second)


@pytest.mark.parametrize("model", [TASKS, INSTANCES])
def test_a_process_that_ends_is_begun_again(
    pulsar: Pulsar, versions: Callable[[str], tuple[int, int]], model: str
) -> None:
    first, _ = versions(model)
    decide(pulsar, model, "promote", version=str(first), now=True)
    os.kill(pulsar.processes(model)[-1], signal.SIGKILL)  # a worker, whose parent begins another
    assert answered_by(pulsar, model, first).status == 200
    before = pulsar.processes(model)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(command(pid) for pid in before))
    down = pulsar.score(model, 1.0)
    assert down.status == 503, str(down)
    answered_by(pulsar, model, first)
    assert not set(before) & set(pulsar.processes(model))


@pytest.mark.parametrize(("model", "role"), [(TASKS, "TaskRole"), (INSTANCES, "ExecutionRol")])
def test_a_process_has_its_role_and_nothing_of_the_server(pulsar: Pulsar, model: str, role: str) -> None:
    told = variables(pulsar.processes(model)[0])
    own = Credentials(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"], told["AWS_SESSION_TOKEN"])
    assert role in pulsar.cloud.client("sts", own).get_caller_identity()["Arn"]
    assert not any(name.startswith("LABCYCLE_LOCAL_S") for name in told if name != START_ID)
    with pytest.raises(ClientError, match="not authorized"):
        pulsar.cloud.client("dynamodb", own).scan(TableName=f"labcycle-{TEAM}-ledger")


def invoke(pulsar: Pulsar, endpoint: str, body: bytes, caller: Credentials | None = None) -> Any:
    runtime = pulsar.cloud.client("sagemaker-runtime", caller)
    return runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=body)


def refusal(asked: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as found:
        asked()
    return dict(found.value.response)


def test_the_endpoint_answers_as_sagemaker_does(pulsar: Pulsar) -> None:
    endpoint = pulsar.output(f"model-{INSTANCES}", "ServerEndpoint")
    assert pulsar.cloud.client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"
    failed = refusal(lambda: invoke(pulsar, endpoint, b"no json"))
    assert (failed["Error"]["Code"], failed["OriginalStatusCode"]) == ("ModelError", 400)
    assert failed["ResponseMetadata"]["HTTPStatusCode"] == 424
    missing = refusal(lambda: invoke(pulsar, "nobody", b"{}"))
    assert missing["Error"]["Code"] == "ValidationError" and "nobody" in missing["Error"]["Message"]
    large = refusal(lambda: invoke(pulsar, endpoint, b" " * (6 * 1024**2 + 1)))
    assert large["ResponseMetadata"]["HTTPStatusCode"] == 413
    other = refusal(lambda: invoke(pulsar, endpoint, b"{}", pulsar.scientist.credentials))
    assert "AccessDenied" in other["Error"]["Code"] and "sagemaker:InvokeEndpoint" in other["Error"]["Message"]


def test_a_serverless_endpoint_takes_no_more_at_once_than_it_may(pulsar: Pulsar) -> None:
    endpoint = pulsar.output(f"model-{SERVERLESS}", "ServerEndpoint")
    stopped = pulsar.processes(SERVERLESS)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    codes: list[str] = []

    def ask() -> None:
        try:
            invoke(pulsar, endpoint, b"no json")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    with ThreadPoolExecutor(2) as pool:
        try:
            for _ in range(2):
                pool.submit(ask)
            refused = until(lambda: list(codes), seconds=8)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    assert (refused, codes) == (["ThrottlingException"], ["ThrottlingException", "ModelError"])


def updated(pulsar: Pulsar, model: str, change: Callable[[dict[str, Any]], None]) -> str:
    """Status of the model's stack after an update of its template."""
    cloudformation, stack = pulsar.cloud.client("cloudformation"), f"labcycle-{TEAM}-model-{model}"
    body = cloudformation.get_template(StackName=stack)["TemplateBody"]
    template = json.loads(body) if isinstance(body, str) else body
    change(template["Resources"])
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    parameters = [
        {"ParameterKey": p["ParameterKey"], "UsePreviousValue": True} for p in described.get("Parameters", [])
    ]
    cloudformation.update_stack(
        StackName=stack,
        TemplateBody=json.dumps(template, separators=(",", ":")),
        Parameters=parameters,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )

    def ended() -> str | None:
        status = str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
        return None if status.endswith("_IN_PROGRESS") else status

    return str(until(ended, seconds=60))


def variable(resources: dict[str, Any], name: str, value: str) -> None:
    for resource in resources.values():
        if resource["Type"] == "AWS::ECS::TaskDefinition":
            container = resource["Properties"]["ContainerDefinitions"][0]
            kept = [one for one in container["Environment"] if one["Name"] != name]
            container["Environment"] = [*kept, {"Name": name, "Value": value}]
        if resource["Type"] == "AWS::SageMaker::Model":
            resource["Properties"]["PrimaryContainer"]["Environment"][name] = value


@pytest.mark.parametrize("model", [TASKS, INSTANCES])
def test_a_deployment_replaces_the_process(
    pulsar: Pulsar, versions: Callable[[str], tuple[int, int]], model: str
) -> None:
    first, _ = versions(model)
    decide(pulsar, model, "promote", version=str(first), now=True)
    before = pulsar.processes(model)
    assert updated(pulsar, model, lambda found: variable(found, "OMP_NUM_THREADS", "1")) == "UPDATE_COMPLETE"
    assert answered_by(pulsar, model, first).status == 200
    after = pulsar.processes(model)
    assert after and not set(before) & set(after)
    assert variables(after[0])["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("model", [TASKS, INSTANCES])
def test_a_deployment_that_does_not_become_healthy_is_taken_back(
    pulsar: Pulsar, versions: Callable[[str], tuple[int, int]], model: str
) -> None:
    first, _ = versions(model)
    decide(pulsar, model, "promote", version=str(first), now=True)
    status = updated(pulsar, model, lambda found: variable(found, "LEDGER_TABLE", ""))
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    stack = f"labcycle-{TEAM}-model-{model}"
    events = pulsar.cloud.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    reasons = [str(event.get("ResourceStatusReason")) for event in events if event["ResourceStatus"] == "UPDATE_FAILED"]
    said = {TASKS: "Circuit Breaker was triggered", INSTANCES: "did not pass the ping health check"}
    assert any(said[model] in reason and "LEDGER_TABLE" in reason for reason in reasons), reasons
    assert answered_by(pulsar, model, first).status == 200


def test_a_build_whose_lock_the_host_cannot_follow_fails(pulsar: Pulsar) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("requirements.txt", "nothing-is-called-so==1.0\n")
    bucket = pulsar.output("tracking", "ArtifactBucket")
    pulsar.cloud.client("s3").put_object(Bucket=bucket, Key="context.zip", Body=content.getvalue())
    codebuild, iam = pulsar.cloud.client("codebuild"), pulsar.cloud.client("iam")
    role = iam.create_role(RoleName="builder", AssumeRolePolicyDocument='{"Statement": []}')["Role"]["Arn"]
    codebuild.create_project(
        name="own",
        source={"type": "NO_SOURCE", "buildspec": f"aws s3 cp s3://{bucket}/context.zip context.zip"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=role,
    )

    def reason() -> str:
        told = {"REPOSITORY": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/own", "TAG": "1"}
        overrides = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in told.items()]
        started = codebuild.start_build(projectName="own", environmentVariablesOverride=overrides)["build"]["id"]

        def ended() -> Any:
            [build] = codebuild.batch_get_builds(ids=[started])["builds"]
            return None if build["buildStatus"] == "IN_PROGRESS" else build

        build = until(ended)
        assert build["buildStatus"] == "FAILED"
        return str(build["phases"][0]["contexts"][0]["message"])

    assert "is not authorized to perform: ecr:GetAuthorizationToken" in reason()
    allowed = {"Statement": {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}}
    iam.put_role_policy(RoleName="builder", PolicyName="push", PolicyDocument=json.dumps(allowed))
    assert "cannot be fetched" in reason()
    allowed["Statement"]["Action"] = "*"
    iam.put_role_policy(RoleName="builder", PolicyName="push", PolicyDocument=json.dumps(allowed))
    assert "pins nothing-is-called-so==1.0, which the Python of the local cloud does not have" in reason()
