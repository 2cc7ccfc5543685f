"""Runs and models of a team, read and written by MLflow's protocol, without MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from urllib.parse import quote

from labcycle.client.api import LIFECYCLE, ApiError, TeamApi, model_path

_MLFLOW = "/api/2.0/mlflow"
_PARAMS_AT_ONCE = 100
_METRICS_AT_ONCE = 800  # 1,000 entries of all kinds together
_RUNS_AT_ONCE = 1_000
DERIVED_FROM, REPRODUCES = "lineage.derived_from", "lineage.reproduces"
RUN_NAME = "mlflow.runName"


@dataclass(frozen=True)
class Dataset:
    """`doc` is the input as MLflow has it, to be logged again."""

    name: str
    digest: str
    context: str
    doc: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """`metrics` holds the latest values, `models` the ids of the models that it made."""

    run_id: str
    name: str
    experiment_id: str
    user_id: str
    status: str
    lifecycle_stage: str
    start_time: int
    artifact_uri: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    datasets: list[Dataset]
    models: list[str]
    end_time: int = 0  # while it has none


class RunsClient(TeamApi):
    """All methods raise `ApiError`."""

    def run(self, run_id: str) -> Run:
        return _run(self.call("GET", f"{_MLFLOW}/runs/get", query={"run_id": run_id})["run"])

    def experiment(self, name: str) -> str:
        """Id of the experiment of this name, which is made where it is not there."""
        try:
            found = self.call("GET", f"{_MLFLOW}/experiments/get-by-name", query={"experiment_name": name})
            return str(found["experiment"]["experiment_id"])
        except ApiError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
        return str(self.call("POST", f"{_MLFLOW}/experiments/create", body={"name": name})["experiment_id"])

    def search(self, experiment_ids: Sequence[str], query: str) -> list[Run]:
        """All active runs that a filter finds, page by page."""
        found: list[Run] = []
        body: dict[str, Any] = {"experiment_ids": list(experiment_ids), "filter": query, "max_results": _RUNS_AT_ONCE}
        while True:
            page = self.call("POST", f"{_MLFLOW}/runs/search", body=body)
            found += [_run(doc) for doc in page.get("runs", [])]
            if not page.get("next_page_token"):
                return found
            body["page_token"] = page["next_page_token"]

    def history(self, run_id: str, key: str) -> list[tuple[int, int, float]]:
        """All points of a metric: timestamp in milliseconds, step, value."""
        found: list[tuple[int, int, float]] = []
        query = {"run_id": run_id, "metric_key": key}
        while True:
            page = self.call("GET", f"{_MLFLOW}/metrics/get-history", query=query)
            found += [(int(m["timestamp"]), int(m.get("step", 0)), float(m["value"])) for m in page.get("metrics", [])]
            if not page.get("next_page_token"):
                return found
            query["page_token"] = page["next_page_token"]

    def model_uri(self, model_id: str) -> str:
        """Where the files of a logged model lie."""
        said = self.call("GET", f"{_MLFLOW}/logged-models/{quote(model_id, safe='')}")
        return str(said["model"]["info"]["artifact_uri"])

    def versions(self, model: str, most: int) -> list[dict[str, Any]]:
        """The newest versions of a registered model, in order."""
        mark = '"' if "'" in model else "'"
        query = {"filter": f"name = {mark}{model}{mark}", "max_results": str(most), "order_by": ["version_number DESC"]}
        found = self.call("GET", f"{_MLFLOW}/model-versions/search", query=query).get("model_versions", [])
        return sorted(found, key=lambda version: int(version["version"]))

    def completeness(self, run_id: str) -> dict[str, Any]:
        """`{"run_id", "complete": bool, "parts": [{"name", "state", "evidence", "lacking", "supply"}], "inputs": [...]}`."""
        return self.call("GET", f"{LIFECYCLE}/runs/{quote(run_id, safe='')}/completeness")

    def ancestry(self, run_id: str) -> dict[str, Any]:
        """`{"run_id", "name", "ancestry": [{"relation", "run_id", "name", ...}]}`, the nearest first."""
        return self.call("GET", f"{LIFECYCLE}/runs/{quote(run_id, safe='')}/ancestry")

    def explanation(self, model: str, *, version: str = "", alias: str = "") -> dict[str, Any]:
        """The chain of a version; of the live or the newest one where neither is named."""
        query = {name: value for name, value in (("version", version), ("alias", alias)) if value}
        return self.call("GET", f"{model_path(model)}/explanation", query=query)

    def create(self, experiment_id: str, tags: Mapping[str, str], *, name: str = "") -> str:
        """Id of a new run."""
        body = {
            "experiment_id": experiment_id,
            "start_time": time.time_ns() // 1_000_000,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
            **({"run_name": name} if name else {}),
        }
        return str(self.call("POST", f"{_MLFLOW}/runs/create", body=body)["run"]["info"]["run_id"])

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        now = time.time_ns() // 1_000_000
        points = [
            {"key": key, "value": _double(value), "timestamp": now, "step": 0} for key, value in (metrics or {}).items()
        ]
        pairs = [{"key": key, "value": value} for key, value in (params or {}).items()]
        told = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        for some in zip_longest(
            _parts(points, _METRICS_AT_ONCE), _parts(pairs, _PARAMS_AT_ONCE), _parts(told, _PARAMS_AT_ONCE)
        ):
            self._batch(
                run_id, **{kind: part for kind, part in zip(("metrics", "params", "tags"), some, strict=True) if part}
            )

    def log_datasets(self, run_id: str, datasets: Sequence[Dataset]) -> None:
        if datasets:
            body = {"run_id": run_id, "datasets": [dataset.doc for dataset in datasets]}
            self.call("POST", f"{_MLFLOW}/runs/log-inputs", body=body)

    def set_status(self, run_id: str, status: str) -> None:
        ended = {} if status in ("RUNNING", "SCHEDULED") else {"end_time": time.time_ns() // 1_000_000}
        self.call("POST", f"{_MLFLOW}/runs/update", body={"run_id": run_id, "status": status, **ended})

    def _batch(self, run_id: str, **what: list[dict[str, Any]]) -> None:
        self.call("POST", f"{_MLFLOW}/runs/log-batch", body={"run_id": run_id, **what})


def _parts(entries: list[dict[str, Any]], most: int) -> list[list[dict[str, Any]]]:
    return [entries[start : start + most] for start in range(0, len(entries), most)]


def _run(doc: Mapping[str, Any]) -> Run:
    info, data = doc["info"], doc.get("data", {})
    return Run(
        run_id=info["run_id"],
        name=info.get("run_name", ""),
        experiment_id=info["experiment_id"],
        user_id=info.get("user_id", ""),
        status=info["status"],
        lifecycle_stage=info["lifecycle_stage"],
        start_time=int(info.get("start_time", 0)),
        artifact_uri=info["artifact_uri"],
        params=_mapping(data.get("params", [])),
        metrics={metric["key"]: float(metric["value"]) for metric in data.get("metrics", [])},
        tags=_mapping(data.get("tags", [])),
        datasets=[_dataset(item) for item in doc.get("inputs", {}).get("dataset_inputs", [])],
        models=[item["model_id"] for item in doc.get("outputs", {}).get("model_outputs", [])],
        end_time=int(info.get("end_time") or 0),
    )


def _dataset(doc: dict[str, Any]) -> Dataset:
    found, context = doc["dataset"], _mapping(doc.get("tags", [])).get("mlflow.data.context", "")
    return Dataset(found["name"], found.get("digest", ""), context, doc)


def _mapping(pairs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {pair["key"]: pair.get("value", "") for pair in pairs}


def _double(value: float) -> float | str:
    """JSON has no NaN."""
    return value if value - value == 0 else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
