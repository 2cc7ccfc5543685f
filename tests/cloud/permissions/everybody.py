"""A team with everybody and everything, deployed alone, and all that its roles do in a life."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from labcycle.config import names
from tests.cloud.alone import deployed
from tests.cloud.harness import Caller
from tests.cloud.harness.machines import executions, finish
from tests.cloud.harness.place import Place
from tests.cloud.monitoring.test_reaction import AFTER, BEFORE, MODEL, STACK, Story
from tests.cloud.permissions.rights import Role
from tests.cloud.team import COLUMNS, Member, Team, csv
from tests.one_team import synthesized

PLACE = Place("123456789012", "eu-west-1")
TEAM, TIER = "atlas", "cpu-small"
MEMBERS = {
    "scientist-1": ["data_scientist"],
    "lead-1": ["lead"],
    "reviewer-1": ["reviewer"],
    "operator-1": ["operator"],
    "stakeholder-1": ["stakeholder"],
    "engineer-1": ["platform_engineer"],
}
_TARGET: dict[str, Any] = {
    "target": "everywhere",
    "account": PLACE.account,
    "region": PLACE.region,
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "everywhere", "cidr": "10.8.0.0/16", "egress": "nat"},
}
_TEAM: dict[str, Any] = {
    "team": TEAM,
    "owner": "atlas@example.com",
    "cost_centre": "cc-1",
    "target": "everywhere",
    "stage": "production",
    "members": [{"name": n, "principal": {"iam_user": n}, "roles": roles} for n, roles in MEMBERS.items()],
    "workspaces": {"tiers": [TIER]},
    "tracking": {"retention": [{"status": "deleted", "days": 1}]},
    "models": [
        {
            "name": MODEL,
            "business_owner": "head@example.com",
            "deliver": [{"form": "api", "runtime": "lambda"}],
            "monitor": {"drift": {"method": "psi", "threshold": 0.2, "minimum_rows": 500, "persistence": 1}},
            "retrain": {
                "image": f"{PLACE.account}.dkr.ecr.{PLACE.region}.amazonaws.com/training:1",
                "metric": "accuracy",
            },
            "react": [{"on": ["drift"], "do": "retrain", "promote": "automatic", "cool_down_hours": 24}],
            "promotion": {"canary_percents": [50], "step_minutes": 1, "minimum_requests": 1, "complete_runs": False},
        }
    ],
}


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[Team]:
    """The team, deployed from templates that are synthesized to `folder`."""
    with deployed(synthesized(folder, _TEAM, _TARGET), PLACE, TEAM) as team:
        yield team


def roles(team: Team) -> list[Role]:
    """The roles of the team, by what they are."""
    iam = team.place.client("iam")
    found = [role for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]
    return sorted(
        (
            Role(_called(team, role), role["RoleName"], tuple(_policies(iam, role["RoleName"])))
            for role in found
            if role["RoleName"].startswith(f"labcycle-{team.name}-")
        ),
        key=lambda role: role.name,
    )


def _policies(iam: Any, role: str) -> Iterator[Any]:
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        yield iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        yield iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]


_SERVICE_ROLES = {
    "ec2.amazonaws.com": "workspace",
    "events.amazonaws.com": "start of the reaction",
    "sagemaker.amazonaws.com": "training job",
}


def _called(team: Team, role: Any) -> str:
    """A function's folder, a member's persona, or who may take the role."""
    for member, personas in MEMBERS.items():
        if role["RoleName"] == names.member_role(team.name, member):
            return f"member: {' '.join(personas)}"
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    service = statement["Principal"]["Service"]
    if service == "scheduler.amazonaws.com":
        policies = json.dumps(list(_policies(team.place.client("iam"), role["RoleName"])))
        (folder,) = [function.folder for function in functions(team) if f":function:{function.name}" in policies]
        return f"schedule of {folder}"
    if service == "states.amazonaws.com":
        return "state machine of promotions" if "Promotion" in role["RoleName"] else "state machine of reactions"
    if service in _SERVICE_ROLES:
        return _SERVICE_ROLES[service]
    (folder,) = [function.folder for function in functions(team) if function.role == role["RoleName"]]
    return f"function: {folder}"


@dataclass(frozen=True)
class Function:
    folder: str
    name: str
    role: str


def functions(team: Team) -> list[Function]:
    """The deployed functions of the team."""
    return [
        Function(
            found["Handler"].split(".")[1],
            found["FunctionName"],
            found["Role"].rpartition("/")[2],
        )
        for found in team.place.client("lambda").list_functions()["Functions"]
    ]


def live(team: Team) -> None:
    """Everything that the roles of the team do; each scenario begins with an empty ledger."""
    for scenario in (
        track,
        read,
        promote,
        promote_in_steps_in_vain,
        react,
        react_and_roll_back,
        fail_to_retrain,
        fail_to_evaluate,
        operate,
        let_go,
        keep_custody,
        look_back,
        put_wheel,
        work_in_workspace,
    ):
        team.wipe()
        team.cloud.training.reset()
        scenario(team)
        team.cloud.functions.failures.clear()


def track(team: Team) -> None:
    """A data scientist's own day: every endpoint family of MLflow's protocol, and artifacts straight to S3."""
    scientist = team.member("scientist-1")
    _find_address(scientist)
    experiment = scientist.post("experiments/create", name="all")["experiment_id"]
    scientist.post("experiments/update", experiment_id=experiment, new_name="everything")
    scientist.post("experiments/set-experiment-tag", experiment_id=experiment, key="k", value="v")
    scientist.post("experiments/delete-experiment-tag", experiment_id=experiment, key="k")
    scientist.get("experiments/get", ("experiment_id", experiment))
    scientist.post("experiments/search", max_results=10)
    run = scientist.post("runs/create", experiment_id=experiment, start_time=1)["run"]["info"]
    run_id, root = run["run_id"], run["artifact_uri"]
    scientist.post("runs/log-metric", run_id=run_id, key="auc", value=0.5, timestamp=1)
    scientist.post("runs/log-parameter", run_id=run_id, key="depth", value="3")
    scientist.post("runs/set-tag", run_id=run_id, key="k", value="v")
    scientist.post("runs/delete-tag", run_id=run_id, key="k")
    dataset = {"name": "d", "digest": "1", "source_type": "s3", "source": "s3://d"}
    scientist.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset}])
    scientist.get("metrics/get-history", ("run_id", run_id), ("metric_key", "auc"))
    scientist.post("runs/search", experiment_ids=[experiment])
    scientist.put(root, "model/MLmodel", b"flavors: {}\n")
    scientist.get("artifacts/list", ("run_id", run_id), ("path", "model"))
    _use_artifacts_behind_the_api(scientist, f"{experiment}/{run_id}/artifacts/notes")
    _log_model(scientist, experiment, run_id)
    _register(scientist, run_id, f"{root}/model")
    scientist.post("runs/delete", run_id=run_id)
    scientist.post("runs/restore", run_id=run_id)
    scientist.post("experiments/delete", experiment_id=experiment)
    scientist.post("experiments/restore", experiment_id=experiment)
    _use_both_bases(scientist)
    for prefix in (root, f"s3://{team.bucket}/data/{MODEL}"):
        _store_objects(scientist, prefix)
    _send_outcomes(scientist)
    _send_records(scientist)


def _use_artifacts_behind_the_api(member: Member, folder: str) -> None:
    """An upload that is given up, and a file that is hidden."""
    base = "/api/2.0/mlflow-artifacts"
    started = member.call("POST", f"{base}/mpu/create/{folder}", body={"path": "big.bin", "num_parts": 1})
    body = {"path": "big.bin", "upload_id": started.json()["upload_id"]}
    assert member.call("POST", f"{base}/mpu/abort/{folder}", body=body).status == 200
    member.put(f"s3://{member.team.bucket}/experiments/{folder}", "note.txt", b"note")
    assert member.call("DELETE", f"{base}/artifacts/{folder}/note.txt").status == 200


def read(team: Team) -> None:
    """Those who change nothing: runs, models, histories and files."""
    scientist = team.member("scientist-1")
    version = scientist.log_model(MODEL, BEFORE)
    scientist.put(f"s3://{team.bucket}/data/{MODEL}", "rows.csv", b"amount\n")
    _send_outcomes(scientist)
    experiment = scientist.experiment(f"{MODEL} training")
    found = scientist.get("model-versions/get", ("name", MODEL), ("version", str(version)))["model_version"]
    for name in MEMBERS:
        if name == "scientist-1":
            continue
        member = team.member(name)
        _find_address(member)
        for base in ("api", "ajax-api"):
            for what, body in (
                ("artifacts/presigned-download-url", {"run_id": found["run_id"], "path": "model/MLmodel"}),
                ("runs/search", {"experiment_ids": [experiment]}),
                ("logged-models/search", {"experiment_ids": [experiment]}),
                ("experiments/search", {"max_results": 10}),
                ("experiments/search-datasets", {"experiment_ids": [experiment]}),
                ("registered-models/get-latest-versions", {"name": MODEL}),
            ):
                answer = member.call("POST", f"/{base}/2.0/mlflow/{what}", body=body)
                assert answer.status == 200, str(answer)
        source = member.get("model-versions/get", ("name", MODEL), ("version", str(version)))["model_version"]["source"]
        for root in (source, f"s3://{team.bucket}/data/{MODEL}"):
            _load_objects(member, root)
        _load_objects(member, f"s3://{team.bucket}/outcomes/told")
        member.history(MODEL)


def promote(team: Team) -> None:
    """Leads and reviewers decide, the model server follows and reports what it saw, everybody scores."""
    scientist, lead, reviewer = (team.member(name) for name in ("scientist-1", "lead-1", "reviewer-1"))
    first, second = scientist.log_model(MODEL, BEFORE), scientist.log_model(MODEL, AFTER)
    assert lead.call("POST", f"/labcycle/1.0/models/{MODEL}/promote", body={"version": "7"}).status == 404
    lead.promote(MODEL, first)
    refused = lead.call("POST", f"/labcycle/1.0/models/{MODEL}/shadow", body={"version": str(second)})
    assert b"has no place for a shadow" in refused.body
    reviewer.promote(MODEL, second)
    reviewer.roll_back(MODEL)
    lead.promote(MODEL, second)
    lead.roll_back(MODEL)
    body = {"version": str(second), "percent": 50}
    assert lead.call("POST", f"/labcycle/1.0/models/{MODEL}/promote", body=body).status == 200
    for member in (lead, reviewer, scientist, team.member("operator-1")):
        member.history(MODEL)
        ssm = team.cloud.client("ssm", team.place, member.caller.role)
        found = ssm.get_parameter(Name=names.model_url_parameter(team.name, MODEL))["Parameter"]["Value"]
        assert found == team.model(MODEL).address
        team.restart_servers()
        body = {"dataframe_split": {"columns": COLUMNS, "data": [[1.0, 12]]}}
        answer = team.model(MODEL).call("POST", "/invocations", member.caller, body=body)
        assert answer.status == 200, str(answer)
        used = member.call("GET", f"/labcycle/1.0/models/{MODEL}/usage").json()
        assert member.call("GET", f"/labcycle/1.0/models/{MODEL}/monitoring").json()["business_owner"]
        assert used["requests"] > 0 and used["runs_on"]["runtime"] == "lambda"


def promote_in_steps_in_vain(team: Team) -> None:
    """A promotion is stopped, and the ledger too busy to tidy up after it: that call ends among the dead letters."""
    scientist, lead = team.member("scientist-1"), team.member("lead-1")
    lead.promote(MODEL, scientist.log_model(MODEL, BEFORE))
    machine = team.output(STACK, "PromotionStateMachine")
    known = set(executions(machine))
    body = {"version": str(scientist.log_model(MODEL, BEFORE))}
    assert lead.call("POST", f"/labcycle/1.0/models/{MODEL}/promote", body=body).status == 200
    (arn,) = set(executions(machine)) - known
    team.cloud.faults.throttle("dynamodb.GetItem", times=999, function="Promotion")
    detail = json.dumps({"name": arn.rpartition(":")[2], "stateMachineArn": machine, "status": "ABORTED"})
    event = {"Source": "aws.states", "DetailType": "Step Functions Execution Status Change", "Detail": detail}
    team.place.client("events").put_events(Entries=[event])
    finish(arn)
    team.cloud.faults.clear()


def react(team: Team) -> None:
    """Drift starts the reaction, the new version is better, and is promoted in steps."""
    story = Story(team)
    promotions = team.output(STACK, "PromotionStateMachine")
    known = set(executions(promotions))
    story.go_live(BEFORE)
    story.new_data(AFTER)
    story.scientist.put(f"s3://{team.bucket}/data/_holdout/{MODEL}", "checked.csv", csv(AFTER).encode())
    story.send([*AFTER, *AFTER, *AFTER])
    story.evaluate()
    (execution,) = story.started()
    assert story.finish(execution) == {"outcome": "promoted"}
    (promotion,) = set(executions(promotions)) - known

    def meanwhile(seconds: float) -> None:
        team.restart_servers()
        for row in AFTER[:50]:  # each is another request, which half of the time is the new version's
            story.send([row])
        team.an_hour_of_promotion(MODEL)

    team.cloud.meanwhile = meanwhile
    finish(promotion)
    team.cloud.meanwhile = lambda seconds: None
    assert story.live() == 2
    story.evaluate()


def react_and_roll_back(team: Team) -> None:
    """The version before is the best; the time after, none is better."""
    story = Story(team)
    story.go_live(BEFORE)
    story.go_live(AFTER, outcome="bad")
    story.new_data(BEFORE)
    assert story.finish(story.start("permissions-worse")) == {"outcome": "rolled_back"}
    assert story.finish(story.start("permissions-again"))["outcome"] in {"kept", "promoted"}


def fail_to_retrain(team: Team) -> None:
    """Nothing to train on, and a recipe that fails."""
    story = Story(team)
    story.go_live(BEFORE, outcome="broken")
    story.finish(story.start("permissions-no-data"), "FAILED")
    story.new_data(AFTER)
    story.finish(story.start("permissions-broken"), "FAILED")


def fail_to_evaluate(team: Team) -> None:
    """A ledger that stays busy: the schedule's call ends among the dead letters. Later, what the API counted is asked for."""
    story = Story(team)
    story.go_live(BEFORE)
    team.cloud.faults.throttle("dynamodb.GetItem", times=99, function=team.output(STACK, "EvaluatorFunction"))
    story.evaluate()
    team.cloud.faults.clear()
    story.due += timedelta(minutes=30)
    story.evaluate()


