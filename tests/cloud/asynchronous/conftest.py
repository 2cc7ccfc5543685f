"""The example teams, of which one has its model on an endpoint of SageMaker that answers later."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud.endpoint.conftest import ON_LAMBDA
from tests.cloud.endpoint.test_endpoint import process  # noqa: F401 - a fixture
from tests.cloud.fraud_with import fraud_with

LATER = "{form: api, runtime: sagemaker, mode: asynchronous, maximum_instances: 3, timeout_seconds: 60}"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with the model of the team fraud on SageMaker."""
    return fraud_with(tmp_path_factory, ON_LAMBDA, LATER)
