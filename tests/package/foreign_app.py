"""A CDK app of somebody else, who installed the wheel and imports one construct of each capability."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns

from labcycle.compute import ExperimentCompute
from labcycle.config import TIERS, Compute, HardwareTier, Member, Reaction, Retrain
from labcycle.foundation import TeamFoundation
from labcycle.monitoring import ModelMonitor, ModelReaction
from labcycle.network import SharedNetwork
from labcycle.serving import ModelService
from labcycle.tracking import ExperimentTracking
from labcycle.workspaces import Ec2Workspaces

ENVIRONMENT = cdk.Environment(account="111122223333", region="eu-central-1")
ZONES = ["eu-central-1a", "eu-central-1b"]

app = cdk.App(context={"availability-zones:account=111122223333:region=eu-central-1": ZONES})
member = Member.model_validate({"name": "ada", "principal": {"iam_user": "ada"}, "roles": ["data_scientist"]})

base = cdk.Stack(app, "Base", env=ENVIRONMENT)
network = SharedNetwork(base, "Network", name="ours", zones=ZONES, cidr="10.9.0.0/16", egress="nat")
foundation = TeamFoundation(base, "Foundation", team="ours", owner="ada@example.com", stage="sandbox", members=[member])

stack = cdk.Stack(app, "Ours", env=ENVIRONMENT)
topic = sns.Topic(stack, "Ours")
tracking = ExperimentTracking(stack, "Tracking", team="ours", notice_topic=topic)
# By name: a grant to the role itself would make the stack of the roles depend on this one, and so on each other.
tracking.grant_log(iam.Role.from_role_name(stack, "Ada", foundation.member_roles["ada"].role_name))
Ec2Workspaces(
    stack,
    "Workspaces",
    team="ours",
    members=[member],
    tiers=[TIERS["gpu-small"], HardwareTier("big", "x2iedn.2xlarge")],
    vpc=network.vpc,
    tracking_url_parameter="/ours/tracking-url",
)
ExperimentCompute(
    stack,
    "Jobs",
    team="ours",
    members=[member],
    compute=Compute(image="111122223333.dkr.ecr.eu-central-1.amazonaws.com/experiments:1"),
    vpc=network.vpc,
    tracking_url=tracking.url,
    artifact_bucket=tracking.artifact_bucket,
    encryption_key=tracking.encryption_key,
    notice_topic=topic,
)
service = ModelService(
    stack,
    "Churn",
    team="ours",
    model="churn",
    ledger=tracking.table,
    artifact_bucket=tracking.artifact_bucket,
    encryption_key=tracking.encryption_key,
    notice_topic=topic,
)
monitor = ModelMonitor(
    stack,
    "ChurnMonitor",
    team="ours",
    model="churn",
    ledger=tracking.table,
    encryption_key=tracking.encryption_key,
    notice_topic=topic,
)
ModelReaction(
    stack,
    "ChurnReaction",
    team="ours",
    model="churn",
    ledger=tracking.table,
    artifact_bucket=tracking.artifact_bucket,
    encryption_key=tracking.encryption_key,
    notice_topic=topic,
    policies=[Reaction(on=("drift",), do="retrain")],
    alarms={"drift": monitor.alarm},
    retrain=Retrain(image="111122223333.dkr.ecr.eu-central-1.amazonaws.com/training:1"),
)
app.synth()
