"""Queues for jobs of experiments, and what a member's jobs may do."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import RemovalPolicy, Stack, Tags
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._dead_letters import own_dead_letters
from labcycle._functions import let_logs_use, log_group
from labcycle._grants import allow, allow_key
from labcycle._keys import own_key
from labcycle._notices import let_rule_tell
from labcycle._security_groups import closed_group
from labcycle._tasks import tasks_of
from labcycle.compute.machines import Kind, Machines, let_machines_use, shares
from labcycle.config import Compute, Member, names

COMMAND = ("python", "-m", "labcycle.sweeps.lane")
INTERRUPTED = "Host EC2*"
_ATTEMPTS = 10


class ExperimentCompute(Construct):
    """Queues of AWS Batch for the jobs of a team's data scientists, on machines that end with their jobs. Idle, it costs nothing but its
    key, where it has one of its own.

    On spot, the machines of a job cost about a third (0.02 USD an hour and virtual processor instead of 0.05), and AWS may take them
    back: such a job begins again, up to ten times; one that fails by itself does not. A quarter of the processors is on demand, for
    when there is no spot or all of it works.

    Each data scientist has a job definition `labcycle-<team>-<member>`, whose jobs run as the role `labcycle-<team>-<member>-job`, so
    that the ledger knows whose runs they log. A job that cannot start does not block the queue: it is cancelled after ten minutes
    where it never could, after six hours where there is no capacity.

    Parameters
    ----------
    members
        Those with the role `data_scientist` have jobs.
    compute
        What the team file says of it.
    vpc
        Its private subnets need a way to the tracking API and to the image: NAT.
    tracking_url
        Address of the tracking API.
    artifact_bucket
        Where sweeps lie below `data/sweeps/`.
    encryption_key
        Encrypts disks and logs; the policy of a key of another stack must let Auto Scaling and CloudWatch Logs use it. Absent: a key of
        its own is created, with rotation.
    notice_topic
        Is told of jobs that broke off. Absent: nobody is.
    dead_letters
        Where a notice goes that cannot be delivered. Absent: to a queue of its own, with an alarm (0.10 USD a month).

    Raises
    ------
    ValueError
        If there is no data scientist, or the VPC has no private subnet.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        members: Sequence[Member],
        compute: Compute,
        vpc: ec2.IVpc,
        tracking_url: str,
        artifact_bucket: s3.IBucket,
        encryption_key: kms.IKey | None = None,
        notice_topic: sns.ITopic | None = None,
        dead_letters: sqs.IQueue | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        scientists = [member for member in members if "data_scientist" in member.roles]
        if not scientists:
            raise ValueError("members: got nobody with the role data_scientist; jobs are for data scientists.")
        if not vpc.private_subnets:
            raise ValueError(
                "vpc: got one without private subnets; machines have no public address and need one with NAT."
            )
        # By these tags members are kept to their own jobs, and teams apart.
        Tags.of(self).add("labcycle:team", team)
        self._team, self._compute, self._bucket = team, compute, artifact_bucket
        self.encryption_key: kms.IKey = encryption_key or own_key(self, "Key", removal=RemovalPolicy.DESTROY)
        let_logs_use(self.encryption_key, self)
        let_machines_use(self.encryption_key, self)
        self.security_group = closed_group(self, "Group", vpc=vpc, whose=f"Jobs of the team {team}")
        self.log_group = log_group(self, "Log", key=self.encryption_key, name=names.job_log_group(team))
        wanted: dict[Kind, tuple[int, bool]] = {"cpu": (compute.max_vcpus, compute.spot)}
        if compute.gpu is not None:
            wanted["gpu"] = (compute.gpu.max_vcpus, compute.gpu.spot)
        self.machines: dict[Kind, Machines] = {
            kind: Machines(
                self,
                kind.capitalize(),
                team=team,
                kind=kind,
                queue_name=names.job_queue(team, kind),
                max_vcpus=vcpus,
                spot=spot,
                vpc=vpc,
                security_group=self.security_group,
                key=self.encryption_key,
                images=[compute.image],
                log_group=self.log_group,
            )
            for kind, (vcpus, spot) in wanted.items()
        }
        self.roles: dict[str, iam.Role] = {}
        for member in scientists:
            self.roles[member.name] = self._role(member)
            self._definition(member, tracking_url)
        if notice_topic is not None:
            letters = dead_letters or own_dead_letters(
                self, "DeadLetters", whose=f"jobs of the team {team}", topic=notice_topic, key=self.encryption_key
            )
            self._tell_of_broken_jobs(notice_topic, letters)
        ssm.StringParameter(
            self,
            "Queues",
            parameter_name=names.compute_parameter(team),
            string_value=Stack.of(self).to_json_string(
                {
                    "bucket": artifact_bucket.bucket_name,
                    "queues": {
                        kind: {"largest_vcpus": max(shares(kind, vcpus, spot=spot).values()), "spot": spot}
                        for kind, (vcpus, spot) in wanted.items()
                    },
                }
            ),
            description=f"Queues for jobs of the team {team}",
        )

    def grant_run(self, member: str, grantee: iam.IGrantable) -> None:
        """Let `grantee` submit and stop jobs of `member`, and nobody else's; see all jobs, and query what they print."""
        stack = Stack.of(self)

        def arn(resource: str) -> str:
            return f"arn:{stack.partition}:batch:{stack.region}:{stack.account}:{resource}"

        # The definition names the role, which who submits cannot replace. Requests bear its revision; the reference has the name
        # alone, and the new job besides: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
        definition = arn(f"job-definition/{names.job_definition(self._team, member)}")
        queues = [arn(f"job-queue/{names.job_queue(self._team, kind)}") for kind in self.machines]
        allow(grantee, ["batch:SubmitJob"], [definition, f"{definition}:*", *queues])
        own = {"labcycle:team": self._team, "labcycle:member": member}
        tagged: dict[str, object] = {f"aws:RequestTag/{key}": value for key, value in own.items()}
        # A new job has the tags of its owner, and one that has an owner is not given another.
        untagged: dict[str, dict[str, object]] = {
            "Null": {"aws:ResourceTag/labcycle:member": "true"},
            "StringEquals": tagged,
        }
        allow(grantee, ["batch:SubmitJob", "batch:TagResource"], [arn("job/*")], untagged)
        of_own = {"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in own.items()}}
        allow(grantee, ["batch:TerminateJob"], [arn("job/*")], of_own)
        allow(grantee, ["batch:DescribeJobs", "batch:ListJobs"], ["*"])  # they take no resource
        allow(grantee, ["logs:GetQueryResults", "logs:StartQuery"], [self.log_group.log_group_arn])
        parameter = names.compute_parameter(self._team).lstrip("/")
        allow(
            grantee,
            ["ssm:GetParameter"],
            [stack.format_arn(service="ssm", resource="parameter", resource_name=parameter)],
        )

    def _role(self, member: Member) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            f"Role{member.name}",
            path=names.role_path(self._team),
            role_name=names.job_role(self._team, member.name),
            assumed_by=tasks_of(self),
            description=f"Jobs of {member.name} of the team {self._team}",
        )
        Tags.of(role).add("labcycle:member", member.name)
        bucket = self._bucket
        allow(role, ["s3:GetObject"], [bucket.arn_for_objects(below) for below in ("data/*", "experiments/*")])
        # A lane notes which job it is of, and where it broke off.
        noted = f"{names.sweep_prefix()}*/jobs/*"
        allow(
            role,
            ["s3:AbortMultipartUpload", "s3:PutObject"],
            [bucket.arn_for_objects(below) for below in ("experiments/*", noted)],
        )
        listing = {"StringLike": {"s3:prefix": ["data/*", "experiments/*"]}}
        allow(role, ["s3:ListBucket"], [bucket.bucket_arn], listing)
        allow_key(role, self.encryption_key, "write objects", region=stack.region)
        return role

    def _definition(self, member: Member, tracking_url: str) -> batch.CfnJobDefinition:
        stack = Stack.of(self)
        variables = {
            "MLFLOW_TRACKING_URI": tracking_url,
            "MLFLOW_TRACKING_AUTH": "labcycle",
            "LABCYCLE_BUCKET": self._bucket.bucket_name,
            "LABCYCLE_IMAGE": self._compute.image,
            "AWS_DEFAULT_REGION": stack.region,
        }
        definition = batch.CfnJobDefinition(
            self,
            f"Definition{member.name}",
            type="container",
            job_definition_name=names.job_definition(self._team, member.name),
            platform_capabilities=["EC2"],
            container_properties=batch.CfnJobDefinition.ContainerPropertiesProperty(
                image=self._compute.image,
                command=list(COMMAND),
                job_role_arn=self.roles[member.name].role_arn,
                environment=[
                    batch.CfnJobDefinition.EnvironmentProperty(name=name, value=value)
                    for name, value in variables.items()
                ],
                resource_requirements=[
                    batch.CfnJobDefinition.ResourceRequirementProperty(type="VCPU", value="1"),
                    batch.CfnJobDefinition.ResourceRequirementProperty(type="MEMORY", value="2048"),
                ],
                privileged=False,
                log_configuration=batch.CfnJobDefinition.LogConfigurationProperty(
                    log_driver="awslogs",
                    options={
                        "awslogs-group": self.log_group.log_group_name,
                        "awslogs-region": stack.region,
                        "awslogs-stream-prefix": member.name,
                    },
                ),
            ),
            retry_strategy=batch.CfnJobDefinition.RetryStrategyProperty(
                attempts=_ATTEMPTS,
                evaluate_on_exit=[
                    batch.CfnJobDefinition.EvaluateOnExitProperty(action="RETRY", on_status_reason=INTERRUPTED),
                    batch.CfnJobDefinition.EvaluateOnExitProperty(action="EXIT", on_reason="*"),
                ],
            ),
        )
        Tags.of(definition).add("labcycle:member", member.name)
        return definition

    def _tell_of_broken_jobs(self, topic: sns.ITopic, dead_letters: sqs.IQueue) -> None:
        """Of an array once, not of each of its children; and not of what a member stopped."""
        events.Rule(
            self,
            "Broken",
            description=f"Jobs of the team {self._team} that broke off",
            event_pattern=events.EventPattern(
                source=["aws.batch"],
                detail_type=["Batch Job State Change"],
                detail={
                    "status": ["FAILED"],
                    "jobQueue": [machines.queue.attr_job_queue_arn for machines in self.machines.values()],
                    "arrayProperties": {"index": [{"exists": False}]},
                    "statusReason": [{"anything-but": {"prefix": names.JOB_STOPPED}}],
                },
            ),
            targets=[
                targets.SnsTopic(
                    topic,
                    dead_letter_queue=dead_letters,
                    message=events.RuleTargetInput.from_text(
                        f"A job of the team {self._team} broke off: {events.EventField.from_path('$.detail.jobName')} "
                        f"({events.EventField.from_path('$.detail.statusReason')}). See labcycle sweep status, and the log group "
                        f"{names.job_log_group(self._team)}. labcycle sweep resume goes on with what is left."
                    ),
                )
            ],
        )
        let_rule_tell(self, topic, self.encryption_key)
