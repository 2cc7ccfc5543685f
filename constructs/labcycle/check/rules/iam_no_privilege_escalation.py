"""No role can give itself, or take over, more rights than it was given.

The ways are those of Rhino Security Labs (https://github.com/RhinoSecurityLabs/AWS-IAM-Privilege-Escalation), with more of
https://pathfinding.cloud. A role's rights are the sum of its policies in all stacks, within its boundary. To work through
another role is no escalation where that role has the same boundary, and can change no identities itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from labcycle.check.estate import Estate
from labcycle.check.iam.patterns import matches
from labcycle.check.roles import Attached, Role, identity_policies, roles
from labcycle.check.rules import Violation
from labcycle.check.statements import Kind, Statement, boundary_arns, statements_of
from labcycle.check.template import Template

WHY = "Whoever holds such a role holds all rights of the account, or those of a stronger role."
MEND = (
    "Take the action away, or let it stand only for roles that are no stronger and have the same permissions boundary."
)

# Each alone changes what an identity may do, or gives its keys away.
_CHANGES_OF_IDENTITY = (
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreatePolicyVersion",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteUserPermissionsBoundary",
    "iam:PutGroupPolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
)
# With iam:PassRole to the service, each of these starts work of the caller's choice under the passed role.
_STARTS = {
    "cloudformation": (
        ("cloudformation:CreateStack",),
        ("cloudformation:UpdateStack",),
        ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
        ("cloudformation:CreateStackSet", "cloudformation:CreateStackInstances"),
    ),
    "codebuild": (
        ("codebuild:CreateProject", "codebuild:StartBuild"),
        ("codebuild:UpdateProject", "codebuild:StartBuild"),
    ),
    "datapipeline": (("datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition"),),
    "ec2": (
        ("ec2:RunInstances",),
        ("ec2:AssociateIamInstanceProfile",),
        ("ec2:ReplaceIamInstanceProfileAssociation",),
    ),
    "ecs-tasks": (
        ("ecs:RegisterTaskDefinition", "ecs:RunTask"),
        ("ecs:RegisterTaskDefinition", "ecs:StartTask"),
        ("ecs:RegisterTaskDefinition", "ecs:CreateService"),
    ),
    "glue": (
        ("glue:CreateDevEndpoint",),
        ("glue:CreateJob", "glue:StartJobRun"),
        ("glue:UpdateJob", "glue:StartJobRun"),
    ),
    "lambda": (
        ("lambda:CreateFunction", "lambda:InvokeFunction"),
        ("lambda:CreateFunction", "lambda:AddPermission"),
        ("lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
    ),
    "sagemaker": (
        ("sagemaker:CreateNotebookInstance",),
        ("sagemaker:CreateTrainingJob",),
        ("sagemaker:CreateProcessingJob",),
    ),
    "scheduler": (("scheduler:CreateSchedule",),),
    "states": (
        ("states:CreateStateMachine", "states:StartExecution"),
        ("states:UpdateStateMachine", "states:StartExecution"),
    ),
}
# Each works, without passing, under the role that a thing has already.
_TAKES_OVER = (
    "ec2-instance-connect:SendSSHPublicKey",
    "glue:UpdateDevEndpoint",
    "lambda:UpdateFunctionCode",
    "sagemaker:CreatePresignedNotebookInstanceUrl",
    "ssm:SendCommand",
    "ssm:StartSession",
)
_BY_TAG = ("aws:resourcetag/*", "ec2:resourcetag/*", "ssm:resourcetag/*", "sagemaker:resourcetag/*")
# AWS's policies that contain the above: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
_OF_ADMINISTRATORS = (":policy/AdministratorAccess", ":policy/IAMFullAccess")


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for where, violation in _found(estate):
        if where is template:
            yield violation


@dataclass(frozen=True)
class _Holder:
    """Who has rights: a role with all its policies, or a policy of others by itself."""

    name: str
    rights: tuple[Statement, ...]
    role: Role | None = None
    ceiling: tuple[Statement, ...] | None = None

    def grants(self, action: str) -> Iterator[Statement]:
        """The statements by which it may do the action at least somewhere."""
        if _is_denied(action, self.rights) or (self.ceiling is not None and not _is_within(action, self.ceiling)):
            return
        for statement in self.rights:
            if statement.allows and statement.covers_action(action) and not _is_on_oneself(statement):
                yield statement

    def changes_identities(self) -> Iterator[tuple[str, Statement]]:
        for action in _CHANGES_OF_IDENTITY:
            for statement in self.grants(action):
                yield action, statement


@functools.lru_cache(maxsize=2)
def _found(estate: Estate) -> tuple[tuple[Template, Violation], ...]:
    holders = list(_holders(estate))
    by_arn = {holder.role.arn: holder for holder in holders if holder.role}
    found: dict[tuple[Template, str, str], Violation] = {}
    for holder in holders:
        for statement, message in _ways(holder, by_arn, estate):
            violation = Violation(statement.logical_id, f"{holder.name} {message}", f"{statement.property_path}.Action")
            found.setdefault((statement.policy.template, statement.logical_id, violation.message), violation)
        if holder.role:
            for arn in _administrators(holder.role):
                violation = Violation(holder.role.logical_id, f"got {arn}", "Properties.ManagedPolicyArns")
                found[holder.role.template, holder.role.logical_id, arn] = violation
    return tuple((template, violation) for (template, _, _), violation in found.items())


def _holders(estate: Estate) -> Iterator[_Holder]:
    held = set()
    for role in roles(estate):
        rights: list[Statement] = []
        for policy in role.policies:
            held.add((policy.template, policy.logical_id, policy.property_path))
            rights += statements_of(policy, Kind.IDENTITY)
        ceiling = tuple(statements_of(role.boundary, Kind.BOUNDARY)) if role.boundary else None
        yield _Holder(f"the role {role.name}", tuple(rights), role, ceiling)
    for policy in identity_policies(estate):
        if (policy.template, policy.logical_id, policy.property_path) not in held and not _is_ceiling(policy, estate):
            yield _Holder("whoever has the policy", tuple(statements_of(policy, Kind.IDENTITY)))


def _is_ceiling(policy: Attached, estate: Estate) -> bool:
    return estate.arn(policy.template, policy.logical_id) in boundary_arns(estate)


def _ways(holder: _Holder, by_arn: dict[str, _Holder], estate: Estate) -> Iterator[tuple[Statement, str]]:
    for action, statement in holder.changes_identities():
        yield statement, f"can give itself any rights by {action}"
    for statement in holder.grants("iam:PassRole"):
        for service, sets in _STARTS.items():
            for actions in sets if _passes_to(statement, service) else ():
                if all(any(holder.grants(action)) for action in actions):
                    for stronger in _stronger(holder, statement, by_arn):
                        yield statement, f"can work as {stronger} by iam:PassRole and {', '.join(actions)}"
    for action in _TAKES_OVER:
        for statement in holder.grants(action):
            for stronger in _taken_over(holder, statement, by_arn, estate):
                yield statement, f"can work as {stronger} by {action}"


def _stronger(holder: _Holder, passing: Statement, by_arn: dict[str, _Holder]) -> Iterator[str]:
    """Roles that can be passed and should not be. Of a role by name that is not of the estate, nothing is known."""
    for resource in passing.resources or ("*",):
        if resource == "*" or resource.endswith((":*", ":role/*")):
            yield "any role"
        else:
            for arn, other in by_arn.items():
                if matches(resource, arn):
                    yield from _strength(holder, other)


def _strength(holder: _Holder, other: _Holder) -> Iterator[str]:
    assert other.role is not None
    own = holder.role.boundary_arn if holder.role else ""
    if holder is other:
        return
    if own and other.role.boundary_arn != own:
        yield f"{other.name}, which is not within the boundary {own},"
    elif any(True for _ in other.changes_identities()) or any(True for _ in _administrators(other.role)):
        yield f"{other.name}, which can change identities,"


def _taken_over(holder: _Holder, statement: Statement, by_arn: dict[str, _Holder], estate: Estate) -> Iterator[str]:
    if statement.is_narrowed_by(_BY_TAG):
        return
    for resource in statement.resources or ("*",):
        if resource == "*" or (resource.endswith((":*", "/*")) and ":document/" not in resource):
            yield f"whatever has a role of {resource}"
    for template, logical_id, _ in estate.resources("AWS::Lambda::Function"):
        arn = estate.arn(template, logical_id)
        if any(matches(one, arn) for one in statement.resources if ":function:" in one):
            other = by_arn.get(estate.text(template, template.properties(logical_id).get("Role")))
            if other:
                yield from _strength(holder, other)


def _passes_to(statement: Statement, service: str) -> bool:
    named = [one for one in statement.sources if one.key.lower() == "iam:passedtoservice"]
    wanted = f"{service}.amazonaws.com"
    return not named or any(matches(value, wanted) for one in named for value in one.values)


def _is_on_oneself(statement: Statement) -> bool:
    """Whether it is only on the user that calls."""
    return bool(statement.resources) and all("${aws:username}" in one for one in statement.resources)


def _is_within(action: str, ceiling: tuple[Statement, ...]) -> bool:
    return any(one.allows and one.covers_action(action) for one in ceiling) and not _is_denied(action, ceiling)


def _is_denied(action: str, rights: tuple[Statement, ...]) -> bool:
    """Whether it is denied everywhere and always."""
    return any(
        one.effect == "Deny" and not one.conditions and "*" in one.resources and one.covers_action(action)
        for one in rights
    )


def _administrators(role: Role) -> Iterator[str]:
    for arn in role.foreign_policies:
        if arn.endswith(_OF_ADMINISTRATORS):
            yield arn
