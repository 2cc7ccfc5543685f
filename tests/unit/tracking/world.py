"""A ledger with something of everything, for tests that call every endpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.unit.tracking.sandbox import BUCKET, Sandbox

POINTS: list[dict[str, Any]] = [{"key": f"m{n % 3}", "value": n / 2, "timestamp": n, "step": n} for n in range(7)]


@dataclass(frozen=True)
class World:
    """The identifiers of what there is."""

    first: str
    deleted_experiment: str
    run: str
    deleted_run: str
    logged: str
    other_logged: str

    @property
    def loose(self) -> str:
        """Key of a file that no version stands on."""
        return f"experiments/{self.first}/{self.run}/artifacts/loose.txt"

    @property
    def source(self) -> str:
        return f"s3://{BUCKET}/experiments/{self.first}/{self.run}/artifacts/model"


def build(sandbox: Sandbox) -> World:
    """Something of everything."""

    def ok(path: str, body: dict[str, Any], method: str = "POST") -> Any:
        return sandbox.call(method, path, body, key=f"{path} {json.dumps(body)}").ok()

    tag = [{"key": "t", "value": "1"}]
    first = ok("experiments/create", {"name": "first", "tags": tag})["experiment_id"]
    second = ok("experiments/create", {"name": "second"})["experiment_id"]
    run, other, lone = (
        ok("runs/create", {"experiment_id": at, "start_time": n, "run_name": f"run {n}", "tags": tag})["run"]["info"]["run_id"]
        for n, at in enumerate((first, first, second))
    )  # fmt: skip
    ok("runs/log-batch", {"run_id": run, "metrics": POINTS, "params": [{"key": "p", "value": "1"}], "tags": tag})
    ok("runs/log-batch", {"run_id": other, "metrics": POINTS})
    ok("runs/log-batch", {"run_id": lone, "metrics": POINTS})
    ok("runs/delete", {"run_id": other})
    ok("experiments/delete", {"experiment_id": second})
    models = [
        ok("logged-models", {"experiment_id": first, "name": f"l{n}", "source_run_id": run, "tags": tag})["model"]["info"]
        for n in range(2)
    ]  # fmt: skip
    world = World(first, second, run, other, models[0]["model_id"], models[1]["model_id"])
    for key in (world.source, models[0]["artifact_uri"]):
        sandbox.file(f"{key.removeprefix(f's3://{BUCKET}/')}/MLmodel")
    sandbox.file(world.loose)
    ok("registered-models/create", {"name": "model", "tags": tag})
    for n in range(2):
        ok("model-versions/create", {"name": "model", "source": world.source, "description": str(n), "tags": tag})
    ok("model-versions/transition-stage", {"name": "model", "version": "1", "stage": "Production"})
    ok("registered-models/alias", {"name": "model", "alias": "champion", "version": "1"})
    return world
