"""Buckets and tables with all that their templates say: moto's own models leave out versioning, locks and backups."""

from __future__ import annotations

from typing import Any

from tests.cloud.harness.place import Place
from tests.cloud.harness.resources import Created, Properties, model


@model("AWS::S3::Bucket", "s3", "BucketName")
def _bucket(s3: Any, name: str, properties: Properties, place: Place) -> Created:
    where = {} if place.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
    properties.pop("BucketName", None)
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=properties.pop("ObjectLockEnabled", False), **where)
    for key, value in properties.items():
        _BUCKET_PARTS[key](s3, name, value)
    arn, domain = f"arn:aws:s3:::{name}", "amazonaws.com"
    return Created(
        name,
        {
            "Arn": arn,
            "DomainName": f"{name}.s3.{domain}",
            "RegionalDomainName": f"{name}.s3.{place.region}.{domain}",
        },
    )


def _encryption(s3: Any, name: str, value: Any) -> None:
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
            "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})


def _lifecycle(s3: Any, name: str, value: Any) -> None:
    rules = []
    for given in value["Rules"]:
        rule = dict(given)
        made = {"ID": rule.pop("Id"), "Status": rule.pop("Status"), "Filter": {"Prefix": rule.pop("Prefix", "")}}
        if "ExpirationInDays" in rule:
            made["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
        rules.append({**made, **rule})
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})


def _logging(s3: Any, name: str, value: Any) -> None:
    enabled = {"TargetBucket": value["DestinationBucketName"], "TargetPrefix": value.get("LogFilePrefix", "")}
    s3.put_bucket_logging(Bucket=name, BucketLoggingStatus={"LoggingEnabled": enabled})


_BUCKET_PARTS: dict[str, Any] = {
    "BucketEncryption": _encryption,
    "LifecycleConfiguration": _lifecycle,
    "LoggingConfiguration": _logging,
    "ObjectLockConfiguration": lambda s3, name, value: s3.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration=value
    ),
    "OwnershipControls": lambda s3, name, value: s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=value),
    "PublicAccessBlockConfiguration": lambda s3, name, value: s3.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=value
    ),
    "Tags": lambda s3, name, value: s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": value}),
    "VersioningConfiguration": lambda s3, name, value: s3.put_bucket_versioning(
        Bucket=name, VersioningConfiguration=value
    ),
}


@model("AWS::DynamoDB::Table", "dynamodb", "TableName")
def _table(dynamodb: Any, name: str, properties: Properties, place: Place) -> Created:
    backups = properties.pop("PointInTimeRecoverySpecification", None)
    expiry = properties.pop("TimeToLiveSpecification", None)
    sse = properties.pop("SSESpecification", None)
    if sse:
        properties["SSESpecification"] = {"Enabled": sse.pop("SSEEnabled"), **sse}
    if stream := properties.pop("StreamSpecification", None):
        properties["StreamSpecification"] = {"StreamEnabled": True, **stream}
    made = dynamodb.create_table(**{**properties, "TableName": name})["TableDescription"]
    if backups:
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=backups)
    if expiry:
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    return Created(name, {"Arn": made["TableArn"], "StreamArn": made.get("LatestStreamArn", "")})
