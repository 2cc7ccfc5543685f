"""The process of a probe: two versions are loaded as a model server does, and the new one answers one row after the other.

Reads a JSON document from standard input, and writes one as the last line of standard output: what was measured, or the
`problem`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.apart import Apart
from labcycle_lambdas.model_server.loading import graph_of
from labcycle_lambdas.model_server.metering import peak_memory_mb
from labcycle_lambdas.model_server.model_files import EXAMPLE, example_of
from labcycle_lambdas.model_server.runnable import Runnable, Unusable
from labcycle_lambdas.model_server.scoring import score

REQUESTS = 50
ANSWERING_SECONDS = 60.0  # of one version at most
# More than the server has, so that the figure can be told; but no more, so that nothing else on a machine suffers.
_MOST_MEMORY = 4
_MB = 1 << 20
_NOT_OF_THE_ROW = 500  # the status of a version whose process broke
_NO_MEMORY = ("bad_alloc", "bfc_arena")  # as onnxruntime tells of it: from the system, and from its own arena


def main() -> None:
    given = json.load(sys.stdin)
    most = _MOST_MEMORY * given["memory_mb"] * _MB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        measured = measure(Path(given["folder"]), given["candidate"], given["live"])
    except (Unusable, MlflowError, MemoryError) as error:
        short = isinstance(error, MemoryError) or _is_short_of_memory(error)
        measured = {"problem": f"it needs more than {given['memory_mb']} MB of memory, by far" if short else str(error)}
    print(json.dumps(measured))


def measure(folder: Path, candidate: Mapping[str, Any], live: Mapping[str, Any] | None) -> dict[str, Any]:
    """What `Probing` tells of; the files lie in `folder`, each named by its SHA-256. Raises `Unusable`, `MlflowError`, `MemoryError`."""

    def load(version: Deployed) -> Runnable:
        return graph_of(version, lambda file: (folder / file.sha256).read_bytes())

    tried, serving = deployed(candidate), None
    if live:
        with suppress(Unusable):  # then the new version is loaded alone, as a server does
            serving = load(deployed(live))
    began = time.perf_counter()
    graph = load(tried)
    seconds = time.perf_counter() - began
    origin, bodies = requests(tried, graph, folder)
    times = list(_answers(graph, bodies, made_up=origin != EXAMPLE))
    usual = list(_answers(serving, bodies, made_up=True)) if serving else []
    return {
        "peak_mb": peak_memory_mb() + sum(one.peak_mb for one in (graph, serving) if isinstance(one, Apart)),
        "load_seconds": round(seconds, 2),
        "rows_from": origin,
        "answers": len(times),
        "median_ms": _median(times),
        "slowest_ms": round(max(times), 2) if times else 0.0,
        "live_median_ms": _median(usual),
    }


def deployed(doc: Mapping[str, Any]) -> Deployed:
    """From `dataclasses.asdict`."""
    files = tuple(DeployedFile(**file) for file in doc["files"])
    return Deployed(**{**doc, "files": files, "model_file": DeployedFile(**doc["model_file"])})


def requests(version: Deployed, graph: Runnable, folder: Path) -> tuple[str, list[bytes]]:
    """Bodies of requests, a row each where it can be, and where their rows come from: the input example that the model was
    logged with, its training data's bins, or its signature alone."""
    if example := example_of(version):
        return EXAMPLE, _split((folder / example.sha256).read_bytes())
    columns = graph.schema.columns if graph.schema else ()
    if not columns:
        return "nothing", []
    bins = {column["name"]: column for column in (version.reference or {"columns": []})["columns"]}
    rows = ([_value(column.type, bins.get(column.name, {}), n) for column in columns] for n in range(REQUESTS))
    names = [column.name for column in columns]
    bodies = [json.dumps({"dataframe_split": {"columns": names, "data": [row]}}).encode() for row in rows]
    return "reference.json" if bins else "signature", bodies


def _split(content: bytes) -> list[bytes]:
    try:
        given = json.loads(content)
        table = given["dataframe_split"]
        rows = table["data"][:REQUESTS]
        return [
            json.dumps({**given, "dataframe_split": {**table, "data": [row], "index": [0]}}).encode() for row in rows
        ]
    except (ValueError, KeyError, TypeError):
        return [content]  # another format, or none: the server will say


def _value(kind: str, bins: Mapping[str, Any], n: int) -> object:
    """A value of a column that its bins know, in turn."""
    known = bins.get("edges") or bins.get("categories") or [0]
    value = known[n % len(known)]
    if kind == "string":
        return str(value)
    if kind == "boolean":
        return str(value).lower() in ("true", "1", "1.0")
    try:
        return float(value) if kind in ("float", "double") else round(float(value))
    except ValueError:  # a category, where the column is a number
        return 0


def _answers(graph: Runnable, bodies: list[bytes], *, made_up: bool) -> Iterator[float]:
    """Milliseconds of each answer. A made up row that a model does not take proves nothing."""
    started = time.perf_counter()
    for body in bodies:
        request = Request("POST", "/invocations", [], {"content-type": "application/json"}, body, "", "probe")
        began = time.perf_counter()
        if began - started > ANSWERING_SECONDS:
            return
        try:
            score(request, graph)
        except MlflowError as error:
            if not made_up or error.status >= _NOT_OF_THE_ROW or _is_short_of_memory(error):
                raise
            continue
        yield (time.perf_counter() - began) * 1000


def _is_short_of_memory(error: Exception) -> bool:
    return any(word in str(error) for word in _NO_MEMORY)


def _median(times: list[float]) -> float | None:
    return round(sorted(times)[len(times) // 2], 2) if times else None


if __name__ == "__main__":
    main()
