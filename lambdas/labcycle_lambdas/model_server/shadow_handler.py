"""The shadow of one model, on Lambda: called asynchronously with what the live version answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from labcycle_lambdas.ledger.shadows import Shadows
from labcycle_lambdas.model_server.loading import import_at_start
from labcycle_lambdas.model_server.making import make_shadow
from labcycle_lambdas.model_server.shadow import Shadow
from labcycle_lambdas.model_server.shown import Shown
from labcycle_lambdas.responding import settle

import_at_start()


@dataclass(frozen=True)
class Shading:
    """Sees each request once, however often Lambda brings it, and writes what it counted before the sandbox is frozen."""

    model: str
    shadows: Shadows
    shadow: Shadow

    def take(self, event: Mapping[str, Any]) -> None:
        """Raises `Throttled`; then the request counts as not seen."""
        shown = Shown.from_event(event)
        if self.shadows.is_first(self.model, shown.comparison, shown.request_id, datetime.now(UTC)):
            self.shadow.see(shown)
        self.shadow.seen.write()


@cache
def shading() -> Shading:
    """Made once a sandbox."""
    made = Shading(*make_shadow())
    settle()
    return made


def handle(event: dict[str, Any], context: object) -> None:
    shading().take(event)
