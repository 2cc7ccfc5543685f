from __future__ import annotations

from tests.unit.model_server.conftest import world  # noqa: F401 - a fixture
