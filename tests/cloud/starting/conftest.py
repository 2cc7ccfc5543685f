"""The example teams, of which one has functions that start ahead of requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud.fraud_with import fraud_with

API = "      - {form: api, runtime: lambda, memory_mb: 2048}\n"
AHEAD = """      - form: api
        runtime: lambda
        memory_mb: 2048
        concurrency: 5
        start: {mode: provisioned, concurrency: 2}
"""


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with that for the model of the team fraud."""
    return fraud_with(tmp_path_factory, API, AHEAD)
