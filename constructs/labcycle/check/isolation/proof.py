"""For all ordered pairs of teams: no role of the one can do anything to what is the other's.

Every action of IAM on every resource is asked for, with whatever session name, tags and other context a caller could
choose, against the role's policies, its boundary and the resource's own policy.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labcycle.check.estate import Estate
from labcycle.check.iam import NO_RESOURCE, Policies, Policy, Request, could_allow, identity_policy, resource_policy
from labcycle.check.iam import Role as Caller
from labcycle.check.resource_policies import resource_policies
from labcycle.check.roles import Attached, Role

from .actions import actions_on, services, without_resource
from .exceptions import REASONS
from .network import ingress, ways_out
from .report import Break, Exempt, IsolationReport, Pair
from .resources import Owned, owned, team_of, team_roles, uncovered

_VERSION = "2012-10-17"
_EVERYTHING = identity_policy(
    {"Version": _VERSION, "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
    "whatever the caller is allowed",
)
# Actions that make the resource that they name: what they name is not yet anybody's.
_MAKES = {"ec2:RunInstances": (":instance/*", ":volume/*")}
# Only there while a resource is being made: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
_WHILE_MAKING: dict[str, tuple[str, ...]] = {"ec2:CreateAction": ()}


@dataclass(frozen=True)
class _Actor:
    """A role with its policies, read."""

    team: str
    role: Role
    policies: Policies


def isolation(estate: Estate) -> IsolationReport:
    """Hold the roles of every team against the resources of every other, and the networks too.

    Raises
    ------
    PolicyError
        If a policy cannot be evaluated.
    """
    roles = team_roles(estate)
    teams = tuple(sorted(roles))
    actors = [_Actor(team, role, _policies(role)) for team in teams for role in roles[team]]
    checks: dict[Pair, Counter[str]] = {(a, b): Counter() for a in teams for b in teams if a != b}
    breaks = [*_reached(estate, actors, checks), *_moved(estate, actors, checks), *_connected(estate, checks)]
    foreign = [
        f"{actor.role.template.name}/{actor.role.logical_id}: the attached policy {arn}"
        for actor in actors
        for arn in actor.role.foreign_policies
    ]
    return IsolationReport(
        teams=teams,
        checks=checks,
        breaks=tuple(sorted(breaks)),
        exempt=tuple(_exempt(actors)),
        ways_out=tuple(ways_out(estate)),
        uncovered=(*uncovered(estate), *foreign),
    )


def _policies(role: Role) -> Policies:
    return Policies(
        identity=tuple(identity_policy(policy.document, _told(policy)) for policy in role.policies if policy.document),
        boundary=identity_policy(role.boundary.document, _told(role.boundary)) if role.boundary else None,
    )


def _told(policy: Attached) -> str:
    return f"{policy.template.name}/{policy.logical_id}"


def _reached(estate: Estate, actors: Sequence[_Actor], checks: Mapping[Pair, Counter[str]]) -> Iterator[Break]:
    """Roles of one team on resources of another."""
    own_policies = _resource_policies(estate)
    for thing in owned(estate):
        policy = own_policies.get(thing.stands_for)
        asked = [
            (action.name, _context(thing, action.tells_tags))
            for action in actions_on(thing.arn)
            if not thing.arn.endswith(_MAKES.get(action.name, ("\0",)))
        ]
        for actor in actors:
            if actor.team == thing.team:
                continue
            counted = checks[actor.team, thing.team]
            for action, context in asked:
                counted[action.partition(":")[0]] += 1
                request = Request(Caller(actor.role.arn), action, thing.arn, thing.account, context)
                statement = could_allow(request, _bearing(actor.policies, action, policy))
                if statement is not None:
                    yield Break(actor.team, thing.team, actor.role.name, action, thing.arn, str(statement))


def _context(thing: Owned, tells_tags: bool) -> dict[str, str | tuple[str, ...]]:
    """What is known of a request on a resource; everything else is the caller's choice."""
    return {f"aws:ResourceTag/{key}": value if tells_tags else () for key, value in thing.tags.items()} | _WHILE_MAKING


