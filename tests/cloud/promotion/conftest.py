"""The example teams, of which one promotes in steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud.fraud_with import fraud_with

MODEL = "  - name: card-fraud\n"
POLICY = "    promotion: {canary_percents: [20, 60], step_minutes: 1, minimum_requests: 1, complete_runs: false}\n"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with a policy for the model of the team fraud."""
    return fraud_with(tmp_path_factory, MODEL, MODEL + POLICY)
