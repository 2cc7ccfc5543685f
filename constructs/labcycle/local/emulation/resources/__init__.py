"""CloudFormation types: those that MiniStack lacks, and what it drops from those that it has.

A type that is not in the table of `labcycle.local.resource_types` is taken out of MiniStack, which then refuses the
template before it touches anything.
"""

from __future__ import annotations

from ministack.services.cloudformation import provisioners

from labcycle.local.emulation.resources import addresses, containers, identity, messaging, network, queues, storage
from labcycle.local.resource_types import TYPES
from labcycle.local.settings import Settings


def install(settings: Settings) -> None:
    for part in (storage, identity, messaging, network, queues):
        part.install()
    addresses.install(settings)
    containers.install(settings)
    handlers = provisioners._RESOURCE_HANDLERS
    for unlisted in [name for name in handlers if name not in TYPES]:
        del handlers[unlisted]
    missing = sorted(name for name in TYPES if name not in handlers)
    if missing:
        raise RuntimeError(f"listed in resource_types, but nothing makes them: {', '.join(missing)}")