def operate(team: Team) -> None:
    """An operator looks, runs the check, and starts and stops the reaction."""
    story = Story(team)
    story.go_live(BEFORE)
    story.operator.call("GET", f"/labcycle/1.0/models/{MODEL}/reactions/plan")

    def client(service: str) -> Any:
        return team.cloud.client(service, team.place, story.operator.caller.role)

    client("lambda").invoke(FunctionName=team.output(STACK, "EvaluatorFunction"), Payload=b"{}")
    client("cloudwatch").describe_alarms(AlarmNames=[team.output(STACK, "DriftAlarm")])
    metric = {"Namespace": "labcycle/fraud", "MetricName": "DriftDetected"}
    query = {"Id": "drift", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}
    client("cloudwatch").get_metric_data(MetricDataQueries=[query], StartTime=0, EndTime=60)
    execution = story.start("permissions-stopped")
    states = client("stepfunctions")
    states.list_executions(stateMachineArn=story.machine)
    states.describe_execution(executionArn=execution)
    states.get_execution_history(executionArn=execution)
    story.finish(execution, "FAILED")
    states.stop_execution(executionArn=execution)


def let_go(team: Team) -> None:
    """A lead lets a run go that was deleted long ago: its artifacts, and more points than its header holds."""
    scientist, lead = team.member("scientist-1"), team.member("lead-1")
    experiment = scientist.post("experiments/create", name="old")["experiment_id"]
    run = scientist.post("runs/create", experiment_id=experiment, start_time=1)["run"]["info"]
    metrics = [{"key": "loss", "value": float(n), "timestamp": n, "step": n} for n in range(50)]
    scientist.post("runs/log-batch", run_id=run["run_id"], metrics=metrics)
    scientist.put(run["artifact_uri"], "model/MLmodel", b"flavors: {}\n")
    scientist.post("runs/delete", run_id=run["run_id"])
    _two_days_pass(team, run["run_id"])
    assert scientist.call("GET", "/labcycle/1.0/retention/plan", query=[("experiment_id", experiment)]).status == 200
    answer = lead.call("POST", "/labcycle/1.0/retention/erase", body={"run_id": run["run_id"]})
    assert (answer.status, answer.json()["finished"]) == (200, True), str(answer)


