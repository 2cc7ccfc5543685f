"""What is measured is the server as it is: a benchmark that does not begin any more measures nothing."""

from __future__ import annotations

from pathlib import Path

from benchmarks import serving
from benchmarks.figures import in_process


def test_the_model_server_is_measured_with_profiles_on(tmp_path: Path) -> None:
    serving.train(tmp_path)
    found = in_process("-m", "benchmarks.serving", "--task", "server", str(tmp_path), environment=serving.ENVIRONMENT)
    assert found["seconds"] > found["predict"] > 0
    assert found["calls"] > 1, "its profiles are written"
