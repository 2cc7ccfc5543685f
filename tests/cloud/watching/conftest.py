"""The example teams, of which one watches more than drift, by another method, and answers nothing of it itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud.fraud_with import fraud_with

MONITOR = "      drift: {method: psi, threshold: 0.2, minimum_rows: 500, persistence: 1}\n"
WATCHED = """      drift: {method: kolmogorov_smirnov, minimum_rows: 300, persistence: 1, window_hours: 12}
      performance: {metric: accuracy, limit: 0.9, minimum_rows: 100, persistence: 1}
      outcome: {metric: money-saved, minimum: 1000, persistence: 1, window_days: 2}
      freshness: {training_days: 3650, traffic_hours: 2}
"""


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with that for the model of the team fraud."""
    return fraud_with(tmp_path_factory, MONITOR, WATCHED)
