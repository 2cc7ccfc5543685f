"""What every other part of a team stands on: key, audit buckets, roles of the members, event bus, notices."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack, Tags
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from labcycle._dead_letters import dead_letter_queue, dead_letters_alarm
from labcycle.config import Member, SignIn, Stage, names
from labcycle.foundation.audit_buckets import anchor_bucket, log_bucket
from labcycle.foundation.boundary import generated_names
from labcycle.foundation.notices import notice_topic
from labcycle.foundation.sign_in import principal_of
from labcycle.foundation.team_key import team_key

LONGEST_SESSION = Duration.hours(12)
ANCHORS_LOCKED_IN_PRODUCTION = Duration.days(3650)
ANCHORS_LOCKED_ELSEWHERE = Duration.days(30)


class TeamFoundation(Construct):
    """Key, log and anchor buckets, a role a member, event bus, notice topic and dead letters of one team.

    Whatever of the team calls and is not heard leaves a letter in the one queue, whose alarm tells the topic: 0.10 USD a
    month for the team, however many models it has.

    Nothing here refers to what is built on it. The roles have no policies of their own: each capability adds its
    grants in its own stack, through `iam.Role.from_role_name(..., names.member_role(team, member))`.

    A role may be held for 12 hours, a long working day; where one role is taken from another, as with Identity Center,
    AWS ends the session after one hour whatever is set here.

    Parameters
    ----------
    team
        Name of the team; part of the names of buckets, topic, bus and roles.
    owner
        E-mail address that gets the notices, after its confirmation.
    stage
        `production` locks anchors for ten years in compliance mode, the other stages for 30 days in governance mode.
        A `sandbox` gives up its key when it is destroyed (30 days of waiting); the others retain it. Buckets are always
        retained, since S3 deletes none that holds objects.
    members
        The people; each gets the role `labcycle-<team>-<member>`.
    sign_in
        Permission set and providers by which members sign in. Absent: only members that are IAM users can.

    Raises
    ------
    ValueError
        If a member signs in by something that `sign_in` does not name, or two members have one name.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        owner: str,
        stage: Stage,
        members: Sequence[Member],
        sign_in: SignIn | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        if len({member.name for member in members}) != len(members):
            raise ValueError(
                f"members: got {[member.name for member in members]}; each member needs a name of their own."
            )
        # The boundary and the roles of the members know what belongs to the team by this tag.
        Tags.of(self).add("labcycle:team", team)
        Tags.of(self).add("labcycle:stage", stage)  # of a sandbox, the gate asks for no retention
        production = stage == "production"
        self.key: kms.Key = team_key(self, "Key", team=team, retain=stage != "sandbox")
        self.logs_bucket: s3.Bucket = log_bucket(self, "Logs", team=team)
        self.anchors_bucket: s3.Bucket = anchor_bucket(
            self,
            "Anchors",
            team=team,
            logs=self.logs_bucket,
            locked_for=ANCHORS_LOCKED_IN_PRODUCTION if production else ANCHORS_LOCKED_ELSEWHERE,
            compliance=production,
        )
        self.bus: events.EventBus = events.EventBus(self, "Bus", event_bus_name=names.event_bus(team))
        self.topic: sns.Topic = notice_topic(self, "Notices", team=team, owner=owner, key=self.key)
        self.dead_letters: sqs.Queue = self._dead_letters(team)
        self.member_roles: dict[str, iam.Role] = {
            member.name: self._role(team, member, sign_in or SignIn()) for member in members
        }

    def _dead_letters(self, team: str) -> sqs.Queue:
        stack = Stack.of(self)
        queue = dead_letter_queue(self, "DeadLetters", name=names.dead_letter_queue(team))
        rules = f"arn:{stack.partition}:events:{stack.region}:{stack.account}:rule/{generated_names(team)}"
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Rules",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"ArnLike": {"aws:SourceArn": rules}},
            )
        )
        alarm = dead_letters_alarm(self, "DeadLettersAlarm", queue=queue, whose=f"the team {team}")
        alarm.add_alarm_action(actions.SnsAction(self.topic))  # whose policy lets all of the account's alarms in
        return queue

    def _role(self, team: str, member: Member, sign_in: SignIn) -> iam.Role:
        role = iam.Role(
            self,
            f"Member{member.name}",
            path=names.role_path(team),
            role_name=names.member_role(team, member.name),
            assumed_by=principal_of(member, sign_in, Stack.of(self)),
            max_session_duration=LONGEST_SESSION,
            description=f"Member {member.name} of the team {team}: {', '.join(member.roles)}",
        )
        Tags.of(role).add("labcycle:member", member.name)
        return role