def keep_custody(team: Team) -> None:
    """Events leave by the stream and are anchored, also after a crash in between; all members may read the anchors."""
    scientist = team.member("scientist-1")
    anchoring, outbox = (
        next(f.name for f in functions(team) if f.folder == folder) for folder in ("anchoring", "outbox")
    )
    scientist.post("registered-models/create", name="kept")
    team.cloud.deliver_streams(team.place)
    team.cloud.faults.throttle("dynamodb.PutItem", times=99, function=anchoring)
    _anchor(team, anchoring)
    team.cloud.faults.clear()
    for name in ("kept too", "kept as well"):
        scientist.post("registered-models/create", name=name)
        _anchor(team, anchoring)
    team.cloud.faults.throttle("events.PutEvents", times=99, function=outbox)
    team.cloud.deliver_streams(team.place)
    team.cloud.faults.clear()
    bucket = names.bucket(team.name, "anchors", team.place.account, team.place.region)
    for name in MEMBERS:
        s3 = team.member(name).s3
        for found in s3.list_object_versions(Bucket=bucket, Prefix="custody/")["Versions"]:
            s3.get_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])


def look_back(team: Team) -> None:
    """A stakeholder asks how a model came to be, and for what is kept of its registration, after which a metric went on."""
    scientist, stakeholder = team.member("scientist-1"), team.member("stakeholder-1")
    experiment = scientist.post("experiments/create", name="long")["experiment_id"]
    run = scientist.post("runs/create", experiment_id=experiment, start_time=1)["run"]["info"]
    points = [{"key": "loss", "value": float(n), "timestamp": n, "step": n} for n in range(50)]
    scientist.post("runs/log-batch", run_id=run["run_id"], metrics=points[:49])
    scientist.put(run["artifact_uri"], "model/MLmodel", b"flavors: {}\n")
    scientist.post("registered-models/create", name="long")
    source = f"{run['artifact_uri']}/model"
    scientist.post("model-versions/create", name="long", source=source, run_id=run["run_id"])
    scientist.post("runs/log-batch", run_id=run["run_id"], metrics=points[49:])
    subject = ("subject", "model/long")
    for path, query in (
        ("models/long/explanation", []),
        ("models/long/custody", []),
        (f"runs/{run['run_id']}/completeness", []),
        (f"runs/{run['run_id']}/ancestry", []),
        ("custody/subjects", []),
        ("custody/events", [subject]),
        ("custody/state", []),
    ):
        answer = stakeholder.call("GET", f"/labcycle/1.0/{path}", query=query)
        assert answer.status == 200, f"{path}: {answer}"
    kept = stakeholder.call("GET", "/labcycle/1.0/custody/registration", query=[subject, ("seq", "2")])
    assert kept.status == 200, str(kept)
    assert kept.json()["superseded"] == {"loss": ["49.0", 49, 49]}


