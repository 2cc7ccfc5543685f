"""What it adds to a request to keep its predictions: `python -m benchmarks.capture`.

One row of thirty numbers a request, in this process and without AWS: what the ledger and the bucket take is the network's time, once a
window. The peer is the profile alone.
"""

from __future__ import annotations

import gzip
import time
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.model_server.capture import Capture
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.live import Loaded
from labcycle_lambdas.model_server.prediction_log import Answered, PredictionLog
from labcycle_lambdas.profiles import Reference

COLUMNS = [f"feature_{number}" for number in range(30)]
REQUESTS = 10_000
ROUNDS = 5


class _Nothing:
    """Takes what is written, and keeps the last object."""

    objects: dict[str, bytes] = {}

    def write(self, *window: Any) -> None:
        pass

    def put_object(self, **what: Any) -> None:
        self.objects[what["Key"]] = what["Body"]


def main() -> None:
    random = Random(1)
    rows = [[random.gauss(0, 1) for _ in COLUMNS] for _ in range(1000)]
    table = [[*row, int(row[0] > 0)] for row in rows]
    reference = Reference.from_table([*COLUMNS, "prediction"], table).to_doc()
    file = DeployedFile("model.onnx", "k", "v", "0", 1)
    graph: Any = None
    loaded = Loaded(Deployed(1, None, file, (file,), None, reference), 1, graph)
    requests = [
        Answered(str(uuid.UUID(int=random.getrandbits(128))), [1], COLUMNS, [row], [{"label": 1, "p": [0.25, 0.75]}])
        for row in rows
    ]
    print(f"{'kept':<28}{'us a request':>14}{'x profile':>12}{'bytes a row':>14}")
    alone = 0.0
    for kept, keeping in (
        ("profile alone", None),
        ("predictions", Keeping(log=True)),
        ("features of 1 %", Keeping(log=True, sample_percent=1)),
        ("features of all", Keeping(log=True, sample_percent=100)),
    ):
        sink = _Nothing()
        sink.objects = {}
        took = min(_microseconds(lambda: _capture(sink, keeping), loaded, requests) for _ in range(ROUNDS))  # noqa: B023
        alone = alone or took
        lines = sum(len(gzip.decompress(body).splitlines()) for body in sink.objects.values())
        size = sum(map(len, sink.objects.values())) / lines if lines else 0
        print(f"{kept:<28}{took:>14.1f}{took / alone:>12.2f}{size:>14.0f}")


def _capture(sink: Any, keeping: Keeping | None) -> Capture:
    log = PredictionLog(lambda: sink, "b", "m") if keeping else None
    return Capture(sink, "m", "sandbox", monotonic=time.monotonic, keeping=keeping, log=log)


def _microseconds(make: Callable[[], Capture], loaded: Loaded, requests: list[Answered]) -> float:
    capture = make()
    began = time.process_time()
    for number in range(REQUESTS):
        capture.ask()
        capture.count(loaded, requests[number % len(requests)])
        capture.write_due()
    return (time.process_time() - began) / REQUESTS * 1e6


if __name__ == "__main__":
    main()
