"""Teams that differ from the examples: what is left out of a team file is left out of the stacks, and nothing breaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra.app import settings
from labcycle.check.estate import Estate
from labcycle.check.rules import Rule, all_rules
from labcycle.check.template import templates_at
from labcycle.config import ConfigError, load_target, load_team, names
from labcycle.platform import TeamPlatform
from tests.synth.assembly import as_list
from tests.synth.physical import Physical
from tests.synth.platform import test_policies, test_stacks
from tests.synth.platform.conftest import Synthesize, SynthesizedStack, read
from tests.synth.platform.test_own_rules import standing

TARGET: dict[str, Any] = {
    "target": "eu-lab",
    "account": "123456789012",
    "region": "eu-west-1",
    "zones": ["eu-west-1a", "eu-west-1b", "eu-west-1c"],
    "network": {"name": "lab", "cidr": "10.9.0.0/20", "egress": "nat"},
    "sign_in": {"saml_provider": "okta", "oidc_provider": "login.example.com", "identity_center_permission_set": "lab"},
}
RETRAIN = {"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1"}
API = {"form": "api", "runtime": "lambda"}
TASKS = {"form": "api", "runtime": "fargate", "cpu": 4096, "memory_mb": 16384}
INSTANCES = {"form": "api", "runtime": "sagemaker", "mode": "real_time", "instance_type": "ml.r5.xlarge"}
SERVERLESS = {"form": "api", "runtime": "sagemaker", "mode": "serverless", "memory_mb": 2048}
LATER = {"form": "api", "runtime": "sagemaker", "mode": "asynchronous", "minimum_instances": 0}
CONSUMERS = [
    {
        "name": "shop",
        "principal": "arn:aws:iam::210987654321:role/shop",
        "quota": {"requests": 9, "per": "day"},
        "hard": True,
    },
    {"name": "bank", "principal": "arn:aws:iam::310987654321:role/bank"},
]
BATCH = {"form": "batch"}
REPORT = {
    "form": "report",
    "schedule": "cron(0 7 ? * MON *)",
    "sender": "reports@example.com",
    "recipients": ["lab@example.com"],
}


def model(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "business_owner": "owner@example.com", "deliver": [API]} | more


def member(name: str, kind: str, *roles: str) -> dict[str, Any]:
    return {"name": name, "principal": {kind: f"{name}-subject"}, "roles": list(roles)}


TEAM: dict[str, Any] = {
    "team": "lab",
    "owner": "lab@example.com",
    "cost_centre": "cc-1",
    "target": "eu-lab",
    "stage": "staging",
    "members": [
        member("ann", "iam_user", "data_scientist", "operator")
        | {"tokens": [{"issuer": "own", "subject": "ann-sub"}, {"issuer": "the-partner", "subject": "dee-subject"}]},
        member("bob", "identity_center", "stakeholder"),
        member("cy", "saml_subject", "platform_engineer"),
        member("dee", "oidc_subject", "data_scientist"),
    ],
    "tracking": {
        "issuers": [
            {"name": "own", "url": "https://login.example.com/", "audience": "labcycle"},
            {"name": "the-partner", "url": "https://partner.example.com/t", "audience": "lab"},
        ]
    },
    "workspaces": {"tiers": ["cpu-small", "gpu-large"]},
    "compute": {"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/experiments:1", "gpu": {"max_vcpus": 8}},
    "models": [
        model("plain"),
        model("watched", deliver=[API, REPORT], monitor={}),
        model("retrainable", monitor={}, retrain=RETRAIN),
        model("reacting", monitor={}, retrain=RETRAIN, react=[{"on": ["drift"], "do": "retrain"}]),
        model("batched", deliver=[API | {"memory_mb": 1024}, BATCH | {"schedule": "rate(1 day)", "concurrency": 3}]),
        model("only-batched", deliver=[BATCH]),
        model("elsewhere", deliver=[{"form": "external"}, REPORT], monitor={"capture": {}, "cohorts": ["country"]}),
    ],
}


def folder(tmp_path: Path, team: dict[str, Any], target: dict[str, Any] = TARGET) -> str:
    for kind, content, name in (("teams", team, "team"), ("targets", target, "target")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"{content[name]}.yaml").write_text(json.dumps(content, indent=1))  # JSON is YAML
    return str(tmp_path)


@pytest.fixture(scope="session")
def lab_assembly(synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(config=folder(tmp_path_factory.mktemp("config"), TEAM))


@pytest.fixture(scope="session")
def lab(lab_assembly: Path) -> dict[str, SynthesizedStack]:
    return {name: stack for name, stack in read(lab_assembly).items() if name.startswith("labcycle-lab-")}


def kinds(stack: SynthesizedStack) -> set[str]:
    return {r["Type"] for r in stack.resources.values()}


def test_a_model_has_what_its_file_says(lab: dict[str, SynthesizedStack]) -> None:
    for name, has in (
        ("plain", set()),
        ("watched", {"AWS::Scheduler::Schedule"}),
        ("retrainable", {"AWS::Scheduler::Schedule"}),
        ("reacting", {"AWS::Scheduler::Schedule", "AWS::StepFunctions::StateMachine"}),
        ("batched", {"AWS::Scheduler::Schedule", "AWS::StepFunctions::StateMachine"}),
        ("only-batched", {"AWS::StepFunctions::StateMachine"}),
        ("elsewhere", {"AWS::Scheduler::Schedule"}),
    ):
        optional = {"AWS::Scheduler::Schedule", "AWS::StepFunctions::StateMachine"}
        assert kinds(lab[f"labcycle-lab-model-{name}"]) & optional == has, name
    reporting = {name for name, stack in lab.items() if "ReportFunction" in stack.template.get("Outputs", {})}
    assert reporting == {"labcycle-lab-model-elsewhere", "labcycle-lab-model-watched"}


def test_batches_have_the_memory_that_a_promotion_looks_at(lab: dict[str, SynthesizedStack]) -> None:
    for name, apis, memory in (("batched", 1, "1024"), ("only-batched", 0, "2048")):
        stack = lab[f"labcycle-lab-model-{name}"]
        found = [r for r in stack.resources.values() if r["Type"] == "AWS::ApiGatewayV2::Api"]
        assert len(found) == apis
        parameters = {
            r["Properties"]["Name"]: r["Properties"]["Value"]
            for r in stack.resources.values()
            if r["Type"] == "AWS::SSM::Parameter"
        }
        assert parameters[f"/labcycle/team/lab/model/{name}/memory-mb"] == memory
        (function,) = [
            r["Properties"]
            for r in stack.resources.values()
            if r["Type"] == "AWS::Lambda::Function" and "Batch" in r["Properties"]["Role"]["Fn::GetAtt"][0]
        ]
        assert str(function["MemorySize"]) == memory
        assert "BatchStateMachine" in stack.template["Outputs"]
        assert (
            parameters[f"/labcycle/team/lab/model/{name}/batch"]
            == stack.template["Outputs"]["BatchStateMachine"]["Value"]
        )


def test_who_may_invoke_may_start_batches(lab: dict[str, SynthesizedStack]) -> None:
    physical = Physical({name: stack.template for name, stack in lab.items()}, "123456789012", "eu-west-1")
    may: dict[str, set[str]] = {}
    for name, logical_id, statement in test_policies.identity_statements(lab):
        for role in lab[name].resources[logical_id]["Properties"].get("Roles", []):
            for resource in as_list(statement["Resource"]):
                for action in as_list(statement["Action"]):
                    may.setdefault(physical.text(name, role), set()).add(f"{action} {physical.text(name, resource)}")
    bucket = "arn:aws:s3:::labcycle-lab-artifacts-123456789012-eu-west-1"
    given = {f"s3:PutObject {bucket}/batch/*/in/*", f"s3:GetObject {bucket}/batch/*/out/*"}
    for member, starts in (("ann", 2), ("ann-workspace", 2), ("dee", 2), ("bob", 0), ("cy", 0)):
        allowed = may[names.member_role("lab", member)]
        machines = {one for one in allowed if one.startswith("states:StartExecution") and ":stateMachine:" in one}
        of_batches = {one for one in machines if "Batch" in one}
        assert len(of_batches) == starts, member
        assert given <= allowed if starts else not given & allowed, member


def test_each_issuer_has_a_door_of_its_own(lab: dict[str, SynthesizedStack]) -> None:
    stack = lab["labcycle-lab-tracking"].template
    apis = {key for key, one in stack["Resources"].items() if one["Type"] == "AWS::ApiGatewayV2::Api"}
    told = {
        key: value["Value"]["Fn::GetAtt"][0] if "Fn::GetAtt" in value["Value"] else value["Value"]
        for key, value in stack["Outputs"].items()
        if key.startswith("TrackingUrl")
    }
    assert set(told) == {"TrackingUrl", "TrackingUrlOwn", "TrackingUrlThePartner"}
    assert set(told.values()) == apis
    parameters = [r["Properties"] for r in stack["Resources"].values() if r["Type"] == "AWS::SSM::Parameter"]
    assert {parameter["Name"] for parameter in parameters} == {
        "/labcycle/team/lab/tracking-url",
        "/labcycle/team/lab/tracking-url-own",
        "/labcycle/team/lab/tracking-url-the-partner",
    }


def test_the_functions_know_members_by_role_and_by_token(lab: dict[str, SynthesizedStack]) -> None:
    functions = [
        r["Properties"]["Environment"]["Variables"]
        for r in lab["labcycle-lab-tracking"].resources.values()
        if r["Type"] == "AWS::Lambda::Function"
    ]
    told = [json.loads(variables["MEMBERS"]) for variables in functions if "MEMBERS" in variables]
    assert (
        told
        == [
            {
                "rights": {"administer log read register": ["ann", "dee"], "read": ["bob", "cy"]},
                "subjects": {
                    "https://login.example.com/": {"ann-sub": "ann", "dee-subject": "dee"},
                    "https://partner.example.com/t": {"dee-subject": "ann"},
                },
            }
        ]
        * 2
    )


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_our_own_rules_hold_here_too(rule: Rule, lab_assembly: Path) -> None:
    assert standing(rule, Estate(templates_at(lab_assembly))) == []


def test_what_holds_for_the_examples_holds_here(lab: dict[str, SynthesizedStack]) -> None:
    physical = Physical({name: stack.template for name, stack in lab.items()}, "123456789012", "eu-west-1")
    test_policies.test_the_boundary_lets_every_role_do_what_its_policies_allow(lab, physical)
    test_policies.test_no_policy_of_one_stack_overwrites_that_of_another(lab, physical)
    test_policies.test_imported_roles_exist(lab, physical)
    test_stacks.test_what_is_retained_is_said(lab)
    test_stacks.test_no_reference_crosses_a_stage(lab)


def test_the_boundary_knows_generated_names_of_the_longest_team(synthesize: Synthesize, tmp_path: Path) -> None:
    """CloudFormation cuts them in the middle of the team's name."""
    team = "a" * 21  # the artifact bucket's name takes no more in this region
    stacks = {
        name: stack
        for name, stack in read(synthesize(team=team, config=folder(tmp_path, TEAM | {"team": team}))).items()
        if not name.startswith("labcycle-target-")
    }
    physical = Physical({name: stack.template for name, stack in stacks.items()}, "123456789012", "eu-west-1")
    test_policies.test_the_boundary_lets_every_role_do_what_its_policies_allow(stacks, physical)


