from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.serving import workshop


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[workshop.World]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with workshop.world() as made:
        yield made
