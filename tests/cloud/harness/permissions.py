"""Holds every call of a deployed function, state machine, training job or member against the policies of its role.

The AWS call is turned into the IAM actions that it needs, uses of a customer key by DynamoDB, EC2, S3 and SNS included,
and each must be allowed by the role's policies within its boundary. An operation that is not in the table is an error.
Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.handlers import BUILTIN_HANDLERS
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.ses.models import ses_backends
from moto.sns.models import sns_backends

from tests.cloud.harness import policies
from tests.cloud.harness.functions import Functions
from tests.cloud.harness.place import Place, access_key

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Need:
    action: str
    resource: str
    context: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Use:
    """What a role, by its name, asked for and was allowed; `context` is sorted by key."""

    role: str
    action: str
    resource: str
    context: tuple[tuple[str, tuple[str, ...]], ...]


class Guard:
    """Refuses calls that their role may not make, and remembers them in `refused`; `used` holds what was allowed."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.used: set[Use] = set()
        self._clients: dict[tuple[str, Place, str, bool], Any] = {}

    def patch(self, stack: ExitStack) -> None:
        """Remember whatever a role is allowed, by whichever part of the cloud it was asked, until `stack` closes."""
        require = policies.require_role

        def require_role(
            role_arn: str, action: str, resource: str, context: Mapping[str, Sequence[str]] | None = None
        ) -> None:
            require(role_arn, action, resource, context)
            asked = tuple(sorted((key, tuple(values)) for key, values in (context or {}).items()))
            self.used.add(Use(role_arn.rpartition("/")[2], action, resource, asked))

        stack.enter_context(mock.patch.object(policies, "require_role", require_role))

    def check(self, role_arn: str, place: Place, service: str, operation: str, params: Params) -> None:
        """Raise the ClientError that AWS would answer, unless the role may call `operation`."""
        self.require(role_arn, place, operation, needs(place, service, operation, params))

    def require(self, role_arn: str, place: Place, operation: str, wanted: Iterable[Need]) -> None:
        """Raise the ClientError that AWS would answer to `operation`, unless the role may do all of `wanted`."""
        for need in wanted:
            principal = {"aws:PrincipalArn": [role_arn], "aws:PrincipalAccount": [place.account]}
            try:
                policies.require_role(role_arn, need.action, need.resource, {**principal, **need.context})
            except policies.NotPermitted as refusal:
                self.refused.append(str(refusal))
                answer: Any = {
                    "Error": {"Code": "AccessDeniedException", "Message": str(refusal)},
                    "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "refused"},
                }
                raise ClientError(answer, operation) from refusal

    def client(self, service: str, place: Place, role_arn: str, config: Config | None = None) -> Any:
        """A client that may do what the role may."""
        known = (service, place, role_arn, config is None)
        if known not in self._clients:
            self._clients[known] = self._make(service, place, role_arn, config)
        return self._clients[known]

    def _make(self, service: str, place: Place, role_arn: str, config: Config | None) -> Any:
        session = boto3.Session(access_key(place.account), "testing", region_name=place.region)
        client = session.client(service, config=config)  # type: ignore[call-overload]

        def check(params: Params, model: Any, **_: Any) -> None:
            self.check(role_arn, place, service, model.name, params)

        client.meta.events.register("provide-client-params", check)
        return client


class FunctionCalls:
    """The guard that holds the calls of running functions; every session of botocore asks it from its birth on."""

    def __init__(self) -> None:
        self.guard: Guard | None = None
        self.functions: Functions | None = None
        BUILTIN_HANDLERS.append(("provide-client-params", self._check))

    def _check(self, params: Params, model: Any, context: Any = None, **_: Any) -> None:
        function = self.functions.running if self.functions else None
        if self.guard is None or self.functions is None or function is None:
            return
        region = (context or {}).get("client_region") or function.region
        place = Place(function.account_id, region)
        with self.functions.suspended():
            self.guard.check(function.role, place, model.service_model.service_name, model.name, params)


FUNCTION_CALLS = FunctionCalls()


def needs(place: Place, service: str, operation: str, params: Params) -> Iterator[Need]:
    """The IAM actions behind one call."""
    yield from _TABLE[service](place, operation, params)