@pytest.fixture(scope="module")
def serving(synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SynthesizedStack]:
    """A team with a model on Fargate, and one with consumers and a shadow, each in all other forms and promoted in steps."""
    others = [BATCH, {"form": "app"}, REPORT]
    models = [
        model("on-tasks", deliver=[TASKS, *others], promotion={"canary_percents": [5]}),
        model("asked", deliver=[API | {"consumers": CONSUMERS, "shadow": {}}, *others], promotion={}),
    ]
    target = TARGET | {"api_gateway_logs": "made"}
    config = folder(tmp_path_factory.mktemp("serving"), TEAM | {"models": models}, target)
    return {name: stack for name, stack in read(synthesize(config=config)).items() if "-target-" not in name}


@pytest.fixture(scope="module")
def endpoints(synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SynthesizedStack]:
    """A team with models on SageMaker, in all other forms and promoted in steps."""
    others = [BATCH, {"form": "app"}]
    models = [
        model("on-instances", deliver=[INSTANCES, *others], promotion={}),
        model("on-demand", deliver=[SERVERLESS, *others], promotion={}),
        model("later", deliver=[LATER, BATCH], promotion={}),
    ]
    config = folder(tmp_path_factory.mktemp("endpoints"), TEAM | {"models": models})
    return {name: stack for name, stack in read(synthesize(config=config)).items() if "-target-" not in name}


