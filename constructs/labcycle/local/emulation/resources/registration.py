"""How a CloudFormation type is added to MiniStack, or mended."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]  # physical id (what Ref gives), attributes


def register(
    name: str,
    create: Callable[[str, Properties, str], Made],
    delete: Callable[[str, Properties], None],
    update: Callable[[str, Properties, Properties, str], Made] | None = None,
) -> None:
    """Add a type. Without `update`, a changed resource is made anew and the old one deleted, as a replacement is."""

    def replace(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
        made = create(f"r{uuid.uuid4().hex[:8]}", new, stack)
        provisioners._delete_predecessor(delete, physical_id, old)
        return made

    provisioners._RESOURCE_HANDLERS[name] = {"create": create, "delete": delete, "update": update or replace}


def afterwards(name: str, apply: Callable[[str, Properties], None]) -> None:
    """Do `apply(physical_id, properties)` after every create and update of a type that MiniStack has."""
    handler = provisioners._RESOURCE_HANDLERS[name]
    create, update = handler["create"], handler.get("update")

    def created(*arguments: Any) -> Made:
        made: Made = create(*arguments)
        apply(made[0], arguments[1])
        return made

    def updated(*arguments: Any) -> Made:
        made: Made = update(*arguments)
        apply(made[0], arguments[2])
        return made

    handler["create"] = created
    if update is not None:
        handler["update"] = updated


def refuse_delete(name: str, reason: Callable[[str], str | None]) -> None:
    """Let a delete fail with `reason(physical_id)`, where it gives one, as the service would refuse it."""
    handler = provisioners._RESOURCE_HANDLERS[name]
    delete = handler["delete"]

    def deleted(physical_id: str, properties: Properties, *rest: Any) -> None:
        text = reason(physical_id)
        if text:
            raise ValueError(text)
        delete(physical_id, properties, *rest)

    handler["delete"] = deleted


def answered(response: tuple[int, Mapping[str, str], bytes | str], what: str) -> str:
    """Body of a service's answer; its error as the resource's failure."""
    status, _, body = response
    text = body.decode() if isinstance(body, bytes) else body
    if status >= 300:
        raise ValueError(f"{what}: {text}")
    return text
