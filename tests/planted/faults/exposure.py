"""What is open, in the clear, or told to too many."""

from __future__ import annotations

from typing import Any

from tests.planted.additions import notebook
from tests.planted.draft import Draft, fault

FOUNDATION = "labcycle-growth-foundation"
TRACKING = "labcycle-growth-tracking"
WORKSPACES = "labcycle-fraud-workspaces"
MODEL = "labcycle-fraud-model-card-fraud"


def statements(draft: Draft, policy: str) -> list[dict[str, Any]]:
    """Statements of a resource's policy."""
    found: list[dict[str, Any]] = draft.properties(policy)["PolicyDocument"]["Statement"]
    return found


def without_tls(draft: Draft, policy: str) -> str:
    """Take the refusal of what does not come over TLS away."""
    found = statements(draft, policy)
    found[:] = [one for one in found if one["Effect"] != "Deny"]
    if not found:  # a policy needs a statement
        action = "s3:GetBucketLocation"
        principal = {"AWS": "arn:aws:iam::123456789012:root"}
        bucket = {"Fn::GetAtt": [draft.properties(policy)["Bucket"]["Ref"], "Arn"]}
        found.append({"Effect": "Allow", "Action": action, "Principal": principal, "Resource": bucket})
    return policy


@fault(FOUNDATION, "resource-policy-not-public")
def public_bucket_policy(draft: Draft) -> str:
    """Everybody may read the anchors."""
    policy = draft.find("AWS::S3::BucketPolicy", "/Anchors/")
    bucket = draft.find("AWS::S3::Bucket", "/Anchors/")
    objects = {"Fn::Join": ["", [{"Fn::GetAtt": [bucket, "Arn"]}, "/*"]]}
    statements(draft, policy).append(
        {"Effect": "Allow", "Action": "s3:GetObject", "Principal": "*", "Resource": objects}
    )
    return policy


@fault(FOUNDATION, "bucket-blocks-public-access")
def public_access_not_blocked(draft: Draft) -> str:
    """The bucket of the anchors takes public policies."""
    bucket = draft.find("AWS::S3::Bucket", "/Anchors/")
    draft.properties(bucket)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] = False
    return bucket


@fault(FOUNDATION, "resource-policy-not-public")
def public_queue_policy(draft: Draft) -> str:
    """Everybody may receive the dead letters."""
    policy = draft.find("AWS::SQS::QueuePolicy")
    queue = {"Fn::GetAtt": [draft.find("AWS::SQS::Queue"), "Arn"]}
    statements(draft, policy).append(
        {"Effect": "Allow", "Action": "sqs:ReceiveMessage", "Principal": "*", "Resource": queue}
    )
    return policy


@fault(FOUNDATION, "resource-policy-not-public")
def public_topic_policy(draft: Draft) -> str:
    """Everybody may subscribe to the notices."""
    policy = draft.find("AWS::SNS::TopicPolicy")
    topic = {"Ref": draft.find("AWS::SNS::Topic")}
    statements(draft, policy).append(
        {"Effect": "Allow", "Action": "sns:Subscribe", "Principal": {"AWS": "*"}, "Resource": topic}
    )
    return policy


@fault(FOUNDATION, "resource-policy-not-public")
def public_key_policy(draft: Draft) -> str:
    """Everybody may decrypt with the team's key."""
    key = draft.find("AWS::KMS::Key")
    draft.properties(key)["KeyPolicy"]["Statement"].append(
        {"Effect": "Allow", "Action": "kms:Decrypt", "Principal": {"AWS": "*"}, "Resource": "*"}
    )
    return key


@fault(FOUNDATION, "bucket-tls-only")
def bucket_without_tls(draft: Draft) -> str:
    """The bucket of the anchors takes requests without TLS."""
    without_tls(draft, draft.find("AWS::S3::BucketPolicy", "/Anchors/"))
    return draft.find("AWS::S3::Bucket", "/Anchors/")


@fault(FOUNDATION, "topic-tls-only")
def topic_without_tls(draft: Draft) -> str:
    """The topic of the notices takes requests without TLS."""
    without_tls(draft, draft.find("AWS::SNS::TopicPolicy"))
    return draft.find("AWS::SNS::Topic")


@fault(FOUNDATION, "queue-tls-only")
def queue_without_tls(draft: Draft) -> str:
    """The queue of dead letters takes requests without TLS."""
    without_tls(draft, draft.find("AWS::SQS::QueuePolicy"))
    return draft.find("AWS::SQS::Queue")


