"""S3 buckets and DynamoDB tables: the properties that MiniStack's templates drop, and deletes that AWS refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.serialize
import botocore.session
from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, s3

from labcycle.local.emulation.resources.registration import Properties, afterwards, answered, refuse_delete

_MODEL = botocore.session.get_session().get_service_model("s3")
_SERIALIZER = botocore.serialize.create_serializer("rest-xml", include_validation=False)


def install() -> None:
    afterwards("AWS::S3::Bucket", _bucket)
    refuse_delete("AWS::S3::Bucket", _bucket_not_empty)
    afterwards("AWS::DynamoDB::Table", _table)
    refuse_delete("AWS::DynamoDB::Table", _table_protected)
    _use_managed_key()


def _use_managed_key() -> None:
    """An object written with `aws:kms` and no key takes the bucket's, else the account's key for S3; MiniStack refuses it."""
    original = s3._resolve_sse_write_headers
    name = "x-amz-server-side-encryption-aws-kms-key-id"

    def resolve(headers: dict[str, str], bucket: str) -> Any:
        if headers.get("x-amz-server-side-encryption") == "aws:kms" and not headers.get(name):
            default = s3._bucket_default_sse_headers(bucket).get(name)
            managed = f"arn:aws:kms:{get_region()}:{get_account_id()}:alias/aws/s3"
            headers = {**headers, name: default or managed}
        return original(headers, bucket)

    s3._resolve_sse_write_headers = resolve


def _bucket(name: str, properties: Properties) -> None:
    if properties.get("ObjectLockEnabled") in (True, "true") and not s3._bucket_object_lock.get(name):
        s3._bucket_object_lock[name] = {"enabled": True, "default_retention": None}
        s3._bucket_versioning[name] = "Enabled"
    status = (properties.get("VersioningConfiguration") or {}).get("Status")
    if status:
        s3._bucket_versioning[name] = status
    if properties.get("Tags"):
        s3._bucket_tags[name] = {tag["Key"]: tag["Value"] for tag in properties["Tags"]}
    settings: list[tuple[str, str, Callable[..., Any], Callable[[Any], dict[str, Any]]]] = [
        ("BucketEncryption", "PutBucketEncryption", s3._put_bucket_encryption, _encryption),
        ("LifecycleConfiguration", "PutBucketLifecycleConfiguration", s3._put_bucket_lifecycle, _lifecycle),
        ("OwnershipControls", "PutBucketOwnershipControls", s3._put_bucket_ownership_controls, _ownership),
        ("ObjectLockConfiguration", "PutObjectLockConfiguration", s3._put_object_lock_configuration, _object_lock),
    ]
    for key, operation, put, convert in settings:
        if properties.get(key):
            answered(put(name, _xml(operation, convert(properties[key]))), f"{key} of the bucket {name}")


def _xml(operation: str, parameters: dict[str, Any]) -> bytes:
    model = _MODEL.operation_model(operation)
    body = _SERIALIZER.serialize_to_request({"Bucket": "bucket", **parameters}, model)["body"]
    return body if isinstance(body, bytes) else str(body).encode()


def _encryption(given: Any) -> dict[str, Any]:
    rules = []
    for rule in given["ServerSideEncryptionConfiguration"]:
        default = rule.get("ServerSideEncryptionByDefault") or {}
        found: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": default}
        if "BucketKeyEnabled" in rule:
            found["BucketKeyEnabled"] = rule["BucketKeyEnabled"] in (True, "true")
        rules.append(found)
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def _ownership(given: Any) -> dict[str, Any]:
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": rule["ObjectOwnership"]} for rule in given["Rules"]]}}


def _object_lock(given: Any) -> dict[str, Any]:
    rule = given.get("Rule")
    found: dict[str, Any] = {"ObjectLockEnabled": given.get("ObjectLockEnabled", "Enabled")}
    if rule:
        retention = rule["DefaultRetention"]
        numbers = {key: int(retention[key]) for key in ("Days", "Years") if key in retention}
        found["Rule"] = {"DefaultRetention": {"Mode": retention["Mode"], **numbers}}
    return {"ObjectLockConfiguration": found}


def _lifecycle(given: Any) -> dict[str, Any]:
    return {"LifecycleConfiguration": {"Rules": [_lifecycle_rule(i, rule) for i, rule in enumerate(given["Rules"])]}}


def _lifecycle_rule(index: int, rule: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"ID": rule.get("Id") or f"rule-{index}", "Status": rule["Status"]}
    tags = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in rule.get("TagFilters") or []]
    prefix = rule.get("Prefix", "")
    if tags and (prefix or len(tags) > 1):
        found["Filter"] = {"And": {"Prefix": prefix, "Tags": tags}}
    else:
        found["Filter"] = {"Tag": tags[0]} if tags else {"Prefix": prefix}
    if "ExpirationInDays" in rule:
        found["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    elif rule.get("ExpiredObjectDeleteMarker") in (True, "true"):
        found["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    earlier = rule.get("NoncurrentVersionExpiration") or {}
    days = rule.get("NoncurrentVersionExpirationInDays") or earlier.get("NoncurrentDays")
    if days:
        found["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(days)}
        if earlier.get("NewerNoncurrentVersions"):
            found["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] = int(earlier["NewerNoncurrentVersions"])
    moves = rule.get("Transitions") or ([rule["Transition"]] if rule.get("Transition") else [])
    if moves:
        found["Transitions"] = [
            {"Days": int(move["TransitionInDays"]), "StorageClass": move["StorageClass"]} for move in moves
        ]
    abort = rule.get("AbortIncompleteMultipartUpload")
    if abort:
        found["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(abort["DaysAfterInitiation"])}
    return found


def _bucket_not_empty(name: str) -> str | None:
    bucket = s3._buckets.get(name)
    if bucket and (bucket["objects"] or s3._bucket_has_versions(name)):
        return f"The bucket {name} you tried to delete is not empty (BucketNotEmpty)"
    return None


def _table(name: str, properties: Properties) -> None:
    recovery = properties.get("PointInTimeRecoverySpecification") or {}
    dynamodb._pitr_settings[name] = recovery.get("PointInTimeRecoveryEnabled") in (True, "true")
    table = dynamodb._tables[name]
    table["DeletionProtectionEnabled"] = properties.get("DeletionProtectionEnabled") in (True, "true")
    encryption = properties.get("SSESpecification") or {}
    if encryption.get("SSEEnabled") in (True, "true"):
        key = encryption.get("KMSMasterKeyId")
        table["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", **({"KMSMasterKeyArn": key} if key else {})}
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        enabled = expiry.get("Enabled") in (True, "true")
        dynamodb._ttl_settings[name] = {
            "TimeToLiveStatus": "ENABLED" if enabled else "DISABLED",
            "AttributeName": expiry.get("AttributeName", ""),
        }


def _table_protected(name: str) -> str | None:
    table = dynamodb._tables.get(name)
    if table and table.get("DeletionProtectionEnabled"):
        return f"Resource cannot be deleted as it is currently protected against deletion: the table {name}"
    return None
