"""What it takes to count and keep a full call of records, beside the limit of an answer: `python -m benchmarks.records`.

5,000 rows of 20 numbers and two chances, in moto in one process, by the whole function but its start; the calls of S3, DynamoDB and SSM
are counted, since in AWS each waits for the network, one after another. An answer may take 29 seconds.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table as Shown

from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.profiles import Reference
from tests.unit.serving import workshop
from tests.unit.serving.workshop import MODEL, REVIEWER, TEAM, World, classifier, request

ROWS, COLUMNS = 5_000, 20
LIMIT_SECONDS = 29
ROUND_TRIP_SECONDS = 0.04
LAMBDA_SHARE = 1024 / 1769  # of a processor, that a function of 1 GB has
# us-east-1, January 2026, estimate: a write of 1 KB, a read of 4 KB, a PUT, a second of 1 GB, a request of an HTTP API.
USD_WRITE, USD_READ, USD_PUT, USD_SECOND, USD_REQUEST = 0.625e-6, 0.125e-6, 5e-6, 16.7e-6, 1e-6


def main() -> None:
    draw = random.Random(7)
    names = [f"feature {number}" for number in range(COLUMNS)]
    rows = [[draw.gauss(0, 1) for _ in names] for _ in range(ROWS)]
    shown = Shown("figure", "a full call", "a call of one row")
    with workshop.world() as world:
        api = _api(world, names, rows)
        full, single = (_measured(world, api, names, some) for some in (rows, rows[:1]))
    for name in full:
        shown.add_row(name, full[name], single[name])
    Console().print(shown)


def _measured(world: World, api: Lifecycle, names: list[str], rows: list[list[float]]) -> dict[str, str]:
    body = {"version": 1, "records": [_record(names, row, number) for number, row in enumerate(rows)]}
    asked, calls = request("POST", f"/labcycle/1.0/models/{MODEL}/records", body), Counter[str]()
    for client in (world.s3, world.dynamodb):
        client.meta.events.register(
            "before-send", lambda event_name, **_: calls.update([event_name.rpartition(".")[2]])
        )
    cpu = time.process_time()
    answer = api.answer(asked)
    used = time.process_time() - cpu
    if answer.status != 200 or len(json.loads(answer.content)["prediction_ids"]) != len(rows):
        raise SystemExit(f"sent: {answer.content!r}"[:500])
    seconds = used / LAMBDA_SHARE + (1 + sum(calls.values())) * ROUND_TRIP_SECONDS  # one of SSM
    usd = seconds * USD_SECOND + USD_REQUEST + calls["PutObject"] * USD_PUT + calls["GetItem"] * 2 * USD_READ
    usd += calls["PutItem"] * 4 * USD_WRITE  # the profile has some KB
    return {
        "rows of 20 numbers": f"{len(rows):,}",
        "body": f"{len(asked.body) / 1e6:.1f} of 5 MB",
        "processor seconds here": f"{used:.3f}",
        "calls": ", ".join(f"{call} {count}" for call, count in calls.most_common()),
        "seconds in a function of 1 GB": f"{seconds:.1f}",
        "of the 29 seconds of an answer": f"{seconds / LIMIT_SECONDS:.0%}",
        "USD a million predictions": f"{usd * 1e6 / len(rows):.4f}",
    }


def _record(names: list[str], row: list[float], number: int) -> dict[str, Any]:
    chance = abs(row[0]) / 10
    features = dict(zip(names, row, strict=True))
    return {"prediction": 0, "features": features, "chances": {"0": 1 - chance, "1": chance}, "id": f"r-{number}"}


def _api(world: World, names: list[str], rows: list[list[float]]) -> Lifecycle:
    preflight = replace(world.preflight, records=lambda model: Keeping(log=True, sample_percent=1))
    deployed = preflight.prepare(MODEL, world.register(classifier()))
    table = [[*row, 0] for row in rows[:1000]]
    reference = Reference.from_table([*names, "prediction"], table, []).to_doc()
    world.deployments.promote(MODEL, replace(deployed, reference=reference), REVIEWER)
    return Lifecycle(world.table, preflight, Members(TEAM))


if __name__ == "__main__":
    main()
