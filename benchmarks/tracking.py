"""Tracking: what the function costs, beside the stock `mlflow server` on the same requests in the same run.

    python -m benchmarks.tracking [--runs 5000]

The function's handler runs in processes of its own, one a figure, and gets API Gateway's events as text. Its DynamoDB is in
this process, in memory, and counts units as DynamoDB charges them; so the CPU that is measured is the function's alone: the
event, the work, and botocore's part of each call. What one point costs is measured with the calls of DynamoDB answered at
once, where botocore would send them: signed and read as always, without the exchange over HTTP; the same with the exchange
stands beside it. The stock server is a process on 127.0.0.1 over sqlite, with one worker, asked over one connection that is
kept; its CPU is that of the process and all its children.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.figures import TURNS, Figure, Peer, by_turns, in_process, mlflow, package_mb, report

METRICS, PARAMS = 5, 20  # of each run that is searched
BATCH, BATCHES = 1_000, 100
SINGLE = 500
PAGE = 1_000
DOLLARS_A_MILLION_WRITES = 0.625  # us-east-1, on demand, https://aws.amazon.com/dynamodb/pricing/on-demand/
CALLER = "arn:aws:sts::111122223333:assumed-role/labcycle-fraud-scientist-1/scientist-1"
API = "/api/2.0/mlflow/"
_ENVIRONMENT = {
    "LEDGER_TABLE": "ledger",
    "ARTIFACT_BUCKET": "labcycle-fraud-artifacts",
    "TEAM": "fraud",
    "AWS_LAMBDA_FUNCTION_NAME": "labcycle-fraud-tracking",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

Ask = Callable[[str, dict[str, Any]], Any]  # path below `API`, body


# What both servers are asked for.


def create_run(ask: Ask, experiment_id: str, number: int) -> str:
    body = {"experiment_id": experiment_id, "start_time": 1_700_000_000_000 + number, "user_id": "ada"}
    body["tags"] = [{"key": "mlflow.source.name", "value": "train.py"}, {"key": "mlflow.user", "value": "ada"}]
    return str(ask("runs/create", body)["run"]["info"]["run_id"])


def single_points(ask: Ask, run_id: str, count: int, first: int = 0) -> None:
    dice = random.Random(first)
    for step in range(first, first + count):
        point = {"key": "loss", "value": dice.random(), "timestamp": 1_700_000_000_000 + step * 900, "step": step}
        ask("runs/log-metric", {"run_id": run_id, "run_uuid": run_id, **point})


def batches(ask: Ask, run_id: str, count: int, first: int = 0) -> None:
    """Ten metrics of training, 100 steps a batch, with values as a loss has them."""
    dice = random.Random(first)
    for number in range(first, first + count):
        steps = range(number * BATCH // 10, (number + 1) * BATCH // 10)
        metrics = [
            {"key": f"metric_{key}", "value": dice.random() / (1 + step), "timestamp": 1_700_000_000_000 + step * 900 + key, "step": step}
            for step in steps
            for key in range(10)
        ]  # fmt: skip
        ask("runs/log-batch", {"run_id": run_id, "metrics": metrics, "params": [], "tags": []})


def content(number: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Metrics and parameters of a run that is searched."""
    dice = random.Random(number)
    metrics = [{"key": f"metric_{n}", "value": dice.random(), "timestamp": 1, "step": 0} for n in range(METRICS)]
    params = [{"key": f"parameter_{n}", "value": f"{dice.random():.6f}"} for n in range(PARAMS)]
    return metrics, params


def top_ten(ask: Ask, experiment_id: str) -> None:
    body = {"experiment_ids": [experiment_id], "order_by": ["metrics.metric_0 DESC"], "max_results": 10}
    found = ask("runs/search", body)["runs"]
    assert len(found) == 10, len(found)


def all_runs(ask: Ask, experiment_id: str) -> int:
    count = 0
    token: dict[str, str] = {}
    while True:
        page = ask("runs/search", {"experiment_ids": [experiment_id], "max_results": PAGE, **token})
        count += len(page["runs"])
        if not page.get("next_page_token"):
            return count
        token = {"page_token": page["next_page_token"]}


# The function, in a process of its own.


def event(path: str, body: dict[str, Any]) -> str:
    """As API Gateway sends it."""
    return json.dumps(
        {
            "version": "2.0",
            "routeKey": "ANY /{proxy+}",
            "rawPath": API + path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json", "user-agent": "mlflow-python-client/3.17.2"},
            "requestContext": {
                "authorizer": {"iam": {"userArn": CALLER}},
                "http": {"method": "POST", "path": API + path},
                "requestId": "r",
            },
            "body": json.dumps(body),
            "isBase64Encoded": False,
        }
    )


def handler_ask() -> Ask:
    from labcycle_lambdas.tracking.handler import handle

    def ask(path: str, body: dict[str, Any]) -> Any:
        text = event(path, body)
        begin = time.process_time()
        answer = json.dumps(handle(json.loads(text), None))  # as the runtime hands events on
        ask.seconds += time.process_time() - begin  # type: ignore[attr-defined]
        said = json.loads(answer)
        assert said["statusCode"] == 200, said
        return json.loads(said["body"])

    ask.seconds = 0.0  # type: ignore[attr-defined]
    return ask