@pytest.mark.parametrize("kind", ["serving", "endpoints"])
def test_the_boundary_lets_models_be_served_in_every_form(kind: str, request: pytest.FixtureRequest) -> None:
    serving = request.getfixturevalue(kind)
    physical = Physical({name: stack.template for name, stack in serving.items()}, "123456789012", "eu-west-1")
    test_policies.test_the_boundary_lets_every_role_do_what_its_policies_allow(serving, physical)
    test_policies.test_no_policy_of_one_stack_overwrites_that_of_another(serving, physical)
    test_stacks.test_no_reference_crosses_a_stage(serving)


def test_functions_beside_large_tasks_have_what_a_function_can_have(serving: dict[str, SynthesizedStack]) -> None:
    stack = serving["labcycle-lab-model-on-tasks"]
    sizes = {
        r["Properties"]["Role"]["Fn::GetAtt"][0]: r["Properties"].get("MemorySize")
        for r in stack.resources.values()
        if r["Type"] == "AWS::Lambda::Function"
    }
    assert [size for role, size in sizes.items() if "Batch" in role or "Promotion" in role] == [10_240, 10_240]
    assert {"ModelUrl", "ServerService", "PromotionStateMachine", "BatchStateMachine"} <= set(stack.template["Outputs"])
    (functions,) = [
        r["Properties"]["PolicyDocument"]["Statement"]
        for r in serving["labcycle-lab-tracking"].resources.values()
        if r["Type"] == "AWS::IAM::Policy" and "TrackingLifeCycleRole" in r["Properties"]["PolicyName"]
    ]
    started = [s["Resource"] for s in functions if s["Action"] == "states:StartExecution"]
    assert len(started) == 1 and "stateMachine:labcycle_lab_promotion_*" in json.dumps(started)