@fault(FOUNDATION, "queue-encrypted")
def unencrypted_queue(draft: Draft) -> str:
    """The queue of dead letters is not encrypted."""
    queue = draft.find("AWS::SQS::Queue")
    draft.properties(queue)["SqsManagedSseEnabled"] = False
    return queue


@fault(FOUNDATION, "topic-encrypted")
def unencrypted_topic(draft: Draft) -> str:
    """The topic of the notices is not encrypted."""
    topic = draft.find("AWS::SNS::Topic")
    del draft.properties(topic)["KmsMasterKeyId"]
    return topic


@fault(TRACKING, "bucket-encrypted-with-customer-key")
def bucket_with_the_key_of_s3(draft: Draft) -> str:
    """The artifacts are encrypted with S3's key instead of the team's."""
    bucket = draft.find("AWS::S3::Bucket", "/Artifacts/")
    algorithm = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    draft.properties(bucket)["BucketEncryption"] = {"ServerSideEncryptionConfiguration": [algorithm]}
    return bucket


@fault(TRACKING, "log-group-encrypted")
def log_group_without_key(draft: Draft) -> str:
    """The log of the tracking function is not encrypted with the team's key."""
    group = draft.find("AWS::Logs::LogGroup", "/LifeCycleLog/")
    del draft.properties(group)["KmsKeyId"]
    return group


@fault(TRACKING, "http-route-authorised")
def unauthorised_route(draft: Draft) -> str:
    """A route of the tracking API lets everybody in."""
    route = draft.find("AWS::ApiGatewayV2::Route", "ANY--labcycle--{proxy+}")
    draft.properties(route)["AuthorizationType"] = "NONE"
    return route


@fault(TRACKING, "http-stage-throttled")
def no_throttle(draft: Draft) -> str:
    """The stage of the tracking API has no throttle."""
    stage = draft.find("AWS::ApiGatewayV2::Stage")
    del draft.properties(stage)["DefaultRouteSettings"]
    return stage


@fault(TRACKING, "http-stage-logged")
def no_access_log(draft: Draft) -> str:
    """The stage of the tracking API has no access log."""
    stage = draft.find("AWS::ApiGatewayV2::Stage")
    del draft.properties(stage)["AccessLogSettings"]
    return stage


@fault(TRACKING, "function-url-authorised")
def open_function_url(draft: Draft) -> str:
    """The tracking function has a URL for everybody."""
    function = {"Fn::GetAtt": [draft.find("AWS::Lambda::Function", "/LifeCycle/"), "Arn"]}
    return draft.add("OpenUrl", "AWS::Lambda::Url", AuthType="NONE", TargetFunctionArn=function)


@fault(MODEL, "state-machine-logs-without-data")
def payload_in_logs(draft: Draft) -> str:
    """The state machine logs what its states take and give."""
    machine = draft.find("AWS::StepFunctions::StateMachine")
    draft.properties(machine)["LoggingConfiguration"]["IncludeExecutionData"] = True
    return machine


@fault(WORKSPACES, "security-group-no-open-ingress")
def open_port(draft: Draft) -> str:
    """SSH to the workspaces is open to the world."""
    group = draft.find("AWS::EC2::SecurityGroup")
    draft.properties(group)["SecurityGroupIngress"] = [
        {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "Description": "SSH"}
    ]
    return group


@fault(WORKSPACES, "launch-template-imdsv2")
def instance_metadata_without_token(draft: Draft) -> str:
    """The workspaces' instances answer IMDSv1."""
    launch = draft.find("AWS::EC2::LaunchTemplate")
    draft.properties(launch)["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] = "optional"
    return launch


@fault(WORKSPACES, "launch-template-hop-limit")
def instance_metadata_from_containers(draft: Draft) -> str:
    """The metadata of the workspaces' instances goes three hops."""
    launch = draft.find("AWS::EC2::LaunchTemplate")
    draft.properties(launch)["LaunchTemplateData"]["MetadataOptions"]["HttpPutResponseHopLimit"] = 3
    return launch


@fault(WORKSPACES, "launch-template-disks-encrypted")
def unencrypted_disk(draft: Draft) -> str:
    """A disk of the workspaces is not encrypted."""
    launch = draft.find("AWS::EC2::LaunchTemplate")
    disk = draft.properties(launch)["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]
    disk["Encrypted"] = False
    del disk["KmsKeyId"]
    return launch


@fault(WORKSPACES, "notebook-no-internet", onto=notebook)
def notebook_with_internet(draft: Draft) -> str:
    """A notebook has direct access to the internet."""
    draft.properties("Notebook")["DirectInternetAccess"] = "Enabled"
    return "Notebook"