def _anchor(team: Team, function: str) -> None:
    schedules = team.place.client("scheduler").list_schedules()["Schedules"]
    (name,) = [one["Name"] for one in schedules if one["Target"]["Arn"].endswith(f":{function}")]
    team.cloud.fire_schedule(team.place, name)


def _two_days_pass(team: Team, run_id: str) -> None:
    table = team.place.client("dynamodb")
    where = {"TableName": names.ledger_table(team.name), "Key": {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "HEADER"}}}
    item = table.get_item(**where)["Item"]
    header = json.loads(item["doc"]["S"])
    header["changed"] -= 2 * 86_400_000
    table.put_item(TableName=where["TableName"], Item=item | {"doc": {"S": json.dumps(header)}})


def put_wheel(team: Team) -> None:
    """The platform engineer puts labcycle's wheel where new workspaces take it from; `aws s3 cp` sends it in parts."""
    engineer = team.member("engineer-1")
    engineer.put(f"s3://{team.bucket}/wheels", "labcycle-1.whl", b"wheel")
    _upload_in_parts(engineer, team.bucket, "wheels/labcycle-2.whl")


def work_in_workspace(team: Team) -> None:
    """A data scientist starts, enters and stops a workspace, which logs in the member's name; see docs/workspaces.md."""
    put_wheel(team)
    team.member("scientist-1").log_model(MODEL, BEFORE)
    team.member("reviewer-1").promote(MODEL, 1)
    _start_and_stop(team.member("scientist-1"))
    workspace = _Workspace(team, "scientist-1")
    workspace.boot()
    experiment = workspace.post("experiments/create", name="from a workspace")["experiment_id"]
    run = workspace.post("runs/create", experiment_id=experiment, start_time=1)["run"]["info"]
    _log_model(workspace, experiment, run["run_id"])
    workspace.put(run["artifact_uri"], "model/MLmodel", b"flavors: {}\n")
    _register(workspace, run["run_id"], f"{run['artifact_uri']}/model")
    _use_both_bases(workspace)
    for root in (run["artifact_uri"], f"s3://{team.bucket}/data/{MODEL}"):
        _store_objects(workspace, root)
    _send_outcomes(workspace)
    _send_records(workspace)
    team.model(MODEL).call("GET", "/version", workspace.caller)


