"""What each persona may do and may not, decided by the evaluator on concrete requests, for a team that has them all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from labcycle.check.estate import Estate
from labcycle.check.iam import Policies, Request, decide, identity_policy, resource_policy
from labcycle.check.iam import Role as Caller
from labcycle.check.resource_policies import resource_policies
from labcycle.check.roles import Role, roles
from labcycle.check.template import templates_at
from labcycle.config import Role as Persona
from labcycle.config import names
from labcycle.platform.personas import RIGHTS, Right, rights_of
from tests.synth.platform.conftest import Synthesize

PLACE = "eu-west-1:123456789012"
TEAM, MODEL = "lab", "churn"
PERSONAS: tuple[Persona, ...] = get_args(Persona)
MEMBERS = {persona: persona.replace("_", "-") for persona in PERSONAS}
TARGET_FILE: dict[str, Any] = {
    "target": "eu-lab",
    "account": "123456789012",
    "region": "eu-west-1",
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "lab", "egress": "nat"},
}
TEAM_FILE: dict[str, Any] = {
    "team": TEAM,
    "owner": "lab@example.com",
    "cost_centre": "cc-1",
    "target": "eu-lab",
    "stage": "production",
    "members": [
        {"name": name, "principal": {"iam_user": name}, "roles": [persona]} for persona, name in MEMBERS.items()
    ],
    "tracking": {"retention": [{"status": "failed", "days": 90}]},
    "workspaces": {"tiers": ["cpu-small"]},
    "compute": {"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/experiments:1", "gpu": {}},
    "models": [
        {
            "name": MODEL,
            "business_owner": "owner@example.com",
            "deliver": [{"form": "api", "runtime": "lambda"}],
            "monitor": {},
            "retrain": {"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1"},
            "react": [{"on": ["drift"], "do": "retrain"}],
        }
    ],
}


@pytest.fixture(scope="session")
def estate(synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> Estate:
    config: Path = tmp_path_factory.mktemp("config")
    for kind, content, name in (("teams", TEAM_FILE, TEAM), ("targets", TARGET_FILE, "eu-lab")):
        (config / kind).mkdir()
        (config / kind / f"{name}.yaml").write_text(json.dumps(content))  # JSON is YAML
    return Estate(templates_at(synthesize(config=str(config))))


@dataclass(frozen=True)
class Place:
    """Where the things of the team are that AWS names by an id."""

    estate: Estate

    def arn(self, stack: str, kind: str, output: str = "") -> str:
        """Of the first resource of a type in a stack; of several, of the one that an output speaks of."""
        (template,) = [one for one in self.estate.templates if one.name == f"{names.team_stage(TEAM)}-{stack}"]
        found = [self.estate.arn(template, logical_id) for logical_id, _ in template.resources(kind)]
        if output:
            said = self.estate.text(template, template.body["Outputs"][output]["Value"])
            found = [arn for arn in found if arn.endswith(said)]
        return found[0]

    def launch_template(self) -> str:
        found = self.estate.resources("AWS::EC2::LaunchTemplate")
        ((template, logical_id, _),) = [one for one in found if one[0].name.endswith("-workspaces")]
        return f"arn:aws:ec2:{PLACE}:launch-template/{self.estate.text(template, {'Ref': logical_id})}"

    def api(self, stack: str, route: str) -> str:
        return f"arn:aws:execute-api:{PLACE}:{self.arn(stack, 'AWS::ApiGatewayV2::Api').rpartition('/')[2]}/$default/{route}"

    @staticmethod
    def artifact(key: str) -> str:
        return f"arn:aws:s3:::{names.bucket(TEAM, 'artifacts', '123456789012', 'eu-west-1')}/{key}"

    def asked(self, right: Right) -> list[tuple[str, str]]:
        """Actions and resources that stand for a right."""
        model = names.model_stack(MODEL)
        instance = f"arn:aws:ec2:{PLACE}:instance/i-0123456789abcdef0"
        invoke = "execute-api:Invoke"
        found: dict[Right, list[tuple[str, str]]] = {
            "read": [
                (invoke, self.api("tracking", "GET/api/2.0/mlflow/runs/get")),
                (invoke, self.api("tracking", "POST/api/2.0/mlflow/runs/search")),
                (invoke, self.api("tracking", "POST/ajax-api/2.0/mlflow/experiments/search-datasets")),
                (invoke, self.api("tracking", f"GET/labcycle/1.0/models/{MODEL}/history")),
                ("s3:GetObject", self.artifact("experiments/1/run/artifacts/model.onnx")),
            ],
            "log": [
                (invoke, self.api("tracking", "POST/api/2.0/mlflow/runs/create")),
                ("s3:PutObject", self.artifact("experiments/1/run/artifacts/model.onnx")),
                ("s3:PutObject", self.artifact("data/train.csv")),
            ],
            "register": [
                (invoke, self.api("tracking", "POST/api/2.0/mlflow/model-versions/create")),
                (invoke, self.api("tracking", "POST/api/2.0/mlflow/registered-models/alias")),
            ],
            "administer": [
                (invoke, self.api("tracking", "POST/api/2.0/mlflow/experiments/delete")),
                (invoke, self.api("tracking", "DELETE/api/2.0/mlflow/registered-models/delete")),
            ],
            "erase": [(invoke, self.api("tracking", "POST/labcycle/1.0/retention/erase"))],
            "promote": [
                (invoke, self.api("tracking", f"POST/labcycle/1.0/models/{MODEL}/promote")),
                (invoke, self.api("tracking", f"POST/labcycle/1.0/models/{MODEL}/rollback")),
            ],
            "use workspaces": [
                ("ec2:RunInstances", self.launch_template()),
                ("ec2:StopInstances", instance),
                ("ssm:StartSession", instance),
            ],
            "run jobs": [
                ("batch:SubmitJob", f"arn:aws:batch:{PLACE}:job-definition/labcycle-{TEAM}-data-scientist:3"),
                ("batch:SubmitJob", f"arn:aws:batch:{PLACE}:job-queue/labcycle-{TEAM}-gpu"),
                ("batch:TerminateJob", f"arn:aws:batch:{PLACE}:job/0a1b"),
                ("batch:DescribeJobs", "*"),
                ("ssm:GetParameter", f"arn:aws:ssm:{PLACE}:parameter{names.compute_parameter(TEAM)}"),
            ],
            "invoke models": [
                (invoke, self.api(model, "POST/invocations")),
                (invoke, self.api(model, "GET/app")),
                ("ssm:GetParameter", f"arn:aws:ssm:{PLACE}:parameter{names.model_url_parameter(TEAM, MODEL)}"),
            ],
            "operate": [
                ("lambda:InvokeFunction", self.arn(model, "AWS::Lambda::Function", "EvaluatorFunction")),
                ("states:StartExecution", self.arn(model, "AWS::StepFunctions::StateMachine")),
                ("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{PLACE}:alarm:labcycle-{TEAM}-churn-drift"),
            ],
            "publish wheels": [("s3:PutObject", self.artifact("wheels/labcycle.whl"))],
        }
        return found[right]


def role_of(estate: Estate, persona: Persona) -> Role:
    (found,) = [role for role in roles(estate) if role.name == names.member_role(TEAM, MEMBERS[persona])]
    return found


def may(estate: Estate, persona: Persona, action: str, resource: str, owner: str = "") -> bool:
    """Whether the persona's role allows it; `owner` is the member whose machine it is, the persona's own by default."""
    role = role_of(estate, persona)
    assert role.boundary is not None
    assert role.foreign_policies == ()
    own = [policy.document for policy in resource_policies(estate).get(resource, [])]
    own += [other.trust for other in roles(estate) if other.arn == resource and action.startswith("sts:")]
    policies = Policies(
        tuple(identity_policy(policy.document, policy.logical_id) for policy in role.policies),
        identity_policy(role.boundary.document, "boundary"),
        resource=resource_policy(own[0], resource) if own else None,
    )
    tags = {"aws:ResourceTag/labcycle:team": TEAM, "aws:ResourceTag/labcycle:member": owner or MEMBERS[persona]}
    context = tags if action.startswith(("batch:", "ec2:", "ssm:")) else {}
    request = Request(Caller(role.arn, session=MEMBERS[persona]), action, resource, "123456789012", context)
    return decide(request, policies).is_allowed


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("persona", PERSONAS)
def test_a_persona_may_do_what_the_table_says_and_nothing_of_the_rest(
    persona: Persona, right: Right, estate: Estate
) -> None:
    held = right in rights_of([persona])
    asked = Place(estate).asked(right)
    assert {request: may(estate, persona, *request) for request in asked} == dict.fromkeys(asked, held)


@pytest.mark.parametrize("persona", PERSONAS)
def test_nobody_takes_a_way_around(persona: Persona, estate: Estate) -> None:
    place = Place(estate)
    somebody = f"arn:aws:iam::123456789012:role{names.role_path(TEAM)}"
    around = [
        ("s3:DeleteObject", place.artifact("experiments/1/run/artifacts/model.onnx")),
        ("s3:DeleteObjectVersion", place.artifact("data/train.csv")),
        ("dynamodb:PutItem", f"arn:aws:dynamodb:{PLACE}:table/{names.ledger_table(TEAM)}"),
        ("dynamodb:DeleteTable", f"arn:aws:dynamodb:{PLACE}:table/{names.ledger_table(TEAM)}"),
        ("kms:ScheduleKeyDeletion", place.arn("foundation", "AWS::KMS::Key")),
        ("lambda:UpdateFunctionCode", place.arn("tracking", "AWS::Lambda::Function")),
        ("iam:PutRolePolicy", role_of(estate, persona).arn),
        ("iam:DeleteRolePermissionsBoundary", role_of(estate, persona).arn),
        ("iam:PassRole", f"{somebody}{names.member_role(TEAM, MEMBERS['lead'])}"),
        ("sts:AssumeRole", f"{somebody}{names.member_role(TEAM, MEMBERS['lead'])}"),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{PLACE}:stack/labcycle-{TEAM}-tracking/1"),
    ]
    assert [request for request in around if may(estate, persona, *request)] == []


def test_a_scientists_machine_is_nobody_elses(estate: Estate) -> None:
    instance = f"arn:aws:ec2:{PLACE}:instance/i-0123456789abcdef0"
    for persona in PERSONAS:
        own = persona == "data_scientist"
        assert may(estate, persona, "ssm:StartSession", instance, MEMBERS["data_scientist"]) is own
        assert not may(estate, persona, "ssm:StartSession", instance, "somebody-else")


def test_a_scientists_jobs_are_nobody_elses(estate: Estate) -> None:
    job, definition = (f"arn:aws:batch:{PLACE}:{what}" for what in ("job/0a1b", f"job-definition/labcycle-{TEAM}"))
    for persona in PERSONAS:
        own = persona == "data_scientist"
        assert may(estate, persona, "batch:TerminateJob", job, MEMBERS["data_scientist"]) is own
        assert not may(estate, persona, "batch:TerminateJob", job, "somebody-else")
        assert not may(estate, persona, "batch:TagResource", job, MEMBERS["data_scientist"])  # has an owner already
        assert not may(estate, persona, "batch:SubmitJob", f"{definition}-somebody-else:1")
        assert not may(estate, persona, "batch:RegisterJobDefinition", f"{definition}-{MEMBERS[persona]}:1")
        assert not may(estate, persona, "iam:PassRole", f"arn:aws:iam::123456789012:role{names.role_path(TEAM)}x-job")


def test_every_role_has_the_boundary_the_path_and_the_prefix_of_the_team(estate: Estate) -> None:
    found = [role for role in roles(estate) if role.template.tags.get("labcycle:team") == TEAM]
    prefix = f"arn:aws:iam::123456789012:role{names.role_path(TEAM)}labcycle-{TEAM}-"
    for role in found:
        assert role.arn.startswith(prefix), role.arn
        assert role.boundary_arn == f"arn:aws:iam::123456789012:policy/{names.boundary(TEAM)}"
    assert {names.member_role(TEAM, name) for name in MEMBERS.values()} < {role.name for role in found}
    assert len(found) > len(MEMBERS) + 4  # a workspace's, and those of functions and machines