def _bearing(own: Policies, action: str, policy: Policy | None) -> Policies:
    """The policies on a request. Who may assume a role is the trust policy's alone: the caller may be allowed whatever."""
    if action.startswith("sts:"):
        return Policies((_EVERYTHING,), resource=policy)
    if action.startswith("iam:"):
        return own  # a trust policy says nothing of them
    return Policies(own.identity, own.boundary, resource=policy)


def _resource_policies(estate: Estate) -> dict[str, Policy]:
    found: dict[str, tuple[Attached, ...]] = defaultdict(tuple, resource_policies(estate))
    for template, logical_id, _ in estate.resources("AWS::KMS::Key"):
        account, partition = estate.account(template), estate.partition(template)
        if estate.arn(template, logical_id) not in found:  # the policy that a key has by default
            root = {"AWS": f"arn:{partition}:iam::{account}:root"}
            statement = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
            document = {"Version": _VERSION, "Statement": [statement]}
            found[estate.arn(template, logical_id)] += (Attached(template, logical_id, document, "Properties"),)
    for roles in team_roles(estate).values():
        for role in roles:
            found[role.arn] += (Attached(role.template, role.logical_id, role.trust, "Properties"),)
    return {arn: _merged(policies) for arn, policies in found.items()}


def _merged(policies: Sequence[Attached]) -> Policy:
    read = [resource_policy(policy.document, _told(policy)) for policy in policies]
    return Policy(read[0].name, tuple(statement for policy in read for statement in policy.statements))


def _moved(estate: Estate, actors: Sequence[_Actor], checks: Mapping[Pair, Counter[str]]) -> Iterator[Break]:
    """Metrics that an alarm of one team reads and a role of another could write: the namespace is all that bounds it."""
    for template, logical_id, _ in estate.resources("AWS::CloudWatch::Alarm"):
        owner = team_of(estate, template, logical_id)
        namespace = estate.text(template, template.properties(logical_id).get("Namespace", ""))
        if not owner or not namespace or namespace.startswith("AWS/"):  # AWS alone writes to its own
            continue
        for actor in actors:
            if actor.team == owner:
                continue
            checks[actor.team, owner]["cloudwatch"] += 1
            caller = Caller(actor.role.arn)
            context = {"cloudwatch:namespace": namespace}
            request = Request(caller, "cloudwatch:PutMetricData", NO_RESOURCE, estate.account(template), context)
            statement = could_allow(request, actor.policies)
            if statement is not None and estate.account(actor.role.template) == estate.account(template):
                told = f"metrics of {namespace}, which {estate.name(template, logical_id)} reads"
                yield Break(actor.team, owner, actor.role.name, request.action, told, str(statement))


def _connected(estate: Estate, checks: Mapping[Pair, Counter[str]]) -> Iterator[Break]:
    """Security groups of one team that let in what could be another's."""
    for rule in ingress(estate):
        for (team, owner), counted in checks.items():
            if owner == rule.team:
                counted["network"] += 1
                if rule.peer_team in ("", team):
                    yield Break(team, owner, "any machine", "connect", rule.group, rule.told)


def _exempt(actors: Sequence[_Actor]) -> Iterator[Exempt]:
    """Actions that roles have and that cannot be kept to a team."""
    found: dict[str, list[str]] = defaultdict(list)
    for actor in actors:
        for service in _named(actor.policies.identity):
            for action in without_resource(service):
                request = Request(Caller(actor.role.arn), action, NO_RESOURCE)
                if could_allow(request, actor.policies) is not None:
                    found[action].append(actor.role.name)
    for action, roles in sorted(found.items()):
        yield Exempt(action, tuple(sorted(roles)), REASONS.get(action, ""))


def _named(policies: Sequence[Policy]) -> tuple[str, ...]:
    """The services that policies could allow an action of."""
    named: set[str] = set()
    for statement in (s for policy in policies for s in policy.statements if s.allows):
        named |= {action.partition(":")[0] for action in statement.actions or ("*",)}
    return tuple(sorted(named)) if all(service in services() for service in named) else services()