def in_function(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A figure's work; seconds of CPU are those within the handler."""
    ask: Any = handler_ask()
    if arguments.get("at_once"):
        answer_at_once(ask)
    ask("experiments/search", {"max_results": 1})
    ask.seconds = 0.0
    match task:
        case "create":
            return {"run_id": create_run(ask, "0", 0)}
        case "single":
            run_id = create_run(ask, "0", 0)
            single_points(ask, run_id, 50)
            ask.seconds = 0.0
            single_points(ask, run_id, SINGLE, first=50)
            return {"seconds": ask.seconds / SINGLE}
        case "batch":
            run_id = create_run(ask, "0", 0)
            ask.seconds = 0.0
            batches(ask, run_id, BATCHES)
            return {"seconds": ask.seconds / BATCHES / BATCH}
        case "fill":
            experiment = str(ask("experiments/create", {"name": "many"})["experiment_id"])
            for number in range(arguments["runs"]):
                run_id = create_run(ask, experiment, number)
                metrics, params = content(number)
                ask("runs/log-batch", {"run_id": run_id, "metrics": metrics, "params": params, "tags": []})
                ask("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": 1_700_000_000_000 + number})
            return {"experiment_id": experiment, "seconds": ask.seconds / arguments["runs"]}
        case "top":
            top_ten(ask, arguments["experiment_id"])
            return {"seconds": ask.seconds}
        case "all":
            return {"count": all_runs(ask, arguments["experiment_id"]), "seconds": ask.seconds}
        case _:
            raise ValueError(task)


def answer_at_once(ask: Any) -> None:
    """Let a DynamoDB in this process answer instead of what botocore would send to; its seconds are not the function's."""
    from labcycle_lambdas.tracking.handler import ledgers
    from tests.unit.tracking.dynamodb import MemoryDynamoDB

    store = MemoryDynamoDB()

    def answer(request: Any, **_: Any) -> Any:
        begin = time.process_time()
        answered = store.answer(request)
        ask.seconds -= time.process_time() - begin
        return answered

    ledgers().runs._table._client.meta.events.register_first("before-send.dynamodb", answer)


# Nothing but what the function itself loads: the seconds are those of the whole process.
_COLD = """
import json, sys, time
from labcycle_lambdas.tracking import handler
said = json.dumps(handler.handle(json.loads(sys.argv[1]), None))
seconds = time.process_time()
assert json.loads(said)["statusCode"] == 200, said
print(json.dumps({"seconds": seconds, "s3": "_client" in vars(handler.ledgers().artifacts)}))
"""