def _arn(place: Place, service: str, rest: str) -> str:
    return f"arn:aws:{service}:{place.region}:{place.account}:{rest}"


_ITEM_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_PLAIN_ITEM_OPERATIONS = {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "DescribeTable"}


def _dynamodb(place: Place, operation: str, params: Params) -> Iterator[Need]:
    wanted: list[tuple[str, Params]]
    if operation in _PLAIN_ITEM_OPERATIONS:
        wanted = [(operation, params)]
    elif operation == "TransactWriteItems":
        wanted = [(_ITEM_ACTIONS[kind], part) for item in params["TransactItems"] for kind, part in item.items()]
    elif operation == "BatchGetItem":
        asked = [(table, key) for table, part in params["RequestItems"].items() for key in part["Keys"]]
        wanted = [(operation, {"TableName": table, "Key": key}) for table, key in asked]
    elif operation == "BatchWriteItem":
        asked = [(table, write) for table, writes in params["RequestItems"].items() for write in writes]
        wanted = [(operation, {"TableName": table, **next(iter(write.values()))}) for table, write in asked]
    elif operation == "TransactGetItems":
        wanted = [("GetItem", item["Get"]) for item in params["TransactItems"]]
    else:
        raise NotImplementedError(f"the permissions of dynamodb {operation}")
    for action, part in wanted:
        index = f"/index/{part['IndexName']}" if "IndexName" in part else ""
        keys = [_partition_value(place, part)] if action not in {"Scan", "DescribeTable"} else []
        table = _arn(place, "dynamodb", f"table/{part['TableName']}{index}")
        yield Need(f"dynamodb:{action}", table, {"dynamodb:LeadingKeys": keys} if keys else {})
    for name in dict.fromkeys(part["TableName"] for _, part in wanted):
        for action in ("Decrypt", "DescribeKey"):
            yield from _key_use(place, _table(place, name).key, "dynamodb", action)


def _partition_value(place: Place, part: Params) -> str:
    """The partition key of the item or query, which policies call the leading key."""
    name = _table(place, part["TableName"]).partition_key
    if "KeyConditionExpression" in part:
        equals = re.search(r"(\S+)\s*=\s*(:\w+)", part["KeyConditionExpression"])
        assert equals, part["KeyConditionExpression"]
        value: Any = part["ExpressionAttributeValues"][equals.group(2)]
    else:
        value = (part.get("Key") or part["Item"])[name]
    return str(next(iter(value.values())))


