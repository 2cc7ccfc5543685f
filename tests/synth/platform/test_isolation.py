"""Teams are cells: three of them in one account and region, the name of one the beginning of another's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from infra.app import HERE
from labcycle.check.estate import Estate
from labcycle.check.isolation import Break, IsolationReport, isolation
from labcycle.check.template import Template, templates_at
from tests.synth.platform.conftest import Synthesize

TEAMS = ("frau", "fraud", "growth")
Body = dict[str, Any]


@pytest.fixture(scope="session")
def templates(synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> list[Template]:
    """The example teams, and `frau`, which is like `fraud` in all but its name."""
    config = tmp_path_factory.mktemp("config")
    shutil.copytree(HERE / "teams", config / "teams")
    shutil.copytree(HERE / "targets", config / "targets")
    fraud = (config / "teams" / "fraud.yaml").read_text()
    (config / "teams" / "frau.yaml").write_text(fraud.replace("team: fraud", "team: frau"))
    return templates_at(synthesize(config=str(config)))


@pytest.fixture(scope="session")
def report(templates: list[Template]) -> IsolationReport:
    return isolation(Estate(templates))


def test_no_role_can_do_anything_to_what_is_another_teams(report: IsolationReport) -> None:
    assert [str(one) for one in report.breaks] == []
    assert report.uncovered == ()


API = "{form: api, runtime: lambda, memory_mb: 2048}"
OF_EACH_FORM = {
    "fraud": "{form: api, runtime: fargate}",
    "frau": "{form: api, runtime: sagemaker, mode: real_time}",
    "fra": "{form: api, runtime: sagemaker, mode: serverless}",
    "fr": "{form: api, runtime: sagemaker, mode: asynchronous}",
    "f": "{form: api, runtime: lambda, start: {mode: provisioned, concurrency: 1}}",
}


def test_jobs_are_kept_apart_too(synthesize: Synthesize, tmp_path: Path) -> None:
    shutil.copytree(HERE / "targets", tmp_path / "targets")
    (tmp_path / "teams").mkdir()
    jobs = "compute: {image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/experiments:1, gpu: {}}\n"
    for name in ("frau", "fraud"):
        fraud = (HERE / "teams" / "fraud.yaml").read_text().partition("models:")[0]
        (tmp_path / "teams" / f"{name}.yaml").write_text(fraud.replace("team: fraud", f"team: {name}") + jobs)
    found = isolation(Estate(templates_at(synthesize(config=str(tmp_path)))))
    assert [str(one) for one in found.breaks] == []
    assert found.uncovered == ()
    assert found.holds


def test_models_of_other_forms_are_kept_apart_too(synthesize: Synthesize, tmp_path: Path) -> None:
    shutil.copytree(HERE / "targets", tmp_path / "targets")
    (tmp_path / "teams").mkdir()
    fraud = (HERE / "teams" / "fraud.yaml").read_text()
    assert API in fraud
    for team, api in OF_EACH_FORM.items():
        file = tmp_path / "teams" / f"{team}.yaml"
        file.write_text(fraud.replace("team: fraud", f"team: {team}").replace(API, api))
    report = isolation(Estate(templates_at(synthesize(config=str(tmp_path)))))
    assert [str(one) for one in report.breaks] == []
    assert report.uncovered == ()
    assert {"codebuild", "ecs", "elasticloadbalancing", "application-autoscaling"} <= set(
        report.checks["frau", "fraud"]
    )
    assert report.checks["fr", "frau"]["sagemaker"] > report.checks["fr", "fraud"]["sagemaker"]


def test_every_pair_and_every_service_is_checked(report: IsolationReport) -> None:
    assert report.teams == TEAMS
    assert set(report.checks) == set(permutations(TEAMS, 2))
    of_every_team = {"dynamodb", "events", "execute-api", "iam", "kms", "lambda", "logs", "s3", "sns", "ssm", "sts"}
    of_fraud = of_every_team | {"cloudwatch", "ec2", "sagemaker", "scheduler", "sqs", "states"}
    for (_, owner), counted in report.checks.items():
        assert {service for service, count in counted.items() if count} >= (
            of_every_team if owner == "growth" else of_fraud
        )
        assert counted.total() > 5000
        assert counted["s3"] > 1000


def test_what_cannot_be_kept_to_a_team_is_told_with_a_reason(report: IsolationReport) -> None:
    assert {one.action for one in report.exempt} >= {
        "ec2:DescribeInstances",
        "xray:PutTraceSegments",
        "cloudwatch:PutMetricData",
    }
    assert [one.action for one in report.exempt if len(one.reason) < 20] == []
    assert all(one.roles for one in report.exempt)


def test_writes_to_a_bucket_outside_are_not_claimed_behind_a_nat_gateway(report: IsolationReport) -> None:
    assert [(one.team, one.is_closed) for one in report.ways_out] == [("frau", False), ("fraud", False)]
    assert all("needs endpoint policies" in one.why and "NAT gateway" in one.why for one in report.ways_out)


def test_the_table_tells_it_all(report: IsolationReport) -> None:
    table = report.as_table()
    (row,) = [line for line in table.splitlines() if line.startswith("growth -> fraud")]
    assert row.split()[-1] == f"0/{report.checks['growth', 'fraud'].total()}"
    assert "not claimed: needs endpoint policies" in table
    assert "ec2:DescribeInstances (2 roles): " in table


# From here on, faults that are planted into copies of the templates.


def broken(templates: list[Template], stack: str, kind: str, change: Callable[[Body], object]) -> list[Break]:
    """What breaks between frau and fraud, once the first resource of a kind in a stack of frau is changed."""
    found: list[Template] = []
    for template in templates:
        _, team, rest = template.name.split("-", 2)
        if team not in ("frau", "fraud") or rest not in ("guardrails", "foundation", "tracking", stack):
            continue
        if template.name == f"labcycle-frau-{stack}":
            body = json.loads(template.text)
            change(next(one for one in body["Resources"].values() if one["Type"] == kind)["Properties"])
            template = replace(template, text=json.dumps(body))
        found.append(template)
    return list(isolation(Estate(found)).breaks)


def allow(action: str, resource: str) -> Callable[[Body], object]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return lambda policy: policy["PolicyDocument"]["Statement"].append(statement)


def arn_of(templates: list[Template], stack: str, kind: str) -> str:
    estate = Estate(templates)
    (template,) = [template for template in templates if template.name == stack]
    return estate.arn(template, next(logical_id for logical_id, _ in template.resources(kind)))


def test_an_api_of_another_team_in_a_policy(templates: list[Template]) -> None:
    api = arn_of(templates, "labcycle-fraud-tracking", "AWS::ApiGatewayV2::Api").rpartition("/")[2]
    widen = allow("execute-api:Invoke", f"arn:aws:execute-api:eu-west-1:123456789012:{api}/$default/GET/*")
    found = broken(templates, "tracking", "AWS::IAM::Policy", widen)
    assert {(one.team, one.owner, one.action) for one in found} == {("frau", "fraud", "execute-api:Invoke")}
    assert all(one.because.startswith("labcycle-frau-tracking/") for one in found)


def test_a_pattern_of_training_jobs_that_begins_like_another_teams(templates: list[Template]) -> None:
    job = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/labcycle-frau*"
    found = broken(templates, "model-card-fraud", "AWS::IAM::Policy", allow("sagemaker:StopTrainingJob", job))
    assert {(one.team, one.owner, one.action) for one in found} == {("frau", "fraud", "sagemaker:StopTrainingJob")}


def test_metrics_that_an_alarm_of_another_team_reads(templates: list[Template]) -> None:
    def share(policy: Body) -> None:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] == "cloudwatch:PutMetricData":
                statement["Condition"] = {"StringLike": {"cloudwatch:namespace": "labcycle/*"}}

    found = [
        one
        for template in templates
        if template.name == "labcycle-frau-model-card-fraud"
        for one in _broken_everywhere(templates, template, share)
    ]
    assert {(one.team, one.owner, one.action) for one in found} == {("frau", "fraud", "cloudwatch:PutMetricData")}


def _broken_everywhere(templates: list[Template], changed: Template, change: Callable[[Body], object]) -> list[Break]:
    """What breaks between frau and fraud, once all policies of a stack are changed."""
    body = json.loads(changed.text)
    for resource in body["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy":
            change(resource["Properties"])
    teams = [one for one in templates if one.name.split("-")[1] in ("frau", "fraud") and one is not changed]
    return list(isolation(Estate([*teams, replace(changed, text=json.dumps(body))])).breaks)


def test_the_boundary_stands_behind_a_policy_that_is_too_wide(templates: list[Template]) -> None:
    widen = allow("s3:GetObject", "arn:aws:s3:::labcycle-*/*")
    assert broken(templates, "tracking", "AWS::IAM::Policy", widen) == []

    def open_boundary(policy: Body) -> None:
        (artifacts,) = [
            one
            for one in policy["PolicyDocument"]["Statement"]
            if "s3:GetObject" in one["Action"] and "artifacts" in json.dumps(one["Resource"])
        ]
        artifacts["Resource"] = "*"

    opened = [
        replace(template, text=_changed(template, "AWS::IAM::ManagedPolicy", open_boundary))
        if template.name == "labcycle-frau-guardrails"
        else template
        for template in templates
    ]
    found = broken(opened, "tracking", "AWS::IAM::Policy", widen)
    assert {(one.team, one.owner, one.action) for one in found} == {("frau", "fraud", "s3:GetObject")}


def _changed(template: Template, kind: str, change: Callable[[Body], object]) -> str:
    body = json.loads(template.text)
    for resource in body["Resources"].values():
        if resource["Type"] == kind:
            change(resource["Properties"])
    return json.dumps(body)


def test_a_bucket_that_lets_everybody_in(templates: list[Template]) -> None:
    def open_to_all(policy: Body) -> None:
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
        policy["PolicyDocument"]["Statement"].append(statement)

    found = broken(templates, "tracking", "AWS::S3::BucketPolicy", open_to_all)
    assert {(one.team, one.owner, one.action) for one in found} == {("fraud", "frau", "s3:GetObject")}


def test_a_role_that_trusts_the_whole_account(templates: list[Template]) -> None:
    def trust(role: Body) -> None:
        role["AssumeRolePolicyDocument"]["Statement"][0] = {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "sts:AssumeRole",
        }

    found = broken(templates, "tracking", "AWS::IAM::Role", trust)
    assert {(one.team, one.owner, one.action) for one in found} == {("fraud", "frau", "sts:AssumeRole")}


def test_a_group_that_lets_addresses_in(templates: list[Template]) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/16"}
    found = broken(
        templates, "workspaces", "AWS::EC2::SecurityGroup", lambda group: group.update(SecurityGroupIngress=[rule])
    )
    assert [(one.team, one.owner, one.action) for one in found] == [("fraud", "frau", "connect")]
    assert "CidrIp 10.0.0.0/16" in found[0].because
