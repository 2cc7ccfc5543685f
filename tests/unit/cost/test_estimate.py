"""What single resources cost, in templates by hand; prices are those of us-east-1, January 2026."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from labcycle.check.estate import Estate
from labcycle.check.template import Template
from labcycle.cost.estimate import Estimate, target_estimates, team_estimate, teams
from labcycle.errors import LabcycleError

Resources = Mapping[str, Any]
FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {"MemorySize": 1024, "Handler": "other.handle", "FunctionName": "f"},
}
ARN = {"Fn::GetAtt": ["Function", "Arn"]}


def template(resources: Resources, tags: Mapping[str, str], name: str = "labcycle-a-part", **body: Any) -> Template:
    text = json.dumps({"Resources": dict(resources), **body})
    return Template(name, text, "us-east-1", "111122223333", tags)


def estimated(resources: Resources, own: Mapping[str, float] | None = None, **body: Any) -> Estimate:
    """What a team of one stack with these resources costs."""
    return team_estimate(Estate([template(resources, {"labcycle:team": "a"}, **body)]), "a", own or {})


def one(kind: str, **properties: Any) -> dict[str, Any]:
    return {"It": {"Type": kind, "Properties": properties}}


@pytest.mark.parametrize(
    ("resources", "what", "count", "usd"),
    [
        (one("AWS::KMS::Key"), "KMS keys", 1, 1.0),
        (one("AWS::CloudWatch::Dashboard"), "dashboards", 1, 3.0),
        (one("AWS::CloudWatch::CompositeAlarm"), "composite alarms", 1, 0.5),
        (one("AWS::CloudWatch::Alarm", MetricName="Errors", Namespace="AWS/Lambda", Period=300), "alarms", 1, 0.1),
        (one("AWS::CloudWatch::Alarm", MetricName="Errors", Namespace="AWS/Lambda", Period=10), "alarms", 1, 0.3),
        (
            one("AWS::CloudWatch::Alarm", Metrics=[{"MetricStat": {"Period": 60}}, {"MetricStat": {"Period": 60}}, {"Expression": "a/b"}]),
            "alarms",
            1,
            0.2,
        ),
        (
            one("AWS::CloudWatch::Alarm", ThresholdMetricId="band", Metrics=[{"MetricStat": {"Period": 300}}, {"Expression": "BAND"}]),
            "alarms",
            1,
            0.3,
        ),
        (one("AWS::SecretsManager::Secret"), "secrets", 1, 0.4),
        (one("AWS::Route53::HostedZone"), "hosted zones", 1, 0.5),
        (one("AWS::SSM::Parameter", Tier="Advanced"), "advanced parameters", 1, 0.05),
        (one("AWS::EC2::EIP"), "public addresses", 1, 3.65),
        (one("AWS::EC2::NatGateway"), "NAT gateways", 1, 32.85),
        (one("AWS::EC2::Volume", Size="100"), "GB of volumes", 100, 8.0),
        (one("AWS::EC2::Instance", InstanceType="g4dn.xlarge"), "EC2 instances", 1, 730 * 0.526),
        (one("AWS::SageMaker::NotebookInstance", InstanceType="ml.m5.large"), "notebook instances", 1, 730 * 0.115),
        (
            one("AWS::EC2::VPCEndpoint", VpcEndpointType="Interface", SubnetIds=["a", "b"]),
            "interface endpoints",
            2,
            14.6,
        ),
        (
            one("AWS::DynamoDB::Table", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": "5"}),
            "provisioned tables",
            1,
            730 * 5 * (0.00013 + 0.00065),
        ),
        (one("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internal"), "load balancers", 1, 16.425),
        (
            one("AWS::ApplicationAutoScaling::ScalingPolicy", PolicyType="TargetTrackingScaling"),
            "alarms of scaling",
            2,
            0.2,
        ),
    ],
)  # fmt: skip
def test_a_resource_costs_what_aws_says(resources: Resources, what: str, count: float, usd: float) -> None:
    found = estimated(resources)
    assert found.by_what() == {what: pytest.approx((count, usd))}
    assert found.usd == pytest.approx(usd) and found.unpriced == ()


@pytest.mark.parametrize(
    "resources",
    [
        one("AWS::EC2::VPCEndpoint", ServiceName="s3"),
        one("AWS::EC2::VPCEndpoint", VpcEndpointType="Gateway"),
        one("AWS::DynamoDB::Table", BillingMode="PAY_PER_REQUEST"),
        one("AWS::SSM::Parameter", Type="String"),
        one("AWS::ApplicationAutoScaling::ScalingPolicy", PolicyType="StepScaling"),
        one("AWS::Events::Rule", EventPattern={"source": ["aws.s3"]}),
        one("AWS::Lambda::EventSourceMapping", EventSourceArn="arn:aws:dynamodb:us-east-1:1:table/t/stream/x"),
        one("AWS::Batch::ComputeEnvironment", ComputeResources={"MinvCpus": 0}),
        one("AWS::S3::Bucket"),
        one("AWS::SageMaker::Domain"),
        one("AWS::CodeBuild::Project", Environment={"ComputeType": "BUILD_GENERAL1_SMALL"}),
    ],
)
def test_what_is_free_while_idle_is_said_to_be(resources: Resources) -> None:
    found = estimated(resources)
    assert (found.usd, found.unpriced) == (0, ())
    assert found.free == {resources["It"]["Type"]: 1}


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        (one("AWS::Redshift::Cluster"), "it is not in the table of resource types"),
        (one("Custom::Thing"), "it is not in the table"),
        (one("AWS::EC2::Instance", InstanceType="p5en.48xlarge"), "no price of ec2_instance_hour.p5en.48xlarge is known"),
        (one("AWS::EC2::VPCEndpoint", VpcEndpointType="Interface", SubnetIds={"Ref": "Given"}), "in how many zones"),
        (one("AWS::EC2::Volume", Size={"Ref": "Given"}), "Size is 'unknown-"),
        (one("AWS::EC2::Volume", SnapshotId="snap-1"), "Size is missing"),
        (one("AWS::DynamoDB::Table"), "ProvisionedThroughput.ReadCapacityUnits is missing"),
        (one("AWS::ECS::Service", CapacityProviderStrategy=[{}]), "changing prices"),
        (one("AWS::ECS::Service", LaunchType="FARGATE", TaskDefinition="arn"), "its task definition is not in its template"),
        (one("AWS::SageMaker::Endpoint", EndpointConfigName="c"), "its configuration is not in its template"),
        (one("AWS::ApiGateway::Stage", CacheClusterEnabled=True), "the cache of a REST API"),
        (one("AWS::Batch::ComputeEnvironment", ComputeResources={"MinvCpus": 4}), "it always has instances"),
        (one("AWS::ElasticLoadBalancingV2::LoadBalancer", Type="gateway"), "gateway load balancers"),
        (one("AWS::Lambda::EventSourceMapping", EventSourceArn="arn:aws:kinesis:us-east-1:1:stream/s"), "is not known"),
        (one("AWS::Scheduler::Schedule", ScheduleExpression="every day"), "the schedule every day cannot be counted"),
        (
            one("AWS::Scheduler::Schedule", ScheduleExpression="rate(1 day)", Target={"Arn": "arn:aws:x"}),
            "what it starts is not in the templates: arn:aws:x",
        ),
        (one("AWS::EC2::Instance", InstanceType="m7i.large", BlockDeviceMappings=[{"Ebs": {"VolumeSize": "big"}}]), "labcycle check"),
        (one("AWS::Lambda::Alias", FunctionName="f", ProvisionedConcurrencyConfig={"ProvisionedConcurrentExecutions": 1}), "memory"),
    ],
)  # fmt: skip
def test_what_has_no_price_is_named_and_in_no_sum(resources: Resources, why: str) -> None:
    found = estimated(resources, Parameters={"Given": {"Type": "String"}})
    (unpriced,) = found.unpriced
    assert (unpriced.part, unpriced.type, unpriced.count) == ("part", resources["It"]["Type"], 1)
    assert why in unpriced.why
    assert found.items == () and not found.free


def test_one_that_has_no_price_hides_nothing_of_the_others() -> None:
    resources = {
        "Key": {"Type": "AWS::KMS::Key"},
        **one("AWS::Redshift::Cluster"),
        "B": one("AWS::Redshift::Cluster")["It"],
    }
    found = estimated(resources)
    assert found.usd == 1.0
    assert [(one.type, one.count) for one in found.unpriced] == [("AWS::Redshift::Cluster", 2)]


def test_a_use_without_a_price_is_named_and_the_rest_counts() -> None:
    template = one("AWS::EC2::LaunchTemplate", LaunchTemplateData={"InstanceType": "p5en.48xlarge"})
    found = estimated({"Key": {"Type": "AWS::KMS::Key"}, **template})
    (unpriced,) = found.unpriced
    assert unpriced.type == "AWS::EC2::LaunchTemplate"
    assert unpriced.why.startswith("of its use: no price of ec2_instance_hour.p5en.48xlarge is known")
    assert (found.usd, found.free, found.uses) == (1.0, {"AWS::EC2::LaunchTemplate": 1}, ())


def test_figures_of_ones_own_are_taken() -> None:
    assert estimated(one("AWS::KMS::Key"), {"kms_key_month": 0.25}).usd == 0.25
    instance = one("AWS::EC2::Instance", InstanceType="p5en.48xlarge")
    assert estimated(instance, {"ec2_instance_hour.p5en.48xlarge": 50.0}).usd == 36_500


def test_a_rotated_key_gets_dearer_twice() -> None:
    turning, resting = (estimated(one("AWS::KMS::Key", EnableKeyRotation=rotates)) for rotates in (True, False))
    assert (turning.usd, turning.later_usd) == (1.0, 3.0)
    assert (resting.usd, resting.later_usd) == (1.0, 1.0)


def test_what_a_condition_leaves_out_costs_nothing() -> None:
    for wanted, usd in (("yes", 1.0), ("no", 0.0)):
        resources = {"Key": {"Type": "AWS::KMS::Key", "Condition": "Wanted"}}
        conditions = {"Wanted": {"Fn::Equals": [wanted, "yes"]}}
        assert estimated(resources, Conditions=conditions).usd == usd


def test_a_load_balancer_that_the_internet_reaches_has_an_address_in_each_zone() -> None:
    found = estimated(one("AWS::ElasticLoadBalancingV2::LoadBalancer", Subnets=["a", "b", "c"]))
    assert found.by_what()["public addresses"] == pytest.approx((3, 10.95))


def test_a_queue_is_asked_though_it_is_empty() -> None:
    found = estimated(one("AWS::Lambda::EventSourceMapping", EventSourceArn="arn:aws:sqs:us-east-1:1:q"))
    assert found.usd == pytest.approx(15 * 60 * 730 * 4e-7)


@pytest.mark.parametrize("kind", ["AWS::Scheduler::Schedule", "AWS::Events::Rule"])
def test_a_scheduled_function_is_paid_by_run(kind: str) -> None:
    target = {"Target": {"Arn": ARN}} if kind == "AWS::Scheduler::Schedule" else {"Targets": [{"Arn": ARN}]}
    schedule = {"Type": kind, "Properties": {"ScheduleExpression": "rate(1 hour)", **target}}
    found = estimated({"Function": FUNCTION, "Schedule": schedule})
    run = 2e-7 + 3 * 0.0000166667 + 2e-6 * 0.5 + 5 * 1.25e-7  # the call, 3 s of a GB, 2 KB of log, 5 reads
    run += 1e-6 if kind == "AWS::Scheduler::Schedule" else 0
    assert found.by_what() == {"scheduled runs": pytest.approx((730, 730 * run))}


@pytest.mark.parametrize(
    "schedule", [{"State": "DISABLED", "ScheduleExpression": "rate(1 hour)"}, {"ScheduleExpression": "at(2030-01-01T00:00:00)"}]
)  # fmt: skip
def test_what_is_switched_off_or_runs_once_costs_nothing_a_month(schedule: Mapping[str, str]) -> None:
    resources = {"Function": FUNCTION, **one("AWS::Scheduler::Schedule", Target={"Arn": ARN}, **schedule)}
    assert estimated(resources).usd == 0


def machine(states: Mapping[str, Any], **properties: Any) -> dict[str, Any]:
    text = json.dumps({"StartAt": next(iter(states)), "States": states})
    return {
        "Function": FUNCTION,
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "DefinitionString": text,
                "DefinitionSubstitutions": {"Function": ARN},
                "StateMachineName": "m",
                **properties,
            },
        },
        **one("AWS::Scheduler::Schedule", ScheduleExpression="rate(10 days)", Target={"Arn": {"Ref": "Machine"}}),
    }


def test_a_scheduled_machine_is_paid_by_its_states_and_functions() -> None:
    states = {
        "A": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Map", "ItemProcessor": {"States": {"C": {"Type": "Pass"}}}},
    }
    found = estimated(machine(states))
    call = 2e-7 + 3 * 0.0000166667 + 1e-6 + 5 * 1.25e-7
    assert found.usd == pytest.approx(73 / 24 * (1e-6 + 3 * 0.000025 + call))
    assert found.works == ()


def test_a_scheduled_training_is_told_apart_from_what_is_idle() -> None:
    train = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Arguments": {
            "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2},
            "StoppingCondition": {"MaxRuntimeInSeconds": 7200},
        },
        "End": True,
    }
    found = estimated(machine({"Train": train}))
    (work,) = found.works
    assert work.usd == pytest.approx(2 * 2 * 1.408) and work.times_a_month == pytest.approx(73 / 24)
    assert found.usd < 0.01
    (use,) = (one.use for one in found.uses if "retraining" in one.use.what)
    assert use.at_most and use.of["training"] == pytest.approx(5.632) and "120 minutes on ml.g5.xlarge" in use.what


def test_an_express_machine_is_not_taken_for_a_standard_one() -> None:
    found = estimated(machine({"A": {"Type": "Pass"}}, StateMachineType="EXPRESS"))
    assert {one.type for one in found.unpriced} == {"AWS::StepFunctions::StateMachine", "AWS::Scheduler::Schedule"}


def test_a_metric_of_ones_own_costs_while_it_is_published() -> None:
    custom = one("AWS::CloudWatch::Alarm", MetricName="DriftDetected", Namespace="labcycle/a", Period=3600)
    found = estimated(custom)
    assert found.usd == pytest.approx(0.1)
    assert [(use.use.what, use.use.usd) for use in found.uses] == [
        ("a month in which DriftDetected has a figure in each hour", 0.3)
    ]
    always = estimated(one("AWS::CloudWatch::Alarm", MetricName="DataStale", Namespace="labcycle/a", Period=3600))
    assert always.usd == pytest.approx(0.4) and always.uses == ()


def test_arm_and_disks_have_their_own_prices() -> None:
    def hourly(**properties: Any) -> float:
        function = {"Type": "AWS::Lambda::Function", "Properties": {**FUNCTION["Properties"], **properties}}  # type: ignore[dict-item]
        schedule = one("AWS::Scheduler::Schedule", ScheduleExpression="rate(1 hour)", Target={"Arn": ARN})
        return estimated({"Function": function, **schedule}).usd / 730

    plain = hourly()
    assert plain - hourly(Architectures=["arm64"]) == pytest.approx(3 * (0.0000166667 - 0.0000133334))
    assert hourly(EphemeralStorage={"Size": 1536}) - plain == pytest.approx(3 * 0.0000000309)
    assert hourly(TracingConfig={"Mode": "Active"}) - plain == pytest.approx(0.000005)


def test_teams_are_told_by_their_tags_and_an_unknown_one_is_refused() -> None:
    stacks = [template(one("AWS::KMS::Key"), {"labcycle:team": team}, f"labcycle-{team}-x") for team in ("b", "a")]
    estate = Estate([*stacks, template(one("AWS::KMS::Key"), {}, "foreign")])
    assert teams(estate) == ["a", "b"]
    with pytest.raises(LabcycleError, match="got c; allowed the teams of the templates: a, b"):
        team_estimate(estate, "c", {})
    with pytest.raises(LabcycleError, match="none: no stack has the tag labcycle:team"):
        team_estimate(Estate([]), "c", {})


def test_a_team_pays_for_no_stack_of_another_and_for_no_target() -> None:
    stacks = [
        template(one("AWS::KMS::Key"), {"labcycle:team": "a"}, "labcycle-a-x"),
        template(one("AWS::CloudWatch::Dashboard"), {"labcycle:team": "b"}, "labcycle-b-x"),
        template(one("AWS::EC2::NatGateway"), {"labcycle:target": "t"}, "labcycle-target-t-network"),
    ]
    estate = Estate(stacks)
    assert team_estimate(estate, "a", {}).usd == 1.0
    ((target, choices),) = target_estimates(estate, {}, "a")
    assert (target.name, target.parts) == ("t", ("network",))
    assert target.usd == pytest.approx(32.85)
    assert choices == ()  # its network is made elsewhere


def test_targets_elsewhere_are_not_the_teams() -> None:
    here = template(one("AWS::KMS::Key"), {"labcycle:team": "a"})
    there = Template("labcycle-target-t-network", here.text, "eu-west-1", here.account, {"labcycle:target": "t"})
    assert target_estimates(Estate([here, there]), {}, "a") == []
    assert [one.name for one, _ in target_estimates(Estate([here, there]), {})] == ["t"]
