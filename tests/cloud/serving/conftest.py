"""The example teams, of which one has batches, a page and a place for a shadow as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud.fraud_with import fraud_with

API = "      - {form: api, runtime: lambda, memory_mb: 2048}\n"
SHADOWED = "      - {form: api, runtime: lambda, memory_mb: 2048, shadow: {concurrency: 2}}\n"
BATCH = '      - {form: batch, schedule: "cron(0 5 * * ? *)", time_zone: Europe/Berlin, tolerated_failure_percent: 1}\n'
APP = "      - {form: app}\n"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with all that for the model of the team fraud."""
    return fraud_with(tmp_path_factory, API, SHADOWED + BATCH + APP)
