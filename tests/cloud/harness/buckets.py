"""Bucket policies, read with their conditions: moto reads a Deny without, so that one on plain HTTP denies everything."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any
from unittest import mock

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from tests.cloud.harness import policies

_CONTEXT = {"aws:SecureTransport": ["true"], "s3:TlsVersion": ["1.3"]}


def patch(stack: ExitStack) -> None:
    """Let buckets refuse what their policies deny until `stack` closes."""

    def get_permission(bucket: Any, action: str, resource: str) -> Any:
        if bucket.policy and policies.denies(json.loads(bucket.policy), action, resource, _CONTEXT):
            return PermissionResult.DENIED
        return PermissionResult.NEUTRAL

    stack.enter_context(mock.patch.object(FakeBucket, "get_permission", get_permission))
