"""Keys of those who ask a REST API, each with a usage plan of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle.config import Consumer, names
from labcycle.config.rules import TEAM_KEY

_PERIODS = {"day": "DAY", "week": "WEEK", "month": "MONTH"}


@dataclass(frozen=True)
class Plan:
    """Ids of a key and its plan. The key itself is API Gateway's, and in no template."""

    key_id: str
    plan_id: str


class UsagePlans(Construct):
    """A key and a plan for each consumer, and for the members of the team, whose plan has no limits of its own.

    A quota that is hard is none of the plan's: the function counts it. Which keys there are is told in a parameter of Systems
    Manager, without the keys.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        api: apigateway.RestApi,
        consumers: Sequence[Consumer],
        requests_per_second: int,
        burst: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self._api, self._prefix = api, names.rest_api(team, model)
        self.team = self._plan(TEAM_KEY, f"Members of the team {team}")
        self.consumers: dict[str, Plan] = {}
        for one in consumers:
            self.consumers[one.name] = self._plan(
                one.name,
                f"The consumer {one.name} of {model}",
                throttle=apigateway.CfnUsagePlan.ThrottleSettingsProperty(
                    rate_limit=one.requests_per_second or requests_per_second, burst_limit=one.burst or burst
                ),
                quota=apigateway.CfnUsagePlan.QuotaSettingsProperty(
                    limit=one.quota.requests, period=_PERIODS[one.quota.per]
                )
                if one.quota and not one.hard
                else None,
            )
        told = {
            "team": [self.team.key_id],
            "consumers": [
                [
                    one.name,
                    one.principal,
                    self.consumers[one.name].key_id,
                    self.consumers[one.name].plan_id,
                    *([one.quota.requests, one.quota.per, int(one.hard)] if one.quota else []),
                ]
                for one in consumers
            ],
        }
        self.parameter = ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=names.consumers_parameter(team, model),
            string_value=Stack.of(self).to_json_string(told),
            description=f"Who may ask the API of {model}: limits, and ids of keys",
        )

    def _plan(
        self,
        name: str,
        description: str,
        *,
        throttle: apigateway.CfnUsagePlan.ThrottleSettingsProperty | None = None,
        quota: apigateway.CfnUsagePlan.QuotaSettingsProperty | None = None,
    ) -> Plan:
        own = Construct(self, name)
        called = f"{self._prefix}-{name}"
        key = apigateway.CfnApiKey(own, "Key", name=called, description=description, enabled=True)
        plan = apigateway.CfnUsagePlan(
            own,
            "Plan",
            usage_plan_name=called,
            description=description,
            api_stages=[
                apigateway.CfnUsagePlan.ApiStageProperty(
                    api_id=self._api.rest_api_id, stage=self._api.deployment_stage.stage_name
                )
            ],
            throttle=throttle,
            quota=quota,
        )
        apigateway.CfnUsagePlanKey(own, "KeyOfPlan", key_id=key.ref, key_type="API_KEY", usage_plan_id=plan.ref)
        return Plan(key.ref, plan.ref)
