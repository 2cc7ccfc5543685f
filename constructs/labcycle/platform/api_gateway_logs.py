"""The role by which the REST APIs of an account and region write to CloudWatch Logs."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from constructs import Construct

from labcycle._acknowledge import acknowledge

_POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
_FINDING = f"AwsSolutions_IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_POLICY}]"


class ApiGatewayLogs(Construct):
    """The setting of the account, which has one such role a region; without it API Gateway refuses every stage with a log.

    It stays when its stack is deleted, since other APIs of the region write by it too.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html#set-up-access-logging-permissions
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            description="REST APIs of this region write their logs",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(_POLICY)],
        )
        self.role.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        acknowledge(self.role, **{_FINDING: "API Gateway asks for the actions of this policy when the role is set."})
        account = apigateway.CfnAccount(self, "Account", cloud_watch_role_arn=self.role.role_arn)
        account.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
