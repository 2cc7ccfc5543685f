"""The stack of a team's ledger."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Annotations, ArnFormat, CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from labcycle._grants import allow, allow_key
from labcycle.config import Member, Target, Team, names, subjects_of
from labcycle.platform import contract
from labcycle.platform.personas import rights_of
from labcycle.platform.retained import say_what_is_retained
from labcycle.serving.batch_scoring import let_use_folder
from labcycle.tracking import Access, CustodyAnchors, CustodyOutbox, ExperimentTracking, TrackingAlarms


class TrackingStack(Stack):
    """Ledger table, artifact bucket and the API, with the rights of every member on them."""

    def __init__(self, scope: Construct, *, team: Team, target: Target, key: kms.IKey) -> None:
        super().__init__(
            scope,
            "tracking",
            description=f"labcycle: experiment tracking of the team {team.team}",
            termination_protection=team.stage == "production",
        )
        self._key = key
        notices, letters = contract.notices(self, team.team), contract.dead_letters(self, team.team)
        retain = team.stage != "sandbox"
        self.tracking = ExperimentTracking(
            self,
            "Tracking",
            team=team.team,
            encryption_key=key,
            artifact_retention=Duration.days(team.tracking.artifact_retention_days),
            retain_data=retain,
            retention_rules=team.tracking.retention,
            models_with_outcomes=[
                model.name
                for model in team.models
                if model.monitor and (model.monitor.performance or model.monitor.outcome)
            ],
            prediction_days={
                model.name: model.monitor.prediction_days
                for model in team.models
                if model.monitor and model.monitor.logs_predictions
            },
            requests_per_second=team.tracking.requests_per_second,
            burst=team.tracking.burst,
            notice_topic=notices,
            access_logs_bucket=contract.access_logs(self, team.team),
            access=Access(
                {member.name: rights_of(member.roles) for member in team.members},
                team.tracking.issuers,
                subjects_of(team, target),
            ),
        )
        Annotations.of(self.tracking.artifact_bucket).acknowledge_warning(
            "@aws-cdk/aws-s3:accessLogsPolicyNotAdded", "the foundation's log bucket has the statement"
        )
        TrackingAlarms(
            self,
            "Alarms",
            team=team.team,
            function=self.tracking.tracking_function,
            notice_topic=notices,
            encryption_key=key,
        )
        self.anchors = CustodyAnchors(
            self,
            "Anchors",
            team=team.team,
            ledger=self.tracking.table,
            bucket=contract.anchors(self, team.team),
            encryption_key=key,
            notice_topic=notices,
            dead_letters=letters,
        )
        self.outbox = CustodyOutbox(
            self,
            "Outbox",
            team=team.team,
            ledger=self.tracking.table,
            bus=contract.event_bus(self, team.team),
            encryption_key=key,
            dead_letters=letters,
        )
        roles = {member.name: self._grant(team, member) for member in team.members}
        self._let_use_tracking(team, roles)
        self._let_invoke_models(team, roles)
        if any(model.promotion for model in team.models):
            self.tracking.let_promote_in_steps()
        for model in team.models:
            if model.external and model.monitor and model.monitor.logs_predictions:
                self.tracking.let_keep_records(model.name)
        # Exported also while no workspaces stack imports them: an export that vanished with the last import could not be
        # removed before the stack that still holds it.
        self.export_value(self.tracking.api.api_id)
        self.export_value(self.tracking.artifact_bucket.bucket_arn)
        CfnOutput(self, "TrackingUrl", value=self.tracking.url, description="MLFLOW_TRACKING_URI of the team")
        for issuer, door in self.tracking.token_doors.items():
            said = f"MLFLOW_TRACKING_URI for those with a token of {issuer}"
            CfnOutput(self, names.token_url_output(issuer), value=door.url, description=said)
        CfnOutput(self, "ArtifactBucket", value=self.tracking.artifact_bucket.bucket_name)
        CfnOutput(self, "AnchoringFunction", value=self.anchors.function.function_name, description="Call it with {}")
        bucket, table = self.tracking.artifact_bucket.bucket_name, self.tracking.table.table_name
        say_what_is_retained(
            self,
            f"The bucket {bucket}, since S3 deletes none that holds objects"
            + (f"; the table {table}, which is protected from deletion." if retain else "."),
        )

    def _grant(self, team: Team, member: Member) -> iam.IRole:
        role = contract.member_role(self, team.team, member.name)
        rights = rights_of(member.roles)
        bucket = self.tracking.artifact_bucket
        if "promote" in rights:
            self.tracking.grant_promote(role)
        if "erase" in rights and team.tracking.retention:
            self.tracking.grant_erase(role)
        if "operate" in rights:  # of all models; an alarm is asked for by its name or the beginning of it
            alarms = f"arn:{self.partition}:cloudwatch:{self.region}:{self.account}:alarm:labcycle-{team.team}-*"
            allow(role, ["cloudwatch:DescribeAlarms"], [alarms])
            allow(role, ["cloudwatch:GetMetricData"], ["*"])  # takes no resource
            if any(model.monitor and model.monitor.dashboard for model in team.models):
                dashboards = (
                    f"arn:{self.partition}:cloudwatch::{self.account}:dashboard/{names.dashboard(team.team, '*')}"
                )
                allow(role, ["cloudwatch:GetDashboard"], [dashboards])
        if "publish wheels" in rights:
            allow(role, ["s3:AbortMultipartUpload", "s3:PutObject"], [bucket.arn_for_objects("wheels/*")])
            allow_key(role, self._key, "write objects", region=self.region)
        return role

    def _let_use_tracking(self, team: Team, roles: Mapping[str, iam.IRole]) -> None:
        """One policy for those who log, which lets them read too, and one for those who read alone: a role holds few characters of its own."""
        logging = [roles[member.name] for member in team.members if "log" in rights_of(member.roles)]
        reading = [role for role in roles.values() if role not in logging]
        for construct_id, what, let in (("Log", "log and read", logging), ("Read", "read", reading)):
            if not let:
                continue
            policy = iam.ManagedPolicy(
                self,
                construct_id,
                path=names.role_path(team.team),
                description=f"To {what} what is tracked, team {team.team}",
                roles=let,
            )
            if construct_id == "Log":
                self.tracking.grant_log(policy)
                if team.logs_predictions:
                    self.tracking.grant_read_predictions(policy)
            else:
                self.tracking.grant_read(policy)
            self.anchors.grant_read(policy)

    def _let_invoke_models(self, team: Team, roles: Mapping[str, iam.IRole]) -> None:
        """What members who invoke models need of all models alike: where they are, the folders of batches, the saved queries of their logs. One
        policy for all members, since a role holds few characters of its own."""
        let = [roles[member.name] for member in team.members if "invoke models" in rights_of(member.roles)]
        if not (let and team.models):
            return
        policy = iam.ManagedPolicy(
            self,
            "InvokeModels",
            path=names.role_path(team.team),
            description=f"What all models need to be used, team {team.team}",
            roles=let,
        )
        groups = [
            self.format_arn(
                service="logs", resource="log-group", resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
            )
            for name in names.model_log_groups(team.team)
        ]
        allow(policy, ["logs:GetQueryResults", "logs:StartQuery"], groups)
        allow(policy, ["logs:DescribeQueryDefinitions", "logs:StopQuery"], ["*"])  # they take no resource
        if team.scores_batches:
            let_use_folder(policy, team=team.team, bucket=self.tracking.artifact_bucket, key=self._key)
        if any(model.api for model in team.models):
            parameter = names.model_parameters(team.team).lstrip("/")
            arn = self.format_arn(service="ssm", resource="parameter", resource_name=parameter)
            allow(policy, ["ssm:GetParameter"], [arn])
