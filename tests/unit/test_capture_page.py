"""What docs/capture.md shows works as it stands."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.prediction_log import Answered
from tests.unit.model_server.test_capture import loaded
from tests.unit.model_server.test_prediction_log import Bench

PAGE = Path(__file__).resolve().parents[2] / "docs" / "capture.md"


def test_predictions_are_read_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.search(r"<!-- test: read -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    bench, ids = Bench(Keeping(log=True, sample_percent=50)), []
    for number in range(250):
        answered = Answered(f"r-{number}", [number], ["a", "country"], [[1.0, "de"]])
        ids.append(bench.capture.count(loaded(7), answered))
        bench.capture.write_due()
    bench.clock.pass_seconds(60)
    bench.ask()
    (tmp_path / "predictions").mkdir()
    for key, body in bench.bucket.objects.items():
        if "/7/" in key:
            (tmp_path / "predictions" / key.rpartition("/")[2]).write_bytes(body)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text(found[1])
    made = runpy.run_path("page.py")
    predictions, features = made["predictions"], made["features"]
    assert dict(zip(predictions["prediction_id"], predictions["prediction"], strict=True)) == {
        one: number for number, one in enumerate(ids)
    }
    assert 80 < len(features) < 170 and set(features.columns) == {"a", "country"} and set(features["country"]) == {"de"}
