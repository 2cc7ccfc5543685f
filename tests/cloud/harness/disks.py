"""Disks without a size of their own are as large as their image says, which moto's images do not."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from unittest import mock

from moto.ec2.models.elastic_block_store import EBSBackend

_IMAGE_GIB = 8


def patch(stack: ExitStack) -> None:
    """Let instances have such disks until `stack` closes."""
    create = EBSBackend.create_volume

    def create_volume(
        backend: Any, size: int | None, zone_name: str, snapshot_id: str | None = None, **more: Any
    ) -> Any:
        return create(backend, size if size or snapshot_id else _IMAGE_GIB, zone_name, snapshot_id, **more)

    stack.enter_context(mock.patch.object(EBSBackend, "create_volume", create_volume))
