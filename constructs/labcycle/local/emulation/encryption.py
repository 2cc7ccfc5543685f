"""Who may use a customer's key: S3, DynamoDB and SNS use it in their caller's name, and refuse whom the key refuses.

MiniStack encrypts nothing at rest and asks nobody. The caller's policies and the key's policy are asked here, with
`kms:ViaService` as AWS sends it, so that a forgotten grant on the key fails here too.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html (permissions),
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from ministack import app
from ministack.core.iam_actions import access_denied_response
from ministack.core.router import extract_access_key_id
from ministack.services import dynamodb, kms, s3

from labcycle.local.emulation import policies
from labcycle.local.settings import Settings

CACHE_SECONDS = 5.0
_NOT_DATA = ("tagging", "acl", "retention", "legal-hold", "torrent", "attributes", "versions")
_TABLE_OPERATIONS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")
_BATCH_OPERATIONS = ("BatchGetItem", "BatchWriteItem", "TransactGetItems", "TransactWriteItems")
_cache: dict[tuple[str, str, str, str], tuple[float, str | None]] = {}

Handler = Callable[..., Awaitable[tuple[int, dict[str, str], Any]]]


def install(settings: Settings) -> None:
    _guard("s3", lambda method, path, headers, body, query: _bucket_use(method, path, query), settings)
    _guard("dynamodb", lambda method, path, headers, body, query: _table_use(headers, body), settings)


def refused(access_key: str, action: str, key: str, service: str, settings: Settings) -> str | None:
    """ARN of the principal that may not use the key through the service; None where it may."""
    at = (access_key, action, key, service)
    moment, known = _cache.get(at, (0.0, None))
    if moment + CACHE_SECONDS > time.monotonic():
        return known
    found = policies.refused_principal(
        access_key,
        action,
        key,
        account=settings.account,
        region=settings.region,
        policy=(kms.key_policy_for_arn(key) or (None,))[0],
        context=via(service, settings),
    )
    _cache[at] = (time.monotonic(), found)
    return found


def via(service: str, settings: Settings) -> dict[str, str]:
    """Condition keys that a service sends along when it uses a key for its caller."""
    return {"kms:ViaService": f"{service}.{settings.region}.amazonaws.com", "kms:CallerAccount": settings.account}


def key_arn(reference: str | None) -> str | None:
    """ARN of a customer's key by id, ARN or alias; None for a key that AWS manages."""
    record = kms._resolve_key(reference) if reference else None
    return str(record["Arn"]) if record else None


def _guard(service: str, use: Callable[..., tuple[str, str] | None], settings: Settings) -> None:
    original: Handler = app.SERVICE_HANDLERS[service]

    async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> tuple[int, dict[str, str], Any]:
        wanted = use(method, path, headers, body, query)
        access_key = extract_access_key_id(headers, query) if wanted else ""
        if wanted and access_key:
            action, key = wanted
            principal = refused(access_key, action, key, service, settings)
            if principal:
                answer: tuple[int, dict[str, str], Any] = access_denied_response(
                    service, action, principal, str(uuid4()), headers=headers, resource_arn=key
                )
                return answer
        return await original(method, path, headers, body, query)

    app.SERVICE_HANDLERS[service] = handle


def _bucket_use(method: str, path: str, query: Mapping[str, Any]) -> tuple[str, str] | None:
    bucket, _, name = path.lstrip("/").partition("/")
    if not name or method not in ("GET", "HEAD", "PUT", "POST") or any(part in query for part in _NOT_DATA):
        return None
    defaults = s3._bucket_default_sse_headers(bucket)
    key = key_arn(defaults.get("x-amz-server-side-encryption-aws-kms-key-id"))
    if key is None:
        return None
    return ("kms:Decrypt" if method in ("GET", "HEAD") else "kms:GenerateDataKey"), key


def _table_use(headers: Mapping[str, str], body: bytes) -> tuple[str, str] | None:
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    if operation not in _TABLE_OPERATIONS + _BATCH_OPERATIONS:
        return None
    asked = json.loads(body or b"{}")
    if operation in _TABLE_OPERATIONS:
        names = [asked.get("TableName")]
    elif "TransactItems" in asked:
        names = [part.get("TableName") for item in asked["TransactItems"] for part in item.values()]
    else:
        names = list(asked.get("RequestItems") or ())
    for name in names:
        table = dynamodb._tables.get(str(name).rsplit("/", 1)[-1])
        key = key_arn(((table or {}).get("SSEDescription") or {}).get("KMSMasterKeyArn"))
        if key:
            return "kms:Decrypt", key
    return None
