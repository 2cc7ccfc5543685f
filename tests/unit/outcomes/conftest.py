from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.ledger.conftest import Faults, client, faults, table
from tests.unit.outcomes.place import Place

__all__ = ["Faults", "client", "faults", "place", "table"]


@pytest.fixture
def place(client: object, faults: Faults) -> Iterator[Place]:
    yield Place(client, faults)
