"""What CloudFormation refuses, or would refuse in the middle of a deployment."""

from __future__ import annotations

from tests.planted.draft import Draft, fault

TRACKING = "labcycle-growth-tracking"
FOUNDATION = "labcycle-growth-foundation"


@fault(TRACKING, "E3002")
def property_typo(draft: Draft) -> str:
    """The table's BillingMode is spelt BilingMode."""
    table = draft.find("AWS::DynamoDB::Table")
    properties = draft.properties(table)
    properties["BilingMode"] = properties.pop("BillingMode")
    return table


@fault(TRACKING, "E3030")
def wrong_enum_value(draft: Draft) -> str:
    """The table's BillingMode is ON_DEMAND, which DynamoDB calls PAY_PER_REQUEST."""
    table = draft.find("AWS::DynamoDB::Table")
    draft.properties(table)["BillingMode"] = "ON_DEMAND"
    return table


@fault(TRACKING, "E2531")
def dead_runtime(draft: Draft) -> str:
    """The tracking function runs on python3.7."""
    function = draft.find("AWS::Lambda::Function", "/LifeCycle/")
    draft.properties(function)["Runtime"] = "python3.7"
    return function


@fault(FOUNDATION, "E1010")
def getatt_to_nothing(draft: Draft) -> str:
    """The key's alias is for the ARN of a resource that there is not."""
    alias = draft.find("AWS::KMS::Alias")
    draft.properties(alias)["TargetKeyId"] = {"Fn::GetAtt": ["FoundationKeyThatIsNot", "Arn"]}
    return alias


@fault(FOUNDATION, "E1010")
def getatt_of_no_attribute(draft: Draft) -> str:
    """The key's alias is for the key's Arm."""
    alias = draft.find("AWS::KMS::Alias")
    draft.properties(alias)["TargetKeyId"] = {"Fn::GetAtt": [draft.find("AWS::KMS::Key"), "Arm"]}
    return alias


@fault(FOUNDATION, "E1020")
def ref_to_nothing(draft: Draft) -> str:
    """The alarm on dead letters tells a topic that there is not."""
    alarm = draft.find("AWS::CloudWatch::Alarm")
    draft.properties(alarm)["AlarmActions"] = [{"Ref": "TopicThatIsNot"}]
    return alarm


@fault(FOUNDATION, "E3004")
def circular_dependency(draft: Draft) -> str:
    """The queue depends on its own alarm."""
    queue = draft.find("AWS::SQS::Queue")
    draft.resource(queue)["DependsOn"] = [draft.find("AWS::CloudWatch::Alarm")]
    return queue


@fault(TRACKING, "E3003")
def required_property_missing(draft: Draft) -> str:
    """The function has no role."""
    function = draft.find("AWS::Lambda::Function", "/LifeCycle/")
    del draft.properties(function)["Role"]
    return function


@fault(TRACKING, "E3012")
def wrong_type_of_value(draft: Draft) -> str:
    """The function's time-out is a word."""
    function = draft.find("AWS::Lambda::Function", "/LifeCycle/")
    draft.properties(function)["Timeout"] = "soon"
    return function


@fault(TRACKING, "E3034")
def number_out_of_range(draft: Draft) -> str:
    """The function has 64 MB of memory."""
    function = draft.find("AWS::Lambda::Function", "/LifeCycle/")
    draft.properties(function)["MemorySize"] = 64
    return function


@fault(TRACKING, "E3039")
def key_without_attribute(draft: Draft) -> str:
    """An index of the table has a key that is not among the attributes."""
    table = draft.find("AWS::DynamoDB::Table")
    draft.properties(table)["GlobalSecondaryIndexes"] = [
        {
            "IndexName": "by-owner",
            "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ]
    return table


@fault("labcycle-fraud-workspaces", "E3006")
def region_without_the_service(draft: Draft) -> str:
    """A SageMaker cluster goes to a region that has none."""
    draft.region = "mx-central-1"
    return draft.add("Lab", "AWS::SageMaker::Cluster", Tags=draft.tags())


@fault("labcycle-fraud-workspaces", "import-is-exported")
def import_of_nothing(draft: Draft) -> str:
    """The volumes' key is imported by a name that no stack exports."""
    launch = draft.find("AWS::EC2::LaunchTemplate")
    for device in draft.properties(launch)["LaunchTemplateData"]["BlockDeviceMappings"]:
        device["Ebs"]["KmsKeyId"] = {"Fn::ImportValue": "labcycle-fraud-foundation:KeyArn"}
    return launch
