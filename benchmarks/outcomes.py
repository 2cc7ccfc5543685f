"""How long it takes to take in outcomes, beside the limit of the function: `python -m benchmarks.outcomes`.

100,000 outcomes of 2,000 windows of a day, as one upload, in moto in one process; the calls of S3 and DynamoDB are counted,
since in AWS each waits for the network, 16 at once. The function has 15 minutes.
"""

from __future__ import annotations

import gzip
import json
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto import mock_aws
from rich.console import Console
from rich.table import Table as Shown

from labcycle_lambdas.ledger.outcomes import Outcomes
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.outcomes.measures import figures
from labcycle_lambdas.outcomes.store import Store
from labcycle_lambdas.outcomes.sums import Sums
from labcycle_lambdas.outcomes.taking_in import take_in
from tests.unit.ledger.tables import make_table

WINDOWS, ROWS = 2_000, 50
LIMIT_SECONDS = 900
ROUND_TRIP_SECONDS, AT_ONCE = 0.04, 16
LAMBDA_SHARE = 1024 / 1769  # of a processor, that a function of 1 GB has


def main() -> None:
    draw = random.Random(7)
    with mock_aws():
        keys: dict[str, Any] = {"aws_access_key_id": "a", "aws_secret_access_key": "s", "region_name": "eu-west-1"}
        s3, dynamodb = boto3.client("s3", **keys), boto3.client("dynamodb", **keys)
        make_table(dynamodb, "ledger")
        s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        start, said = datetime(2026, 3, 1, tzinfo=UTC), []
        for number in range(WINDOWS):
            name = f"{start + timedelta(seconds=40 * number):%Y%m%dT%H%M%SZ}-a1b2-{number}"
            lines = []
            for row in range(ROWS):
                p = draw.random()
                line = {"row": row, "request": f"r{row}", "at": "2026-03-01T00:00:00Z", "prediction": int(p > 0.5)}
                line |= {"chances": {"0": 1 - p, "1": p}, "cohort": {"kind": draw.choice(["shop", "web", "phone"])}}
                lines.append(json.dumps(line))
                said.append(
                    {"prediction_id": f"1-{name}-{row}", "truth": int(draw.random() < p), "value": draw.random()}
                )
            body = gzip.compress("\n".join(lines).encode())
            s3.put_object(Bucket="artifacts", Key=f"predictions/m/1/{name}.jsonl.gz", Body=body)
        draw.shuffle(said)
        text = "".join(json.dumps(row) + "\n" for row in said)
        s3.put_object(Bucket="artifacts", Key="outcomes/m/in/march.jsonl", Body=text.encode())
        calls: Counter[str] = Counter()
        for client in (s3, dynamodb):
            client.meta.events.register(
                "before-send", lambda event_name, **_: calls.update([event_name.rpartition(".")[2]])
            )
        table = Table(dynamodb, "ledger")
        began, cpu = time.perf_counter(), time.process_time()
        taken = take_in(
            table, Store(s3, "artifacts", "m"), "classes", now=lambda: datetime.now(UTC), has_time=lambda: True
        )
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        sums = Sums.together(Sums.from_doc(day.sums) for day in Outcomes(table).days("m", 1))
    if taken.counts["new"] != WINDOWS * ROWS:
        raise SystemExit(f"taken in: {taken.to_doc()}")
    network = sum(calls.values()) * ROUND_TRIP_SECONDS / AT_ONCE
    whole = used / LAMBDA_SHARE + network
    shown = Shown("figure", "measured")
    for name, value in (
        ("outcomes", f"{taken.counts['new']:,}"),
        ("seconds here, moto's own work included", f"{seconds:.1f}"),
        ("processor seconds here", f"{used:.1f}"),
        (
            "calls of S3 and DynamoDB",
            f"{sum(calls.values()):,} ({', '.join(f'{k} {v:,}' for k, v in calls.most_common(4))})",
        ),
        ("seconds of network at 40 ms a call, 16 at once", f"{network:.1f}"),
        ("seconds in a function of 1 GB, at most", f"{whole:.0f}"),
        ("of its 900 seconds", f"{whole / LIMIT_SECONDS:.0%}"),
        ("accuracy", f"{figures(sums.total())['accuracy']:.4f}"),
    ):
        shown.add_row(name, value)
    Console().print(shown)


if __name__ == "__main__":
    main()
