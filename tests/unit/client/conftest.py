from __future__ import annotations

from tests.unit.lineage.conftest import team  # noqa: F401 - a fixture
from tests.unit.tracking.conftest import api  # noqa: F401 - a fixture
