"""The example teams, of which one has its model on Fargate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud.fraud_with import fraud_with

ON_LAMBDA = "{form: api, runtime: lambda, memory_mb: 2048}"
ON_FARGATE = "{form: api, runtime: fargate, cpu: 1024, memory_mb: 3072, maximum_tasks: 4}"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with the model of the team fraud on Fargate."""
    return fraud_with(tmp_path_factory, ON_LAMBDA, ON_FARGATE)
