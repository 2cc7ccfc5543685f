"""The example teams, of which one has its model on an endpoint of SageMaker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud.fraud_with import fraud_with

ON_LAMBDA = "{form: api, runtime: lambda, memory_mb: 2048}"
ON_SAGEMAKER = "{form: api, runtime: sagemaker, mode: real_time, maximum_instances: 3}\n      - {form: app}"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with the model of the team fraud on SageMaker."""
    return fraud_with(tmp_path_factory, ON_LAMBDA, ON_SAGEMAKER)