class _Workspace(Member):
    """The member's machine: EC2 names the session after the instance."""

    @property
    def caller(self) -> Caller:
        return Caller(self.team.place.account, names.workspace_role(self.team.name, self.name), "i-0123456789abcdef0")

    def boot(self) -> None:
        """As the launch template's script does."""
        _find_address(self)
        for found in self.s3.list_objects_v2(Bucket=self.team.bucket, Prefix="wheels/")["Contents"]:
            self.s3.get_object(Bucket=self.team.bucket, Key=found["Key"])


def _start_and_stop(member: Member) -> None:
    """By the EC2 API; Session Manager, which moto lacks, is asked as far as its permissions go."""
    team, role = member.team, member.caller.role
    ec2 = team.cloud.client("ec2", team.place, role)
    template = names.launch_template(team.name, member.name, TIER)
    ec2.describe_launch_templates(LaunchTemplateNames=[template])
    ec2.describe_launch_template_versions(LaunchTemplateName=template)
    launch = {"LaunchTemplateName": template, "Version": "$Latest"}
    (instance,) = ec2.run_instances(LaunchTemplate=launch, MinCount=1, MaxCount=1)["Instances"]
    target = instance["InstanceId"]
    ec2.describe_instances(InstanceIds=[target])
    ec2.describe_instance_status(InstanceIds=[target])
    ec2.describe_volumes()

    def enter(operation: str, **parameters: Any) -> None:
        team.cloud.guard.check(member.caller.role_arn, team.place, "ssm", operation, parameters)

    enter("DescribeInstanceInformation")
    enter("GetConnectionStatus", Target=target)
    enter("StartSession", Target=target)
    enter("StartSession", Target=target, DocumentName="AWS-StartPortForwardingSession")
    enter("DescribeSessions", State="Active")
    enter("ResumeSession", SessionId=f"{member.name}-0123456789abcdef0")
    enter("TerminateSession", SessionId=f"{member.name}-0123456789abcdef0")
    ec2.reboot_instances(InstanceIds=[target])
    ec2.stop_instances(InstanceIds=[target])
    ec2.start_instances(InstanceIds=[target])
    ec2.terminate_instances(InstanceIds=[target])


