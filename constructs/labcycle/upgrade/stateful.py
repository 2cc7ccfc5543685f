"""The one table of resource types that hold something which a new resource of the same type would not have.

Of types in neither `STATEFUL` nor `STATELESS` labcycle does not know it, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labcycle.config import names


@dataclass(frozen=True)
class Holding:
    """What the resources of a type hold.

    Parameters
    ----------
    holds
        What would not be in a new one.
    protection
        A property and the value by which the service refuses to delete it.
    refuses_while_full
        The service deletes it only when it is empty.
    snapshot_by_default
        CloudFormation takes a snapshot where the template states no policy.
    only_named
        It holds something only if the template gives it a name, by which others know it.
    fixed
        Properties whose change CloudFormation refuses, instead of replacing the resource.
    """

    holds: str
    protection: tuple[str, object] | None = None
    refuses_while_full: bool = False
    snapshot_by_default: bool = False
    only_named: bool = False
    fixed: tuple[str, ...] = ()


_ADDRESS = "its address, which callers have written down"
_IN_USE = "the network of all that runs in it, which keeps it from being deleted"

STATEFUL: dict[str, Holding] = {
    "AWS::ACMPCA::CertificateAuthority": Holding("the authority that signed certificates in use"),
    "AWS::AmazonMQ::Broker": Holding("messages that were not read yet, and the address"),
    "AWS::ApiGateway::ApiKey": Holding("the key that callers were given"),
    "AWS::ApiGateway::RestApi": Holding(_ADDRESS),
    "AWS::ApiGatewayV2::Api": Holding(_ADDRESS),
    "AWS::AppSync::GraphQLApi": Holding(_ADDRESS),
    "AWS::Athena::WorkGroup": Holding("the history of queries and the saved ones", only_named=True),
    "AWS::Backup::BackupVault": Holding("recovery points", refuses_while_full=True),
    "AWS::Batch::JobQueue": Holding("jobs that wait"),
    "AWS::Cassandra::Table": Holding("rows"),
    "AWS::CertificateManager::Certificate": Holding("the certificate, and its validation"),
    "AWS::CloudFront::Distribution": Holding(_ADDRESS),
    "AWS::CloudTrail::EventDataStore": Holding("recorded events", protection=("TerminationProtectionEnabled", True)),
    "AWS::CodeArtifact::Domain": Holding("packages", refuses_while_full=True),
    "AWS::CodeArtifact::Repository": Holding("packages"),
    "AWS::CodeCommit::Repository": Holding("source code and its history"),
    "AWS::Cognito::IdentityPool": Holding("the identities of users"),
    "AWS::Cognito::UserPool": Holding(
        "users, their passwords and groups", protection=("DeletionProtection", "ACTIVE"), fixed=("Schema",)
    ),
    "AWS::Cognito::UserPoolClient": Holding("the client id and secret that applications have"),
    "AWS::DocDB::DBCluster": Holding("documents", protection=("DeletionProtection", True), snapshot_by_default=True),
    "AWS::DynamoDB::GlobalTable": Holding("items, in all its regions"),
    "AWS::DynamoDB::Table": Holding("items", protection=("DeletionProtectionEnabled", True)),
    "AWS::EC2::EIP": Holding("the address by which others let the traffic in"),
    "AWS::EC2::Instance": Holding("what is on its disks", protection=("DisableApiTermination", True)),
    "AWS::EC2::Subnet": Holding(_IN_USE, refuses_while_full=True),
    "AWS::EC2::VPC": Holding(_IN_USE, refuses_while_full=True),
    "AWS::EC2::Volume": Holding("what is on the disk"),
    "AWS::ECR::Repository": Holding("images", refuses_while_full=True),
    "AWS::EFS::FileSystem": Holding("files"),
    "AWS::EKS::Cluster": Holding("what is deployed in it", protection=("DeletionProtection", True)),
    "AWS::ElastiCache::CacheCluster": Holding("cached values"),
    "AWS::ElastiCache::ReplicationGroup": Holding("cached values"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Holding(_ADDRESS),
    "AWS::Elasticsearch::Domain": Holding("indexes"),
    "AWS::Events::Archive": Holding("archived events"),
    "AWS::Events::EventBus": Holding("the address that senders of events have, and its archives"),
    "AWS::FSx::FileSystem": Holding("files"),
    "AWS::Glue::Database": Holding("the catalogue of its tables"),
    "AWS::Glue::Table": Holding("the description of the data, with its partitions"),
    "AWS::IAM::Role": Holding(
        "the sessions that were taken from it, and its place in policies of others, which know it by an id of its own",
        only_named=True,
    ),
    "AWS::IAM::User": Holding("access keys and password"),
    "AWS::KMS::Key": Holding(
        "the one way to read what is encrypted with it", fixed=("KeySpec", "KeyUsage", "MultiRegion", "Origin")
    ),
    "AWS::Kinesis::Stream": Holding("records that were not read yet"),
    "AWS::KinesisFirehose::DeliveryStream": Holding("records that were not delivered yet"),
    "AWS::Logs::LogGroup": Holding("logs", protection=("DeletionProtectionEnabled", True)),
    "AWS::MSK::Cluster": Holding("topics and their messages"),
    "AWS::MemoryDB::Cluster": Holding("its data"),
    "AWS::Neptune::DBCluster": Holding("the graph", protection=("DeletionProtection", True), snapshot_by_default=True),
    "AWS::OpenSearchServerless::Collection": Holding("indexes"),
    "AWS::OpenSearchService::Domain": Holding("indexes"),
    "AWS::RDS::DBCluster": Holding("databases", protection=("DeletionProtection", True), snapshot_by_default=True),
    "AWS::RDS::DBInstance": Holding("databases", protection=("DeletionProtection", True), snapshot_by_default=True),
    "AWS::Redshift::Cluster": Holding("databases", snapshot_by_default=True),
    "AWS::RedshiftServerless::Namespace": Holding("databases"),
    "AWS::Route53::HostedZone": Holding("records, and the name servers that the domain points to"),
    "AWS::S3::Bucket": Holding("objects, with all their versions", refuses_while_full=True),
    "AWS::S3Tables::TableBucket": Holding("tables", refuses_while_full=True),
    "AWS::SNS::Subscription": Holding("the subscriber's confirmation: by e-mail it has to be given again"),
    "AWS::SNS::Topic": Holding("its subscriptions with their confirmations, and the address that publishers have"),
    "AWS::SQS::Queue": Holding("messages that were not read yet, and the address that senders have"),
    "AWS::SSM::Parameter": Holding("a value that others read by its name"),
    "AWS::SageMaker::Domain": Holding("home folders of its users, spaces and applications"),
    "AWS::SageMaker::FeatureGroup": Holding("features"),
    "AWS::SageMaker::ModelPackageGroup": Holding("registered models", refuses_while_full=True),
    "AWS::SageMaker::NotebookInstance": Holding("what is on its disk"),
    "AWS::SageMaker::Space": Holding("what is on its disk"),
    "AWS::SageMaker::UserProfile": Holding("the user's spaces and applications"),
    "AWS::SecretsManager::Secret": Holding("a secret that others read"),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": Holding("the names of its services"),
    "AWS::StepFunctions::Activity": Holding("tasks that wait"),
    "AWS::StepFunctions::StateMachine": Holding("executions that run, and the history of those that ended"),
    "AWS::Timestream::Table": Holding("records"),
}

STATELESS = frozenset(
    """
    AWS::ApiGateway::Account AWS::ApiGateway::Authorizer AWS::ApiGateway::BasePathMapping AWS::ApiGateway::Deployment
    AWS::ApiGateway::DomainName AWS::ApiGateway::GatewayResponse AWS::ApiGateway::Method AWS::ApiGateway::Model
    AWS::ApiGateway::RequestValidator AWS::ApiGateway::Resource AWS::ApiGateway::Stage AWS::ApiGateway::UsagePlan
    AWS::ApiGateway::UsagePlanKey AWS::ApiGateway::VpcLink
    AWS::ApiGatewayV2::ApiMapping AWS::ApiGatewayV2::Authorizer AWS::ApiGatewayV2::Deployment
    AWS::ApiGatewayV2::DomainName AWS::ApiGatewayV2::Integration AWS::ApiGatewayV2::Route AWS::ApiGatewayV2::Stage
    AWS::ApiGatewayV2::VpcLink
    AWS::ApplicationAutoScaling::ScalableTarget AWS::ApplicationAutoScaling::ScalingPolicy
    AWS::AutoScaling::AutoScalingGroup AWS::AutoScaling::LaunchConfiguration AWS::AutoScaling::LifecycleHook
    AWS::AutoScaling::ScalingPolicy AWS::AutoScaling::ScheduledAction
    AWS::Backup::BackupPlan AWS::Backup::BackupSelection AWS::Batch::ComputeEnvironment AWS::Batch::JobDefinition
    AWS::Batch::SchedulingPolicy AWS::Budgets::Budget AWS::CDK::Metadata
    AWS::CloudFormation::Stack AWS::CloudFormation::WaitCondition AWS::CloudFormation::WaitConditionHandle
    AWS::CloudFront::CachePolicy AWS::CloudFront::Function AWS::CloudFront::OriginAccessControl
    AWS::CloudFront::ResponseHeadersPolicy AWS::CloudTrail::Trail
    AWS::CloudWatch::Alarm AWS::CloudWatch::AnomalyDetector AWS::CloudWatch::CompositeAlarm
    AWS::CloudWatch::Dashboard AWS::CloudWatch::InsightRule
    AWS::CodeBuild::Project AWS::CodeDeploy::Application AWS::CodeDeploy::DeploymentConfig
    AWS::CodeDeploy::DeploymentGroup AWS::CodePipeline::Pipeline
    AWS::Cognito::UserPoolDomain AWS::Cognito::UserPoolGroup AWS::Cognito::UserPoolResourceServer
    AWS::EC2::CustomerGateway AWS::EC2::EIPAssociation AWS::EC2::EgressOnlyInternetGateway AWS::EC2::FlowLog
    AWS::EC2::InternetGateway AWS::EC2::LaunchTemplate AWS::EC2::NatGateway AWS::EC2::NetworkAcl
    AWS::EC2::NetworkAclEntry AWS::EC2::NetworkInterface AWS::EC2::PrefixList AWS::EC2::Route AWS::EC2::RouteTable
    AWS::EC2::SecurityGroup AWS::EC2::SecurityGroupEgress AWS::EC2::SecurityGroupIngress
    AWS::EC2::SubnetNetworkAclAssociation AWS::EC2::SubnetRouteTableAssociation AWS::EC2::VPCCidrBlock
    AWS::EC2::VPCDHCPOptionsAssociation AWS::EC2::VPCEndpoint AWS::EC2::VPCGatewayAttachment
    AWS::EC2::VolumeAttachment
    AWS::ECS::CapacityProvider AWS::ECS::Cluster AWS::ECS::ClusterCapacityProviderAssociations AWS::ECS::Service
    AWS::ECS::TaskDefinition AWS::EFS::AccessPoint AWS::EFS::MountTarget
    AWS::ElastiCache::ParameterGroup AWS::ElastiCache::SubnetGroup
    AWS::ElasticLoadBalancingV2::Listener AWS::ElasticLoadBalancingV2::ListenerRule
    AWS::ElasticLoadBalancingV2::TargetGroup
    AWS::Events::ApiDestination AWS::Events::Connection AWS::Events::EventBusPolicy AWS::Events::Rule
    AWS::Glue::Crawler AWS::Glue::Job AWS::Glue::Trigger
    AWS::IAM::Group AWS::IAM::InstanceProfile AWS::IAM::ManagedPolicy AWS::IAM::OIDCProvider AWS::IAM::Policy
    AWS::IAM::RolePolicy AWS::IAM::SAMLProvider AWS::IAM::ServiceLinkedRole AWS::IAM::UserToGroupAddition
    AWS::KMS::Alias
    AWS::Lambda::Alias AWS::Lambda::CodeSigningConfig AWS::Lambda::EventInvokeConfig AWS::Lambda::EventSourceMapping
    AWS::Lambda::Function AWS::Lambda::LayerVersion AWS::Lambda::LayerVersionPermission AWS::Lambda::Permission
    AWS::Lambda::Url AWS::Lambda::Version
    AWS::Logs::LogStream AWS::Logs::MetricFilter AWS::Logs::QueryDefinition AWS::Logs::ResourcePolicy
    AWS::Logs::SubscriptionFilter AWS::Pipes::Pipe
    AWS::RDS::DBClusterParameterGroup AWS::RDS::DBParameterGroup AWS::RDS::DBProxy AWS::RDS::DBSubnetGroup
    AWS::RDS::OptionGroup AWS::Route53::HealthCheck AWS::Route53::RecordSet AWS::S3::AccessPoint
    AWS::S3::BucketPolicy AWS::SNS::TopicPolicy AWS::SQS::QueuePolicy AWS::SSM::Document
    AWS::SSM::MaintenanceWindow AWS::SSM::ResourceDataSync
    AWS::SageMaker::AppImageConfig AWS::SageMaker::Endpoint AWS::SageMaker::EndpointConfig AWS::SageMaker::Image
    AWS::SageMaker::ImageVersion AWS::SageMaker::Model AWS::SageMaker::NotebookInstanceLifecycleConfig
    AWS::SageMaker::StudioLifecycleConfig
    AWS::Scheduler::Schedule AWS::Scheduler::ScheduleGroup
    AWS::SecretsManager::ResourcePolicy AWS::SecretsManager::RotationSchedule
    AWS::SecretsManager::SecretTargetAttachment AWS::ServiceDiscovery::Service
    AWS::StepFunctions::StateMachineAlias AWS::StepFunctions::StateMachineVersion
    AWS::WAFv2::WebACL AWS::WAFv2::WebACLAssociation
    Custom::LogRetention Custom::S3AutoDeleteObjects Custom::S3BucketNotifications Custom::VpcRestrictDefaultSG
    """.split()  # noqa: SIM905 - a line each would hide the table above
)

UNKNOWN = Holding("something that labcycle does not know: it has no entry for this type. Look it up before you go on")

_TEAM = "(?P<team>[a-z0-9-]+)"


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace("TEAM", _TEAM).replace("REST", ".*"))


_OURS = (
    (
        "AWS::DynamoDB::Table",
        _named(names.ledger_table("TEAM")),
        "the ledger of the team {team}: runs, parameters, metrics, registered models, decisions, deployments and profiles",
    ),
    (
        "AWS::S3::Bucket",
        _named(names.bucket("TEAM", "artifacts", "REST", "REST")),
        "artifacts, registered models and training data of the team {team}, with all their versions",
    ),
    (
        "AWS::S3::Bucket",
        _named(names.bucket("TEAM", "anchors", "REST", "REST")),
        "the anchors by which the custody chains of the team {team} are proved",
    ),
    (
        "AWS::S3::Bucket",
        _named(names.bucket("TEAM", "logs", "REST", "REST")),
        "the access logs of the buckets of the team {team}",
    ),
)


def holding_of(kind: str, properties: Mapping[str, Any], name: str = "") -> Holding | None:
    """What a resource holds; None if nothing.

    Parameters
    ----------
    kind
        Its type.
    name
        Its physical name; empty where CloudFormation makes one.
    """
    holding = STATEFUL.get(kind)
    if holding is None:
        return None if kind in STATELESS else UNKNOWN
    if holding.only_named and not name:
        return None
    if kind == "AWS::SNS::Subscription" and not str(properties.get("Protocol", "email")).startswith(("email", "http")):
        return None  # confirmed by AWS itself
    return holding


def what_it_holds(kind: str, holding: Holding, name: str) -> str:
    """What to tell of it: in the terms of the platform where the name says that it is one of its own."""
    for ours, pattern, sentence in _OURS:
        found = pattern.fullmatch(name) if kind == ours else None
        if found:
            return sentence.format(team=found["team"])
    return holding.holds
