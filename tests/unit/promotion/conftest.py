from __future__ import annotations

from tests.unit.lifecycle.conftest import world

__all__ = ["world"]
