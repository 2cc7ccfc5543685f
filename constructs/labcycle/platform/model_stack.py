"""The stack of one model: its service, its batches, its monitor and its reaction, as the team file says."""

from __future__ import annotations

import json

from aws_cdk import ArnFormat, CfnOutput, Duration, Size, Stack, Tags
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._grants import allow
from labcycle.config import (
    ApiDelivery,
    AsynchronousDelivery,
    EndpointDelivery,
    FargateDelivery,
    Model,
    RealTimeDelivery,
    ServerlessDelivery,
    Target,
    Team,
    names,
)
from labcycle.monitoring import ModelDashboard, ModelMonitor, ModelReaction, Panel, SavedQueries
from labcycle.monitoring.saved_queries import Log
from labcycle.platform import contract
from labcycle.platform.personas import rights_of
from labcycle.serving import (
    Asynchronous,
    BatchScoring,
    FargateModelService,
    ModelPromotion,
    ModelRuntime,
    ModelService,
    RealTime,
    SageMakerModelService,
    ScheduledReport,
    ServedElsewhere,
    Serverless,
)
from labcycle.serving.model_api import publish_runtime
from labcycle.serving.model_service import MEMORY_MIB


class ModelStack(Stack):
    """Outputs, with an api `ModelUrl`, and `ServerFunction` (and `ShadowFunction`), or `ServerCluster` and `ServerService`, or
    `ServerEndpoint`; with a promotion `PromotionStateMachine`; with batches `BatchStateMachine`; with a monitor `EvaluatorFunction`,
    `DriftAlarm` and those of what else is watched; with a reaction also `ReactionStateMachine`; with a report `ReportFunction`.
    """

    def __init__(self, scope: Construct, *, team: Team, target: Target, model: Model, key: kms.IKey) -> None:
        super().__init__(
            scope,
            names.model_stack(model.name),
            description=f"labcycle: the model {model.name} of the team {team.team}",
            termination_protection=team.stage == "production",
        )
        self._team, self._target, self._model, self._key = team, target, model, key
        self._ledger = contract.ledger(self, team.team, key)
        self._artifacts = contract.artifacts(self, team.team, key)
        self._notices = contract.notices(self, team.team)
        self._dead_letters = contract.dead_letters(self, team.team)
        self._runtime = _runtime_of(team, model)
        self.service = self._service()
        self.promotion = self._promotion()
        self.batch = self._batch()
        self.elsewhere = self._elsewhere()
        self.monitor = self._monitor()
        self.reaction = self._reaction()
        self.report = self._report()
        self._declare()
        self.queries = self._queries()
        self.dashboard = self._dashboard()
        self._grant()
        Tags.of(self).add("labcycle:model", model.name)

    def _service(self) -> ModelService | FargateModelService | SageMakerModelService | None:
        api = self._model.api
        if api is None:
            return None
        if isinstance(api, FargateDelivery):
            return self._fargate_service(api)
        if isinstance(api, EndpointDelivery):
            return self._sagemaker_service(api)
        service = ModelService(
            self,
            "Service",
            team=self._team.team,
            model=self._model.name,
            ledger=self._ledger,
            artifact_bucket=self._artifacts,
            encryption_key=self._key,
            notice_topic=self._notices,
            memory=Size.mebibytes(api.memory_mb),
            timeout=Duration.seconds(api.timeout_seconds),
            requests_per_second=api.requests_per_second,
            burst=api.burst,
            app=self._model.app is not None,
            consumers=api.consumers,
            reserved_concurrency=api.concurrency,
            shadow_concurrency=api.shadow.concurrency if api.shadow else None,
            start=api.start,
            runtime=self._runtime,
            monitor=self._model.monitor,
        )
        CfnOutput(self, "ModelUrl", value=service.url, description="POST /invocations, signed")
        CfnOutput(self, "ServerFunction", value=service.function.function_name)
        if service.shadow_function:
            CfnOutput(self, "ShadowFunction", value=service.shadow_function.function_name)
        return service

    def _fargate_service(self, api: FargateDelivery) -> FargateModelService:
        service = FargateModelService(
            self,
            "Service",
            team=self._team.team,
            model=self._model.name,
            vpc=contract.network(self, self._target),
            ledger=self._ledger,
            artifact_bucket=self._artifacts,
            encryption_key=self._key,
            notice_topic=self._notices,
            dead_letters=self._dead_letters,
            cpu=api.cpu,
            memory=Size.mebibytes(api.memory_mb),
            minimum_tasks=api.minimum_tasks,
            maximum_tasks=api.maximum_tasks,
            off_hours=api.off_hours,
            timeout=Duration.seconds(api.timeout_seconds),
            requests_per_second=api.requests_per_second,
            burst=api.burst,
            app=self._model.app is not None,
            deletion_protection=self._team.stage == "production",
            runtime=self._runtime,
            monitor=self._model.monitor,
        )
        CfnOutput(self, "ModelUrl", value=service.url, description="POST /invocations, signed")
        CfnOutput(self, "ServerCluster", value=service.service.cluster.cluster_name)
        CfnOutput(self, "ServerService", value=service.service.service_name)
        return service

    def _sagemaker_service(
        self, api: RealTimeDelivery | ServerlessDelivery | AsynchronousDelivery
    ) -> SageMakerModelService:
        service = SageMakerModelService(
            self,
            "Service",
            team=self._team.team,
            model=self._model.name,
            endpoint=self._endpoint(api),
            ledger=self._ledger,
            artifact_bucket=self._artifacts,
            encryption_key=self._key,
            notice_topic=self._notices,
            timeout=Duration.seconds(api.timeout_seconds),
            requests_per_second=api.requests_per_second,
            burst=api.burst,
            runtime=self._runtime,
            app=self._model.app is not None,
            monitor=self._model.monitor,
        )
        CfnOutput(self, "ModelUrl", value=service.url, description="POST /invocations, signed")
        CfnOutput(self, "ServerEndpoint", value=service.endpoint_name)
        return service

    def _endpoint(
        self, api: RealTimeDelivery | ServerlessDelivery | AsynchronousDelivery
    ) -> RealTime | Serverless | Asynchronous:
        if isinstance(api, ServerlessDelivery):
            return Serverless(Size.mebibytes(api.memory_mb), api.maximum_concurrency)
        vpc = contract.network(self, self._target)
        if isinstance(api, AsynchronousDelivery):
            return Asynchronous(vpc, api.instance_type, api.minimum_instances, api.maximum_instances, api.concurrency)
        return RealTime(vpc, api.instance_type, api.minimum_instances, api.maximum_instances, api.off_hours)

    def _promotion(self) -> ModelPromotion | None:
        policy, api = self._model.promotion, self._model.api
        if policy is None or api is None:
            return None
        promotion = ModelPromotion(
            self,
            "Promotion",
            team=self._team.team,
            model=self._model.name,
            ledger=self._ledger,
            artifact_bucket=self._artifacts,
            encryption_key=self._key,
            notice_topic=self._notices,
            dead_letters=self._dead_letters,
            server_memory=Size.mebibytes(min(api.memory_mb, MEMORY_MIB[1])),
            server_timeout=Duration.seconds(api.timeout_seconds),
            canary_percents=policy.canary_percents,
            step=Duration.minutes(policy.step_minutes),
            longest=Duration.hours(policy.longest_hours),
            minimum_requests=policy.minimum_requests,
            complete_runs=policy.complete_runs,
            second_person=policy.second_person,
            newest_data_days=policy.newest_data_days,
            cohorts=self._model.monitor.cohorts if self._model.monitor else (),
            runtime=self._runtime,
        )
        CfnOutput(self, "PromotionStateMachine", value=promotion.state_machine.state_machine_arn)
        return promotion

    def _batch(self) -> BatchScoring | None:
        batch, api = self._model.batch, self._model.api
        if batch is None:
            return None
        default = api.memory_mb if api else ApiDelivery.model_fields["memory_mb"].default
        memory_mb = batch.memory_mb or min(default, MEMORY_MIB[1])  # a task can have more than a function
        scoring = BatchScoring(
            self,
            "Batch",
            team=self._team.team,
            model=self._model.name,
            ledger=self._ledger,
            artifact_bucket=self._artifacts,
            encryption_key=self._key,
            notice_topic=self._notices,
            dead_letters=self._dead_letters,
            schedule=batch.schedule,
            time_zone=batch.time_zone,
            memory=Size.mebibytes(memory_mb),
            concurrency=batch.concurrency,
            tolerated_failure_percent=batch.tolerated_failure_percent,
            runtime=self._runtime,
            monitor=self._model.monitor,
        )
        if api is None:  # else it is the memory of the API that a promotion looks at
            ssm.StringParameter(
                self,
                "Memory",
                parameter_name=names.model_server_memory_parameter(self._team.team, self._model.name),
                string_value=str(memory_mb),
                description=f"Memory of the batches of {self._model.name} in MB",
            )
            if self._runtime:
                publish_runtime(self, self._team.team, self._model.name, self._runtime)
        CfnOutput(self, "BatchStateMachine", value=scoring.state_machine.state_machine_arn)
        return scoring

    def _elsewhere(self) -> ServedElsewhere | None:
        if self._model.external is None:
            return None
        return ServedElsewhere(
            self,
            "Elsewhere",
            team=self._team.team,
            model=self._model.name,
            monitor=self._model.monitor,
            runtime=self._runtime,
        )

    def _monitor(self) -> ModelMonitor | None:
        if self._model.monitor is None:
            return None
        watched = self._model.monitor
        monitor = ModelMonitor(
            self,
            "Monitor",
            team=self._team.team,
            model=self._model.name,
            ledger=self._ledger,
            encryption_key=self._key,
            notice_topic=self._notices,
            dead_letters=self._dead_letters,
            drift=watched.drift,
            cohorts=watched.cohorts,
            performance=watched.performance,
            outcome=watched.outcome,
            artifact_bucket=self._artifacts,
            freshness=watched.freshness,
            requests=self.service.metric_integrated_requests() if self.service else None,
            answered=[cause for one in self._model.react for cause in one.on if cause not in ("schedule", "manual")],
        )
        CfnOutput(self, "EvaluatorFunction", value=monitor.evaluator.function_name)
        for subject, alarm in monitor.alarms.items():
            CfnOutput(self, f"{subject.capitalize()}Alarm", value=alarm.alarm_name)
        return monitor

    def _reaction(self) -> ModelReaction | None:
        if not self._model.react:
            return None
        reaction = ModelReaction(
            self,
            "Retraining",  # as it was called when it did nothing else: another id would replace its resources
            team=self._team.team,
            model=self._model.name,
            ledger=self._ledger,
            artifact_bucket=self._artifacts,
            encryption_key=self._key,
            notice_topic=self._notices,
            dead_letters=self._dead_letters,
            policies=self._model.react,
            alarms=self.monitor.alarms if self.monitor else {},
            retrain=self._model.retrain,
            cohorts=self._model.monitor.cohorts if self._model.monitor else (),
            runtime=self._runtime,
        )
        CfnOutput(self, "ReactionStateMachine", value=reaction.state_machine.state_machine_arn)
        return reaction

    def _report(self) -> ScheduledReport | None:
        report = self._model.report
        if report is None:
            return None
        made = ScheduledReport(
            self,
            "Report",
            team=self._team.team,
            model=self._model.name,
            business_owner=self._model.business_owner,
            ledger=self._ledger,
            artifact_bucket=self._artifacts,
            encryption_key=self._key,
            notice_topic=self._notices,
            dead_letters=self._dead_letters,
            schedule=report.schedule,
            time_zone=report.time_zone,
            sender=report.sender,
            recipients=report.recipients,
            days=report.days,
            drift=self._model.monitor.drift if self._model.monitor else None,
        )
        CfnOutput(self, "ReportFunction", value=made.function.function_name)
        return made

    def _declare(self) -> None:
        """Publish what the life cycle function tells of the model's owner, monitor and reactions."""
        model = self._model
        watched = model.monitor
        said = {
            "business_owner": model.business_owner,
            "monitor": {
                "drift": {
                    "method": watched.drift.method,
                    "limit": watched.drift.limit,
                    "minimum_rows": watched.drift.minimum_rows,
                    "every_minutes": watched.drift.every_minutes,
                    "window_hours": watched.drift.window_hours,
                },
                "cohorts": list(watched.cohorts),
            }
            if watched
            else None,
            "react": [
                {"on": policy.on, "do": policy.do, "schedule": policy.schedule, "time_zone": policy.time_zone}
                for policy in model.react
            ],
        }
        ssm.StringParameter(
            self,
            "Declared",
            parameter_name=names.declared_parameter(self._team.team, model.name),
            string_value=json.dumps(said, separators=(",", ":")),
            description=f"What the team file says of {model.name}",
        )

    def _queries(self) -> SavedQueries:
        groups: dict[Log, list[logs.ILogGroup]] = {"access": [], "server": [], "evaluator": []}
        if self.service:
            groups["access"].append(self.service.access_log)
        if isinstance(self.service, ModelService):
            groups["server"].append(self.service.function.log_group)
        elif self.service:
            groups["server"].append(self.service.log_group)
        if isinstance(self.service, SageMakerModelService):
            groups["server"].append(self.service.door.log_group)
        if self.monitor:
            groups["evaluator"].append(self.monitor.evaluator.log_group)
        return SavedQueries(self, "Queries", team=self._team.team, model=self._model.name, groups=groups)

    def _dashboard(self) -> ModelDashboard | None:
        monitor = self._model.monitor
        if monitor is None or not monitor.dashboard:
            return None
        watched = {"drift": monitor.drift, "performance": monitor.performance, "business": monitor.outcome}
        return ModelDashboard(
            self,
            "Dashboard",
            team=self._team.team,
            model=self._model.name,
            operation=self._operation(),
            alarms=[one for one in self.node.find_all() if isinstance(one, cloudwatch.Alarm)],
            evaluations=self.monitor.evaluator.log_group if self.monitor else None,
            subjects=[subject for subject, settings in watched.items() if settings is not None],
        )

    def _operation(self) -> list[Panel]:
        service = self.service
        if service is None:
            return []
        requests = [service.metric_requests(), service.metric_errors(), service.metric_refused()]
        panels = [
            Panel("Requests, errors (5xx) and refusals (4xx)", "a minute", requests),
            Panel("Time to answer", "ms", [service.metric_latency("p50"), service.metric_latency("p99")]),
        ]
        if isinstance(service, ModelService):
            at_once = service.function.metric("ConcurrentExecutions", statistic="Maximum")
            panels.append(Panel("At once", "requests", [at_once, service.metric_throttled()]))
        elif isinstance(service, FargateModelService):
            panels.append(Panel("Tasks", "percent of their size", [service.metric_cpu(), service.metric_memory()]))
        else:
            panels.append(Panel("Model", "ms", [service.metric_model_latency(), service.metric_overhead_latency()]))
        return panels

    def _grant(self) -> None:
        for member in self._team.members:
            rights = rights_of(member.roles)
            if not rights & {"invoke models", "operate"}:
                continue
            role = contract.member_role(self, self._team.team, member.name)
            if "invoke models" in rights:
                self._grant_invocation(role)
            if "use workspaces" in rights and self._team.workspaces:
                self._grant_invocation(contract.workspace_role(self, self._team.team, member.name))
            if "operate" in rights:
                self._grant_operation(role)

    def _grant_invocation(self, role: iam.IRole) -> None:
        if self.service:
            self.service.grant_invoke(role)
        if isinstance(self.service, ModelService):
            self.service.grant_key(role)
        if self.batch:
            self.batch.grant_start(role)

    def _grant_operation(self, role: iam.IRole) -> None:
        if isinstance(self.service, ModelService):
            self.service.grant_consumers(role)
        called = [self.monitor.evaluator] if self.monitor else []
        called += [self.report.function] if self.report else []
        if called:
            allow(role, ["lambda:InvokeFunction"], [function.function_arn for function in called])
        if self.reaction:
            machine = self.reaction.state_machine
            name = self.split_arn(machine.state_machine_arn, ArnFormat.COLON_RESOURCE_NAME).resource_name
            executions = self.format_arn(
                service="states",
                resource="execution",
                resource_name=f"{name}:*",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            # One statement, since a role holds few characters: each action knows its own kind of the two resources.
            actions = (
                "DescribeExecution GetExecutionHistory ListExecutions RedriveExecution StartExecution StopExecution"
            )
            allow(role, [f"states:{action}" for action in actions.split()], [machine.state_machine_arn, executions])


def _runtime_of(team: Team, model: Model) -> ModelRuntime | None:
    lock, beside = team.lock_of(model), team.next_lock_of(model)
    if model.runtime is None or lock is None:
        return None
    following = model.runtime.next
    return ModelRuntime(
        model.runtime.flavour, lock, ModelRuntime(following.flavour, beside) if following and beside else None
    )