def _find_address(member: Member) -> None:
    ssm = member.team.cloud.client("ssm", member.team.place, member.caller.role)
    found = ssm.get_parameter(Name=names.tracking_url_parameter(member.team.name))["Parameter"]["Value"]
    assert found == member.team.tracking.address


def _log_model(member: Member, experiment: str, run_id: str) -> None:
    """A logged model, from its creation to its end."""
    model = member.post("logged-models", experiment_id=experiment, name="m", source_run_id=run_id)["model"]
    model_id = model["info"]["model_id"]
    path = f"/api/2.0/mlflow/logged-models/{model_id}"
    member.post(f"logged-models/{model_id}/params", model_id=model_id, params=[{"key": "a", "value": "b"}])
    member.post("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 0}])
    for method, rest, body in (
        ("PATCH", "", {"model_id": model_id, "status": "LOGGED_MODEL_READY"}),
        ("PATCH", "/tags", {"tags": [{"key": "k", "value": "v"}]}),
        ("DELETE", "/tags/k", {}),
    ):
        answer = member.call(method, path + rest, body=body)
        assert answer.status == 200, f"{method} {rest}: {answer}"
    member.get(f"logged-models/{model_id}")
    member.get(f"logged-models/{model_id}/artifacts/directories")
    member.post("logged-models/search", experiment_ids=[experiment])
    assert member.call("DELETE", path).status == 200


def _register(member: Member, run_id: str, source: str) -> None:
    """A registered model and its version, from its creation to its end."""
    member.post("registered-models/create", name="churn")
    version = {"name": "churn", "version": "1"}
    member.post("model-versions/create", name="churn", source=source, run_id=run_id)
    member.post("registered-models/set-tag", name="churn", key="k", value="v")
    member.post("model-versions/set-tag", **version, key="k", value="v")
    member.post("registered-models/alias", name="churn", alias="candidate", version="1")
    member.get("registered-models/get", ("name", "churn"))
    member.get("registered-models/search")
    member.get("model-versions/search")
    member.get("model-versions/get-download-uri", *version.items())
    member.post("registered-models/get-latest-versions", name="churn")
    member.post("model-versions/transition-stage", **version, stage="Archived")
    for method, path, body in (
        ("PATCH", "registered-models/update", {"name": "churn", "description": "d"}),
        ("PATCH", "model-versions/update", {**version, "description": "d"}),
        ("DELETE", "registered-models/alias", {"name": "churn", "alias": "candidate"}),
        ("DELETE", "registered-models/delete-tag", {"name": "churn", "key": "k"}),
        ("DELETE", "model-versions/delete-tag", {**version, "key": "k"}),
        ("DELETE", "model-versions/delete", version),
    ):
        answer = member.call(method, f"/api/2.0/mlflow/{path}", body=body)
        assert answer.status == 200, f"{path}: {answer}"
    member.post("registered-models/rename", name="churn", new_name="churned")
    answer = member.call("DELETE", "/api/2.0/mlflow/registered-models/delete", body={"name": "churned"})
    assert answer.status == 200, str(answer)


def _use_both_bases(member: Member) -> None:
    """MLflow's page in the browser calls below /ajax-api; files are sent on to S3."""
    version = {"name": "churn", "version": "1"}
    for base in ("api", "ajax-api"):
        for method, path, body, status in (
            ("POST", "mlflow/experiments/search", {"max_results": 10}, 200),
            ("PATCH", "mlflow/model-versions/update", version, 404),
            ("DELETE", "mlflow/model-versions/delete", version, 404),
            ("PUT", "mlflow-artifacts/artifacts/file", {}, 307),
        ):
            answer = member.call(method, f"/{base}/2.0/{path}", body=body)
            assert answer.status == status, f"{method} {base} {path}: {answer}"


def _store_objects(member: Member, root: str) -> None:
    """Files up and down below an address: whole, in parts, and given up half way."""
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    member.put(root, "small.txt", b"text")
    _upload_in_parts(member, bucket, f"{prefix}/large.bin")
    _load_objects(member, root)


def _upload_in_parts(member: Member, bucket: str, key: str) -> None:
    where = {"Bucket": bucket, "Key": key}
    upload = member.s3.create_multipart_upload(**where)["UploadId"]
    part = member.s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    member.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    upload = member.s3.create_multipart_upload(**where)["UploadId"]
    member.s3.abort_multipart_upload(**where, UploadId=upload)


def _load_objects(member: Member, root: str) -> None:
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    found = member.s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]
    version = member.s3.get_object(Bucket=bucket, Key=found[0]["Key"])["VersionId"]
    # As it was, whatever lies in its place by then.
    member.s3.get_object(Bucket=bucket, Key=found[0]["Key"], VersionId=version)


def _send_records(member: Member) -> None:
    """What a model predicted that is served elsewhere, which this one is not."""
    body = {"version": 1, "records": [{"prediction": 1, "features": {"amount": 2.5}}]}
    answer = member.call("POST", "/labcycle/1.0/models/told/records", body=body)
    assert answer.status == 400 and "takes no records" in str(answer), str(answer)


def _send_outcomes(member: Member) -> None:
    """What became of predictions, by the API and as a file."""
    member.post("registered-models/create", name="told")
    row = {"prediction_id": "1-20260301T100000Z-a1b2-1-0", "truth": 1}
    answer = member.call("POST", "/labcycle/1.0/models/told/outcomes", body={"outcomes": [row]})
    assert answer.status == 200, str(answer)
    assert member.call("GET", "/labcycle/1.0/models/told/outcomes").json()["waiting"] == 1
    for below in ("in", "rejected"):
        _store_objects(member, f"s3://{member.team.bucket}/outcomes/told/{below}")