class Function:
    """Processes that run the handler, and the DynamoDB behind them."""

    def __init__(self, store: Any, endpoint: str) -> None:
        self.store = store
        self._endpoint = endpoint

    def __call__(self, task: str, **arguments: Any) -> SimpleNamespace:
        """A task in a fresh process: its figures, its peak memory in MB, and the units that it used."""
        self.store.count_anew()
        said = self._process("-m", "benchmarks.tracking", "--task", task, json.dumps(arguments))
        return SimpleNamespace(**said, read_units=self.store.read_units, write_units=self.store.write_units)

    def cold(self, run_id: str) -> SimpleNamespace:
        """The first request of a sandbox: its seconds, and whether it made a client of S3."""
        point = {"key": "loss", "value": 0.5, "timestamp": 1_800_000_000_000, "step": 10**6}
        return SimpleNamespace(**self._process("-c", _COLD, event("runs/log-metric", {"run_id": run_id, **point})))

    def _process(self, *arguments: str) -> dict[str, Any]:
        return in_process(*arguments, environment={**_ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": self._endpoint})


@contextmanager
def function() -> Iterator[Function]:
    """DynamoDB in memory on a free port of 127.0.0.1."""
    from tests.unit.tracking.dynamodb import MemoryDynamoDB

    store = MemoryDynamoDB()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = store.answer(SimpleNamespace(headers=self.headers, body=body, url=""))
            content = answer.raw.read()
            self.send_response(answer.status_code)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Function(store, f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


# The stock server.


class Stock:
    """`mlflow server` over sqlite."""

    def __init__(self, server: Peer, database: Path) -> None:
        self._server = server
        self.seconds = server.seconds
        self.database = database

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        return self._server.ask(API + path, body)

    def fill(self, runs: int) -> str:
        """An experiment with runs like those of the function, written into its database: asking would take minutes."""
        self._server.reconnect()
        experiment = str(self.ask("experiments/create", {"name": "many"})["experiment_id"])
        with sqlite3.connect(self.database, timeout=60) as database:
            for number in range(runs):
                run_id = f"{number:032x}"
                metrics, params = content(number)
                database.execute(
                    "insert into runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
                    "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
                    "values (?, 'run', 'UNKNOWN', '', '', 'ada', 'FINISHED', ?, ?, '', 'active', '', ?)",
                    (run_id, 1_700_000_000_000 + number, 1_700_000_000_000 + number, int(experiment)),
                )
                for table in ("metrics", "latest_metrics"):
                    database.executemany(
                        f"insert into {table} (key, value, timestamp, step, is_nan, run_uuid) values (?, ?, 1, 0, 0, ?)",
                        [(metric["key"], metric["value"], run_id) for metric in metrics],
                    )
                database.executemany(
                    "insert into params (key, value, run_uuid) values (?, ?, ?)",
                    [(param["key"], param["value"], run_id) for param in params],
                )
                tags = [("mlflow.source.name", "train.py"), ("mlflow.user", "ada"), ("mlflow.runName", "run")]
                database.executemany(
                    "insert into tags (key, value, run_uuid) values (?, ?, ?)", [(*tag, run_id) for tag in tags]
                )
        return experiment


@contextmanager
def stock() -> Iterator[Stock]:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "mlflow.db"
        words = ["server", "--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", folder]
        # Its consumers of jobs, seven processes, use more CPU at rest than the server for all that it is asked here.
        with mlflow(words, Path(folder), MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as server:
            yield Stock(server, database)


# The table.


def measure(runs: int) -> Iterator[Figure]:
    with function() as ours, stock() as theirs:
        peer = create_run(theirs.ask, "0", 0)
        single_points(theirs.ask, peer, 50)
        points = itertools.count(50, 200)
        seconds, stock_seconds = by_turns(
            lambda: ours("single", at_once=True).seconds,
            lambda: theirs.seconds(lambda: single_points(theirs.ask, peer, 200, first=next(points))) / 200,
        )
        single = ours("single")
        yield Figure(
            "CPU of a log_metric", seconds * 1e3, "ms", 1 / 8, stock_seconds * 1e3,
            f"  (over HTTP {single.seconds * 1e3:.2g} ms; {single.write_units / (SINGLE + 50):.1f} write units)",
        )  # fmt: skip

        numbers = itertools.count(0, 20)
        seconds, stock_seconds = by_turns(
            lambda: ours("batch", at_once=True).seconds,
            lambda: theirs.seconds(lambda: batches(theirs.ask, peer, 20, first=next(numbers))) / 20 / BATCH,
        )
        batch = ours("batch")
        yield Figure(
            "CPU of a point in a log_batch of 1,000", seconds * 1e3, "ms", 1 / 15, stock_seconds * 1e3,
            f"  (over HTTP {batch.seconds * 1e3:.2g} ms)",
        )  # fmt: skip
        dollars = batch.write_units * 1e6 / (BATCHES * BATCH) * DOLLARS_A_MILLION_WRITES / 1e6
        yield Figure("writes of 1 million points in such batches", dollars, "USD", 0.016, note="  (aim 0.006)")

        filled = ours("fill", runs=runs)
        experiment = theirs.fill(runs)
        tops = [ours("top", experiment_id=filled.experiment_id) for _ in range(TURNS)]
        units = [top.read_units for top in tops]
        packing = f"  (with runs packed on the way {max(units):.0f})" if max(units) > statistics.median(units) else ""
        yield Figure(
            f"top 10 of {runs} runs, read units", statistics.median(units), "units", 320 * runs / 5_000, note=packing
        )
        stock_top = theirs.seconds(lambda: top_ten(theirs.ask, experiment))
        yield Figure(
            f"top 10 of {runs} runs, CPU", statistics.median(top.seconds for top in tops) * 1e3, "ms",
            150 * runs / 5_000, note=f"  (stock {stock_top * 1e3:.0f} ms)",
        )  # fmt: skip
        wholes: list[SimpleNamespace] = []

        def whole() -> float:
            wholes.append(ours("all", experiment_id=filled.experiment_id))
            return float(wholes[-1].seconds)

        seconds, stock_seconds = by_turns(whole, lambda: theirs.seconds(lambda: all_runs(theirs.ask, experiment)))
        assert {found.count for found in wholes} == {runs}, wholes
        yield Figure(f"all {runs} in pages, CPU", seconds, "s", 1 / 10, stock_seconds)
        yield Figure("memory", max(task.memory for task in (single, batch, *wholes, *tops)), "MB", 128)
        yield Figure("package", package_mb("tracking"), "MB", 10)
        run_id = ours("create").run_id
        colds = [ours.cold(run_id) for _ in range(5)]
        assert not any(cold.s3 for cold in colds), colds
        yield Figure("cold start and first answer, CPU", statistics.median(c.seconds for c in colds), "s", 0.6)


def main(words: Sequence[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--runs", type=int, default=5_000, help="that are searched")
    arguments.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    asked = arguments.parse_args(words)
    if asked.task:
        found = in_function(asked.task[0], json.loads(asked.task[1]))
        # ru_maxrss begins with that of the process that started this one.
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        memory = int(status["VmHWM"].split()[0]) / 1024
        print(json.dumps({**found, "memory": memory}))
        return 0
    return report(measure(asked.runs), "stock")


if __name__ == "__main__":
    sys.exit(main())
