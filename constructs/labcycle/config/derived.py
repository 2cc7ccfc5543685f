"""The AWS names that a team file leads to, with the limit of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import names
from .problem import Path
from .target import Target
from .team import Team

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET_LIMIT = 63
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
ROLE_LIMIT = 64
POLICY_LIMIT = 128
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
TABLE_LIMIT = 255
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-using-console-create-stack-parameters.html
STACK_LIMIT = 128
# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
TOPIC_LIMIT = 256
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html
BUS_LIMIT = 256
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
TRAINING_JOB_LIMIT = 63
# https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html
JOB_LIMIT = 128
_TRAINING_JOB_DIGEST = "0" * 12  # what the reaction appends for each execution


@dataclass(frozen=True)
class DerivedName:
    """A name that AWS sees, and the part of the file that it is made from.

    Parameters
    ----------
    part, path
        The name in the file, and where it stands.
    limit
        Longest name that AWS allows, in characters.
    """

    kind: str
    text: str
    limit: int
    part: str
    path: Path


def team_names(team: Team, target: Target) -> Iterator[DerivedName]:
    """Every name that `team` makes in `target`."""
    name, path = team.team, ("team",)
    bucket = names.bucket(name, "artifacts", target.account, target.region)  # the longest of its buckets' names
    yield DerivedName("bucket", bucket, BUCKET_LIMIT, name, path)
    yield DerivedName("IAM policy", names.boundary(name), POLICY_LIMIT, name, path)
    yield DerivedName("table", names.ledger_table(name), TABLE_LIMIT, name, path)
    yield DerivedName("topic", names.notice_topic(name), TOPIC_LIMIT, name, path)
    yield DerivedName("event bus", names.event_bus(name), BUS_LIMIT, name, path)
    for stack in ("guardrails", "foundation", "tracking", "workspaces", "compute"):
        yield DerivedName("stack", f"{names.team_stage(name)}-{stack}", STACK_LIMIT, name, path)
    for i, member in enumerate(team.members):
        where: Path = ("members", i, "name")
        scientist = "data_scientist" in member.roles
        yield DerivedName("IAM role", names.member_role(name, member.name), ROLE_LIMIT, member.name, where)
        if team.workspaces is not None and scientist:
            yield DerivedName("IAM role", names.workspace_role(name, member.name), ROLE_LIMIT, member.name, where)
        if team.compute is not None and scientist:
            yield DerivedName("IAM role", names.job_role(name, member.name), ROLE_LIMIT, member.name, where)
            job = names.job_definition(name, member.name)
            yield DerivedName("job definition", job, JOB_LIMIT, member.name, where)
    for i, model in enumerate(team.models):
        stack = f"{names.team_stage(name)}-{names.model_stack(model.name)}"
        yield DerivedName("stack", stack, STACK_LIMIT, model.name, ("models", i, "name"))
        if model.retrain is not None:
            job = names.training_job_prefix(name, model.name) + _TRAINING_JOB_DIGEST
            yield DerivedName("training job", job, TRAINING_JOB_LIMIT, model.name, ("models", i, "name"))