def test_endpoints_are_of_their_model(endpoints: dict[str, SynthesizedStack]) -> None:
    for name, memory_mb in (("on-instances", 32_768), ("on-demand", 2048)):
        stack = endpoints[f"labcycle-lab-model-{name}"]
        assert stack.template["Outputs"]["ServerEndpoint"]["Value"] == f"labcycle-lab-{name}"
        assert {"ModelUrl", "PromotionStateMachine", "BatchStateMachine"} <= set(stack.template["Outputs"])
        parameters = [r["Properties"] for r in stack.resources.values() if r["Type"] == "AWS::SSM::Parameter"]
        assert str(memory_mb) in [one["Value"] for one in parameters]


def test_a_stakeholder_reads_and_nothing_else(lab: dict[str, SynthesizedStack]) -> None:
    physical = Physical({name: stack.template for name, stack in lab.items()}, "123456789012", "eu-west-1")
    routes = test_policies.invocable(lab, physical, "labcycle-lab-bob", "labcycle-lab-tracking")
    assert test_policies.may(routes, test_policies.READ)
    assert not test_policies.may(routes, test_policies.LOG)
    assert not test_policies.may(routes, test_policies.PROMOTE)
    for name, stack in lab.items():
        if name != "labcycle-lab-tracking":
            for resource in stack.resources.values():
                if resource["Type"] == "AWS::IAM::Policy":
                    assert "labcycle-lab-bob" not in resource["Properties"]["Roles"], name


def test_only_data_scientists_get_workspaces(lab: dict[str, SynthesizedStack]) -> None:
    launches = [
        r["Properties"]["LaunchTemplateName"]
        for r in lab["labcycle-lab-workspaces"].resources.values()
        if r["Type"] == "AWS::EC2::LaunchTemplate"
    ]
    assert sorted(launches) == [
        f"labcycle-lab-{who}-{tier}" for who in ("ann", "dee") for tier in ("cpu-small", "gpu-large")
    ]


def test_what_a_construct_refuses_is_told_with_its_place(tmp_path: Path) -> None:
    """Team files with such values are refused when they are read; this team lost its scientists afterwards."""
    config = Path(folder(tmp_path, TEAM))
    team, target = load_team(config / "teams" / "lab.yaml"), load_target(config / "targets" / "eu-lab.yaml")
    others = team.model_copy(update={"members": team.members[1:3]})
    with pytest.raises(ConfigError, match=r"lab\.yaml:\d+:\d+: workspaces: members: got nobody"):
        TeamPlatform(App(context=settings(), analytics_reporting=False), team=others, target=target)