def _s3(place: Place, operation: str, params: Params) -> Iterator[Need]:
    bucket = f"arn:aws:s3:::{params['Bucket']}"
    found = f"{bucket}/{params.get('Key', '')}"
    version = "Version" if params.get("VersionId") else ""
    reads, writes = False, False
    if operation in {"GetObject", "HeadObject"}:
        yield Need(f"s3:GetObject{version}", found)
        reads = True
    elif operation in {"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}:
        yield Need("s3:PutObject", found)
        # The parts of an object are read again: https://repost.aws/knowledge-center/s3-large-file-encryption-kms-key
        reads, writes = operation in {"UploadPart", "CompleteMultipartUpload"}, True
    elif operation == "CopyObject":
        source = params["CopySource"]
        version = "Version" if source.get("VersionId") else ""
        yield Need(f"s3:GetObject{version}", f"arn:aws:s3:::{source['Bucket']}/{source['Key']}")
        yield Need("s3:PutObject", found)
        reads = writes = True
    elif operation == "DeleteObject":
        yield Need(f"s3:DeleteObject{version}", found)
    elif operation == "DeleteObjects":
        for entry in params["Delete"]["Objects"]:
            yield Need(f"s3:DeleteObject{'Version' if entry.get('VersionId') else ''}", f"{bucket}/{entry['Key']}")
    elif operation == "AbortMultipartUpload":
        yield Need("s3:AbortMultipartUpload", found)
    elif operation in {"ListObjects", "ListObjectsV2", "HeadBucket", "ListObjectVersions"}:
        action = "s3:ListBucketVersions" if operation == "ListObjectVersions" else "s3:ListBucket"
        yield Need(action, bucket, {"s3:prefix": [params.get("Prefix", "")]})
    else:
        raise NotImplementedError(f"the permissions of s3 {operation}")
    key = _bucket_key(place, params["Bucket"])
    if reads:
        yield from _key_use(place, key, "s3", "Decrypt")
    if writes:
        yield from _key_use(place, key, "s3", "GenerateDataKey")


def _gateway(place: Place, operation: str, params: Params) -> Iterator[Need]:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html"""
    path = {"GetApiKey": "apikeys/{apiKey}", "GetUsage": "usageplans/{usagePlanId}/usage"}[operation]
    yield Need("apigateway:GET", f"arn:aws:apigateway:{place.region}::/{path.format(**params)}")


def _sns(place: Place, operation: str, params: Params) -> Iterator[Need]:
    assert operation == "Publish", operation
    topic = params["TopicArn"]
    yield Need("sns:Publish", topic)
    key = sns_backends[place.account][place.region].get_topic(topic).kms_master_key_id or ""
    for action in ("Decrypt", "GenerateDataKey"):
        yield from _key_use(place, key, "sns", action)


def _ses(place: Place, operation: str, params: Params) -> Iterator[Need]:
    """By the identity that is verified, the address before its domain.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsimpleemailservicev2.html
    """
    assert operation == "SendEmail", operation
    sender = params["FromEmailAddress"]
    verified = ses_backends[place.account][place.region].email_identities
    identity = sender if sender in verified else sender.rpartition("@")[2]
    yield Need("ses:SendEmail", _arn(place, "ses", f"identity/{identity}"), {"ses:FromAddress": [sender]})


def _sagemaker(place: Place, operation: str, params: Params) -> Iterator[Need]:
    job = _arn(place, "sagemaker", f"training-job/{params['TrainingJobName']}")
    assert operation in {"CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob"}, operation
    yield Need(f"sagemaker:{operation}", job)
    if operation == "CreateTrainingJob":
        yield Need("iam:PassRole", params["RoleArn"], {"iam:PassedToService": ["sagemaker.amazonaws.com"]})
        if params.get("Tags"):
            yield Need("sagemaker:AddTags", job)
        # The grant for the training's disk: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
        for action in ("CreateGrant", "DescribeKey"):
            yield from _key_use(place, params["ResourceConfig"].get("VolumeKmsKeyId", ""), "sagemaker", action)


def _sagemaker_runtime(place: Place, operation: str, params: Params) -> Iterator[Need]:
    yield Need(f"sagemaker:{operation}", _arn(place, "sagemaker", f"endpoint/{params['EndpointName']}"))


def training_needs(place: Place, job: Params) -> Iterator[Need]:
    """What SageMaker does in the name of a training job's role, beside reading and writing objects.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms
    """
    image = _IMAGE.fullmatch(job["AlgorithmSpecification"]["TrainingImage"])
    assert image, job["AlgorithmSpecification"]
    yield Need("ecr:GetAuthorizationToken", "*")
    for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
        repository = f"arn:aws:ecr:{image['region']}:{image['account']}:repository/{image['repository']}"
        yield Need(f"ecr:{action}", repository)
    group = _arn(place, "logs", "log-group:/aws/sagemaker/TrainingJobs")
    stream = f"{group}:log-stream:{job['TrainingJobName']}/algo-1-1767225600"
    for action in ("CreateLogGroup", "DescribeLogStreams"):
        yield Need(f"logs:{action}", f"{group}:log-stream:")
    for action in ("CreateLogStream", "PutLogEvents"):
        yield Need(f"logs:{action}", stream)
    yield Need("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": ["/aws/sagemaker/TrainingJobs"]})
    yield from _key_use(place, job["OutputDataConfig"].get("KmsKeyId", ""), "sagemaker", "Encrypt")
    yield from _key_use(place, job["ResourceConfig"].get("VolumeKmsKeyId", ""), "sagemaker", "CreateGrant")


_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)[:@].+"
)


def _cloudwatch(place: Place, operation: str, params: Params) -> Iterator[Need]:
    namespace = {"cloudwatch:namespace": [params["Namespace"]]} if operation == "PutMetricData" else {}
    alarms = params.get("AlarmNames", ["*"]) if operation == "DescribeAlarms" else []
    for resource in [_arn(place, "cloudwatch", f"alarm:{name}") for name in alarms] or ["*"]:
        yield Need(f"cloudwatch:{operation}", resource, namespace)


_OF_INSTANCES = {"RebootInstances", "StartInstances", "StopInstances", "TerminateInstances"}


def _ec2(place: Place, operation: str, params: Params) -> Iterator[Need]:
    if operation.startswith("Describe"):
        yield Need(f"ec2:{operation}", "*")
    elif operation == "RunInstances":
        yield from _launch(place, params)
    else:
        assert operation in _OF_INSTANCES, operation
        for instance in params["InstanceIds"]:
            yield Need(f"ec2:{operation}", _arn(place, "ec2", f"instance/{instance}"), _instance_tags(place, instance))
            if operation == "StartInstances":
                for key in _volume_keys(place, instance):
                    yield from _key_use(place, key, "ec2", "CreateGrant")


def _launch(place: Place, params: Params) -> Iterator[Need]:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/use-launch-templates-to-control-launching-instances.html"""
    assert set(params) == {"LaunchTemplate", "MinCount", "MaxCount"}, "only what is as the template says is known here"
    name = params["LaunchTemplate"]["LaunchTemplateName"]
    template = ec2_backends[place.account][place.region].get_launch_template_by_name(name)
    data = template.latest_version().data
    arn = _arn(place, "ec2", f"launch-template/{template.id}")
    context = {"ec2:LaunchTemplate": [arn], "ec2:IsLaunchTemplateResource": ["true"]}
    (interface,) = data["NetworkInterfaces"]
    yield Need("ec2:RunInstances", arn)
    yield Need(
        "ec2:RunInstances",
        _arn(place, "ec2", "instance/i-0123456789abcdef0"),
        {**context, "ec2:InstanceType": [data["InstanceType"]]},
    )
    for resource in ("network-interface/eni-1", "volume/vol-1", f"subnet/{interface['SubnetId']}"):
        yield Need("ec2:RunInstances", _arn(place, "ec2", resource), context)
    for group in interface["Groups"]:
        yield Need("ec2:RunInstances", _arn(place, "ec2", f"security-group/{group}"), context)
    yield Need("ec2:RunInstances", f"arn:aws:ec2:{place.region}::image/ami-0123456789abcdef0", context)
    for tagged in data["TagSpecifications"]:
        created = {"ec2:CreateAction": ["RunInstances"]}
        yield Need("ec2:CreateTags", _arn(place, "ec2", f"{tagged['ResourceType']}/new"), created)
    parameter = data["ImageId"].removeprefix("resolve:ssm:")
    yield from _ssm(place, "GetParameters", {"Names": [parameter]})
    (profile,) = [
        profile
        for profile in place.client("iam").list_instance_profiles()["InstanceProfiles"]
        if profile["Arn"] == data["IamInstanceProfile"]["Arn"]
    ]
    (role,) = profile["Roles"]
    yield Need("iam:PassRole", role["Arn"], {"iam:PassedToService": ["ec2.amazonaws.com"]})
    # https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
    for key in {disk["Ebs"]["KmsKeyId"] for disk in data["BlockDeviceMappings"]}:
        for action in (
            "CreateGrant",
            "Decrypt",
            "DescribeKey",
            "GenerateDataKeyWithoutPlaintext",
            "ReEncryptFrom",
            "ReEncryptTo",
        ):
            yield from _key_use(place, key, "ec2", action)


def _instance_tags(place: Place, instance: str) -> dict[str, list[str]]:
    tags = ec2_backends[place.account][place.region].describe_tags({"resource-id": [instance]})
    return {f"aws:ResourceTag/{tag['key']}": [tag["value"]] for tag in tags}


def _volume_keys(place: Place, instance: str) -> set[str]:
    ec2 = ec2_backends[place.account][place.region]
    disks = ec2.get_instance(instance).block_device_mapping.values()
    return {key for disk in disks if (key := ec2.get_volume(disk.volume_id).kms_key_id)}


def _lambda(place: Place, operation: str, params: Params) -> Iterator[Need]:
    name = params["FunctionName"]
    arn = name if name.startswith("arn:") else _arn(place, "lambda", f"function:{name}")
    yield Need({"Invoke": "lambda:InvokeFunction"}.get(operation, f"lambda:{operation}"), arn)


def _events(place: Place, operation: str, params: Params) -> Iterator[Need]:
    assert operation == "PutEvents", operation
    for entry in params["Entries"]:
        bus = entry.get("EventBusName", "default")
        yield Need("events:PutEvents", bus if bus.startswith("arn:") else _arn(place, "events", f"event-bus/{bus}"))


def _states(place: Place, operation: str, params: Params) -> Iterator[Need]:
    if operation == "SendTaskSuccess":  # takes no resource: who has the token may
        yield Need("states:SendTaskSuccess", "*")
    else:
        yield Need(f"states:{operation}", params.get("stateMachineArn") or params["executionArn"])


_SHELL = "SSM-SessionManagerRunShell"


def _ssm(place: Place, operation: str, params: Params) -> Iterator[Need]:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html"""
    if operation in {"GetParameter", "GetParameters"}:
        for name in params.get("Names") or [params["Name"]]:
            owner = "" if name.startswith("/aws/service/") else place.account
            yield Need(f"ssm:{operation}", f"arn:aws:ssm:{place.region}:{owner}:parameter/{name.lstrip('/')}")
    elif operation == "StartSession":
        instance, document = params["Target"], params.get("DocumentName", _SHELL)
        yield Need("ssm:StartSession", _arn(place, "ec2", f"instance/{instance}"), _instance_tags(place, instance))
        owner = place.account if document == _SHELL else ""
        yield Need("ssm:StartSession", f"arn:aws:ssm:{place.region}:{owner}:document/{document}")
    elif operation in {"ResumeSession", "TerminateSession"}:
        user = f"AROAEXAMPLE:{params['SessionId'].rpartition('-')[0]}"
        known = {"aws:userid": [user], "ssm:resourceTag/aws:ssmmessages:session-id": [user]}
        yield Need(f"ssm:{operation}", _arn(place, "ssm", f"session/{params['SessionId']}"), known)
    elif operation == "GetConnectionStatus":
        yield Need("ssm:GetConnectionStatus", _arn(place, "ec2", f"instance/{params['Target']}"))
    else:
        assert operation in {"DescribeInstanceInformation", "DescribeSessions"}, operation
        yield Need(f"ssm:{operation}", "*")


def _sts(place: Place, operation: str, params: Params) -> Iterator[Need]:
    assert operation == "GetCallerIdentity", operation
    yield from ()


_TABLE: dict[str, Any] = {
    "apigateway": _gateway,
    "cloudwatch": _cloudwatch,
    "dynamodb": _dynamodb,
    "ec2": _ec2,
    "events": _events,
    "lambda": _lambda,
    "s3": _s3,
    "sagemaker": _sagemaker,
    "sagemaker-runtime": _sagemaker_runtime,
    "sesv2": _ses,
    "sns": _sns,
    "ssm": _ssm,
    "stepfunctions": _states,
    "sts": _sts,
}


def _key_use(place: Place, key: str, service: str, action: str) -> Iterator[Need]:
    """A service uses a customer key in its caller's name."""
    if key:
        arn, tags = _key(place, key)
        context = {"kms:ViaService": [f"{service}.{place.region}.amazonaws.com"], "kms:CallerAccount": [place.account]}
        if action == "CreateGrant":
            context["kms:GrantIsForAWSResource"] = ["true"]
        yield Need(
            f"kms:{action}", arn, {**context, **{f"aws:ResourceTag/{name}": [value] for name, value in tags.items()}}
        )


def _key(place: Place, key: str) -> tuple[str, dict[str, str]]:
    kms = kms_backends[place.account][place.region]
    found = kms.describe_key(key)
    return found.arn, kms.tagger.get_tag_dict_for_resource(found.id)


@dataclass(frozen=True)
class _Table:
    partition_key: str
    key: str


def _table(place: Place, name: str) -> _Table:
    table = dynamodb_backends[place.account][place.region].get_table(name)
    return _Table(table.hash_key_attr, str((table.sse_specification or {}).get("KMSMasterKeyId", "")))


def _bucket_key(place: Place, bucket: str) -> str:
    rules = s3_backends[place.account]["aws"].buckets[bucket].encryption
    rule = (rules or {}).get("Rule") or {}
    return str(rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", ""))
