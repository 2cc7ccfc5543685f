"""Serving: what the model server costs, beside `mlflow models serve` and FastAPI with Mangum on the same rows in the same run.

    python -m benchmarks.serving

One model for all: a logistic regression on scikit-learn's breast cancer data, thirty columns of doubles. The model server's
handler runs in processes of its own and gets API Gateway's events as text; a reference is deployed, so that it counts each row.
Its calls of AWS are answered at once, where botocore would send them. FastAPI runs the same ONNX graph in processes of its own,
in the form that costs least (an async function, no data frame, no life span), and gets the same events through Mangum; what a
plain function costs, which FastAPI runs in a thread, stands beside it. Of both, the quietest block of requests counts.
`mlflow models serve` serves the scikit-learn model as a process on 127.0.0.1 with one worker, asked over one connection that is
kept; its CPU is that of the process and all its children. A cold start has its calls of AWS over HTTP. Its code is compiled;
in Lambda, whose folder is read-only, what the package brings is compiled with each start, which stands beside it.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

from benchmarks.figures import Figure, Peer, by_turns, in_process, mlflow, package_mb, report

REQUESTS, PEER_REQUESTS = 4_000, 300  # a turn
BLOCK = 400  # of requests; each has the writes of its profiles
WARM_UP = 50
MODEL, BUCKET = "tumour", "labcycle-fraud-artifacts"
ONNX, SKLEARN, ROWS, REFERENCE = "onnx", "sklearn", "rows.json", "reference.json"  # in the folder of the model
COLD_STARTS = 7
ENVIRONMENT = {
    "LEDGER_TABLE": "ledger",
    "ARTIFACT_BUCKET": BUCKET,
    "TEAM": "fraud",
    "MODEL": MODEL,
    "RUNS_ON": '{"runtime":"lambda","memory_mb":2048}',
    "AWS_LAMBDA_FUNCTION_NAME": "labcycle-fraud-tumour",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

Handle = Callable[[dict[str, Any], Any], dict[str, Any]]


# What all are asked for.


def train(folder: Path) -> None:
    """The model in both flavors, rows to ask for, and the table of its training data."""
    import mlflow.onnx
    import mlflow.sklearn
    import numpy as np
    from mlflow.models import infer_signature
    from skl2onnx import to_onnx
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, labels)
    said = estimator.predict(frame)
    signature = infer_signature(frame, said)
    graph = to_onnx(estimator, frame.to_numpy(dtype=np.float32)[:1])
    # Named requirements, since MLflow finds them out in a process of its own, which takes seconds.
    mlflow.onnx.save_model(graph, str(folder / ONNX), signature=signature, pip_requirements=["onnxruntime"])
    mlflow.sklearn.save_model(estimator, str(folder / SKLEARN), signature=signature, pip_requirements=["scikit-learn"])
    columns, data = list(frame.columns), frame.to_numpy().tolist()
    answers = said.tolist()
    (folder / ROWS).write_text(json.dumps({"columns": columns, "data": data, "predictions": answers}))
    table = {
        "columns": [*columns, "prediction"],
        "data": [[*row, answer] for row, answer in zip(data, answers, strict=True)],
    }
    (folder / REFERENCE).write_text(json.dumps(table))


def bodies(folder: Path) -> list[dict[str, Any]]:
    """A request of one row each."""
    rows = json.loads((folder / ROWS).read_text())
    return [{"dataframe_split": {"columns": rows["columns"], "data": [row]}} for row in rows["data"]]


def predictions(folder: Path) -> list[int]:
    """What scikit-learn answers to them."""
    said: list[int] = json.loads((folder / ROWS).read_text())["predictions"]
    return said


def event(body: dict[str, Any]) -> str:
    """As API Gateway sends it.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    return json.dumps(
        {
            "version": "2.0",
            "routeKey": "POST /invocations",
            "rawPath": "/invocations",
            "rawQueryString": "",
            "headers": {
                "accept": "*/*",
                "accept-encoding": "gzip, deflate",
                "authorization": "AWS4-HMAC-SHA256 Credential=none",
                "content-length": str(len(json.dumps(body))),
                "content-type": "application/json",
                "host": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
                "user-agent": "python-requests/2.32",
                "x-amz-date": "20261126T120000Z",
                "x-forwarded-for": "192.0.2.1",
                "x-forwarded-port": "443",
                "x-forwarded-proto": "https",
            },
            "requestContext": {
                "accountId": "111122223333",
                "apiId": "a1b2c3d4e5",
                "authorizer": {"iam": {"userArn": "arn:aws:sts::111122223333:assumed-role/consumer/one"}},
                "domainName": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
                "domainPrefix": "a1b2c3d4e5",
                "http": {
                    "method": "POST",
                    "path": "/invocations",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "python-requests/2.32",
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": "POST /invocations",
                "stage": "$default",
                "time": "26/Nov/2026:12:00:00 +0000",
                "timeEpoch": 1_795_694_400_000,
            },
            "body": json.dumps(body),
            "isBase64Encoded": False,
        }
    )


def seconds_a_request(handle: Handle, folder: Path, *, elsewhere: Callable[[], float] = lambda: 0.0) -> float:
    """CPU from an event's text to its answer's; `elsewhere` are seconds of this process that are not the handler's.

    That of the quietest block: what else runs on the machine evicts what the handler has in the caches.
    """
    texts, expected = [event(body) for body in bodies(folder)], predictions(folder)

    def ask(number: int) -> float:
        text = texts[number % len(texts)]
        begin = time.process_time() - elsewhere()
        answer = json.dumps(handle(json.loads(text), None))  # as the runtime hands events on
        seconds = time.process_time() - elsewhere() - begin
        said = json.loads(answer)
        assert said["statusCode"] == 200, said
        assert json.loads(said["body"]) == {"predictions": [expected[number % len(expected)]]}, said
        return seconds

    for number in range(WARM_UP):
        ask(number)
    return min(
        sum(ask(number) for number in block) / BLOCK
        for block in (range(at, at + BLOCK) for at in range(0, REQUESTS, BLOCK))
    )


# The model server, and an AWS for it.


@dataclass
class Aws:
    """A ledger and a bucket in memory, at the wire, with the model live; `seconds` is the CPU that they took."""

    folder: Path
    seconds: float = 0.0
    store: Any = None
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from labcycle_lambdas.ledger.deployments import Deployments
        from labcycle_lambdas.ledger.registry import PinnedFile, Registry
        from labcycle_lambdas.ledger.table import Table
        from labcycle_lambdas.ledger.who import Who
        from labcycle_lambdas.lifecycle.preflight import Preflight
        from labcycle_lambdas.profiles import Reference
        from tests.unit.tracking.dynamodb import MemoryDynamoDB

        self.store = MemoryDynamoDB()
        source = self.folder / ONNX
        self.files = {f"m/{p.relative_to(source)}": p.read_bytes() for p in source.rglob("*") if p.is_file()}
        table = Table(self.client("dynamodb"), "ledger")
        registry, who = Registry(table), Who("reviewer-1", "reviewer-1", "reviewer-1")
        registry.register(MODEL)
        pins = [PinnedFile(key.removeprefix("m/"), key, "1", len(data)) for key, data in self.files.items()]
        made = registry.create_version(MODEL, source=f"s3://{BUCKET}/m", who=who, files=pins, run_id="")
        prepared = Preflight(table, self.client("s3"), BUCKET).prepare(MODEL, made.version)
        rows = json.loads((self.folder / REFERENCE).read_text())
        reference = Reference.from_table(rows["columns"], rows["data"]).to_doc()
        Deployments(table).promote(MODEL, replace(prepared, reference=reference), who)

    def client(self, service: str, config: Any = None, session: Any = None) -> Any:
        """As the handler makes it, but answered here."""
        from labcycle_lambdas.responding import client

        made = client(service, config, session)
        made.meta.events.register_first("before-send", self._answer)
        return made

    def get(self, path: str) -> bytes:
        """A file of the bucket, by the path of its address."""
        return self.files[unquote(path).removeprefix(f"/{BUCKET}").removeprefix("/")]

    def _answer(self, request: Any, **_: Any) -> Any:
        begin = time.process_time()
        try:
            return self.store.answer(request) if "X-Amz-Target" in request.headers else self._object(request)
        finally:
            self.seconds += time.process_time() - begin

    def _object(self, request: Any) -> Any:
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders
        from urllib3.response import HTTPResponse

        content = self.get(urlsplit(request.url).path)
        headers = HTTPHeaders.from_dict({"content-length": str(len(content))})
        body = HTTPResponse(io.BytesIO(content), preload_content=False)
        return AWSResponse(request.url, 200, headers, body)

    def profiled_rows(self) -> int:
        """The rows that are counted in what the server wrote."""
        docs = [json.loads(i["doc"]["S"]) for i in self.store.items() if i["pk"]["S"].startswith("PROFILE#")]
        return sum(doc["profile"]["rows"] for doc in docs)


def in_server(folder: Path) -> dict[str, Any]:
    """Seconds a request, and those of the model's own predict."""
    import numpy as np

    from labcycle_lambdas.model_server import handler, making
    from labcycle_lambdas.model_server.graph import Graph

    aws = Aws(folder)
    aws.store.count_anew()
    with mock.patch.object(making, "client", aws.client):
        seconds = seconds_a_request(handler.handle, folder, elsewhere=lambda: aws.seconds)
        live = handler.sandbox.server().live.current().live
    assert live and isinstance(live.graph, Graph)
    session = live.graph._session
    counted = aws.profiled_rows()
    assert counted > (REQUESTS + WARM_UP) * 0.8, counted
    arrays = [np.asarray(body["dataframe_split"]["data"], np.float32) for body in bodies(folder)]
    name, wanted = session.get_inputs()[0].name, [session.get_outputs()[0].name]
    for array in arrays[:WARM_UP]:
        session.run(wanted, {name: array})
    begin = time.process_time()
    for number in range(REQUESTS):
        session.run(wanted, {name: arrays[number % len(arrays)]})
    return {"seconds": seconds, "predict": (time.process_time() - begin) / REQUESTS, "calls": len(aws.store.calls)}


# Nothing but what the function itself loads: the seconds are those of the whole process.
_COLD = """
import json, sys, time
from labcycle_lambdas.model_server import handler
said = json.dumps(handler.handle(json.loads(sys.argv[1]), None))
seconds = time.process_time()
assert json.loads(said)["statusCode"] == 200, said
print(json.dumps({"seconds": seconds, "package": handler.__file__, "numpy": sys.modules["numpy"].__file__}))
"""


@contextmanager
def over_http(aws: Aws) -> Iterator[dict[str, str]]:
    """DynamoDB and S3 on a free port of 127.0.0.1, as variables of the environment."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = aws.store.answer(SimpleNamespace(headers=self.headers, body=body, url=""))
            self._send(answer.status_code, answer.raw.read())

        def do_GET(self) -> None:
            self._send(200, aws.get(urlsplit(self.path).path))

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        yield {"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "AWS_ENDPOINT_URL_S3": endpoint}
        server.shutdown()


def cold_starts(folder: Path) -> tuple[float, float]:
    """CPU from the start of a process to its first answer: where the code is compiled, and where the package's is not."""
    from labcycle._assets import package_directory

    package = folder / "package"  # what the asset brings, for this Python, not compiled
    for name in ("labcycle_lambdas", "numpy", "onnxruntime"):
        source = package_directory(name)
        for part in (source, source.with_name(f"{name}.libs")):
            if part.is_dir():
                shutil.copytree(part, package / part.name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    text = event(bodies(folder)[0])
    with mock.patch.dict("os.environ", ENVIRONMENT):
        aws = Aws(folder)

    def starts(**more: str) -> float:
        environment = {**ENVIRONMENT, **endpoints, "PYTHONPATH": str(package), **more}
        found = []
        for _ in range(COLD_STARTS):
            said = in_process("-c", _COLD, text, environment=environment, folder=folder)
            assert all(said[part].startswith(str(package)) for part in ("package", "numpy")), said
            found.append(float(said["seconds"]))
        return statistics.median(found)

    with over_http(aws) as endpoints:
        anew = starts(PYTHONDONTWRITEBYTECODE="1")
        return starts(PYTHONDONTWRITEBYTECODE=""), anew


# The peers.


def in_fastapi(folder: Path) -> dict[str, Any]:
    """Seconds a request of the same graph as those who take FastAPI to Lambda serve it."""
    import numpy as np
    import onnxruntime
    from fastapi import FastAPI
    from mangum import Mangum
    from pydantic import BaseModel

    class Frame(BaseModel):
        columns: list[str]
        data: list[list[float]]

    class Invocation(BaseModel):
        dataframe_split: Frame

    class Predictions(BaseModel):
        predictions: list[int]

    session = onnxruntime.InferenceSession(str(folder / ONNX / "model.onnx"))
    name = session.get_inputs()[0].name
    label = session.get_outputs()[0].name

    def plain(invocation: Invocation) -> Predictions:
        features = np.array(invocation.dataframe_split.data, dtype=np.float32)
        (labels,) = session.run([label], {name: features})
        return Predictions(predictions=labels.tolist())

    async def invocations(invocation: Invocation) -> Predictions:
        return plain(invocation)

    def seconds(function: Any) -> float:
        # Annotations of a function within a function are not found by their names.
        function.__annotations__ = {"invocation": Invocation, "return": Predictions}
        app = FastAPI()
        app.post("/invocations")(function)
        handle: Any = Mangum(app, lifespan="off")
        return seconds_a_request(handle, folder)

    return {"seconds": seconds(invocations), "plain": seconds(plain)}


def ask_stock(server: Peer, folder: Path) -> float:
    """Seconds a request of `mlflow models serve`."""
    asked, expected = bodies(folder), predictions(folder)

    def work() -> None:
        for number in range(PEER_REQUESTS):
            said = server.ask("/invocations", asked[number % len(asked)])
            assert said == {"predictions": [expected[number % len(asked)]]}, said

    return server.seconds(work) / PEER_REQUESTS


# The table.


def measure(folder: Path) -> Iterator[Figure]:
    train(folder)
    found: list[dict[str, Any]] = []

    def task(name: str) -> dict[str, Any]:
        return in_process("-m", "benchmarks.serving", "--task", name, str(folder), environment=ENVIRONMENT)

    def ours() -> float:
        found.append(task("server"))
        return float(found[-1]["seconds"])

    with mlflow(["models", "serve", "--model-uri", str(folder / SKLEARN), "--env-manager", "local"], folder) as stock:
        ask_stock(stock, folder)
        with_stock = by_turns(ours, partial(ask_stock, stock, folder))
    plain: list[float] = []

    def fastapi() -> float:
        said = task("fastapi")
        plain.append(said["plain"])
        return float(said["seconds"])

    with_fastapi = by_turns(ours, fastapi)
    predict = statistics.median(one["predict"] for one in found)
    above = statistics.median(one["seconds"] - one["predict"] for one in found)
    yield Figure(
        "CPU of a row above the model's own predict", above * 1e3, "ms", 1.0,
        note=f"  (predict {predict * 1e3:.2g} ms; {found[0]['calls'] * 1e3 / (REQUESTS + WARM_UP):.0f} calls of DynamoDB in 1,000)",
    )  # fmt: skip
    mine, theirs = with_stock
    yield Figure("CPU of a row, mlflow models serve", mine * 1e3, "ms", 1 / 3, theirs * 1e3)
    mine, theirs = with_fastapi
    yield Figure(
        "CPU of a row, FastAPI and Mangum", mine * 1e3, "ms", 1 / 3, theirs * 1e3,
        note=f"  (a plain function {statistics.median(plain) * 1e3:.2g} ms)",
    )  # fmt: skip
    compiled, anew = cold_starts(folder)
    yield Figure("cold start and first answer, CPU", compiled, "s", 1.0, note=f"  (package compiled anew {anew:.2g} s)")
    yield Figure("package", package_mb("model_server"), "MB", 150)


def main(words: Sequence[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    asked = arguments.parse_args(words)
    if asked.task:
        name, folder = asked.task
        print(json.dumps({"server": in_server, "fastapi": in_fastapi}[name](Path(folder))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return report(measure(Path(folder)), "peer")


if __name__ == "__main__":
    sys.exit(main())
