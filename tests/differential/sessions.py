"""Sessions of MLflow's own client: the same calls against a server of each kind, and what the client makes of the answers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tests.differential import values as v
from tests.differential.comparison import comparable, difference
from tests.differential.sides import SIGNER, Answer, Pair

Log = list[Any]


@contextmanager
def _client_of(address: str) -> Iterator[Any]:
    import mlflow

    variables = {"MLFLOW_TRACKING_URI": address, "LOGNAME": SIGNER, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    variables["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    with patch.dict("os.environ", variables):
        before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(address)
        try:
            yield mlflow.MlflowClient(address, address)
        finally:
            while mlflow.active_run():
                mlflow.end_run()
            mlflow.set_tracking_uri(before[0])
            mlflow.set_registry_uri(before[1])


class Session:
    """One session: a seeded walk through the client's calls. `log` is what came back."""

    def __init__(self, client: Any, put: Callable[[str], None], seed: int, number: int) -> None:
        self.client, self.put, self.draw = client, put, random.Random(f"{seed}/{number}")
        self.log: Log = []
        self.runs: list[str] = []
        self.experiments = ["0"]

    def walk(self, length: int) -> Log:
        self._fluent()
        calls: list[Callable[[], Any]] = [
            self._create_experiment,
            self._create_run,
            self._log_batch,
            self._log_metric,
            self._change_run,
            self._search_runs,
            self._history,
            self._register,
            self._aliases,
            self._stages,
            self._search_registry,
            self._logged_model,
            self._search_experiments,
        ]
        for _ in range(length):
            call = self.draw.choice(calls)
            try:
                self.log.append([call.__name__, call()])
            except Exception as error:  # noqa: BLE001 - what the client raises is what is compared
                code = getattr(error, "error_code", "")
                self.log.append([call.__name__, type(error).__name__, code])
        return self.log

    def _fluent(self) -> None:
        import mlflow
        from mlflow.data.http_dataset_source import HTTPDatasetSource
        from mlflow.data.meta_dataset import MetaDataset

        self.experiments.append(mlflow.set_experiment("fluent").experiment_id)
        with mlflow.start_run(run_name="parent") as parent:
            mlflow.log_params({"a": 1, "b": "x"})
            mlflow.log_metrics({"m": 1.5, "n": float("nan")}, step=1)
            mlflow.set_tags({"t": "1"})
            source = HTTPDatasetSource("https://example.com/data.csv")
            mlflow.log_input(MetaDataset(source, name="d", digest="abc"), context="train")
            with mlflow.start_run(run_name="child", nested=True) as child:
                mlflow.log_metric("m", 2)
        self.runs += [parent.info.run_id, child.info.run_id]
        found = mlflow.search_runs(search_all_experiments=True, output_format="list", order_by=["metrics.m DESC"])
        self.log.append(["fluent", [run.to_dictionary() for run in found]])

    def _run(self) -> str:
        return self.draw.choice(self.runs)

    def _create_experiment(self) -> Any:
        made = self.client.create_experiment(self.draw.choice(v.EXPERIMENT_NAMES), tags={"k": "1"})
        self.experiments.append(made)
        return vars(self.client.get_experiment(made))

    def _create_run(self) -> Any:
        experiment = self.draw.choice(self.experiments)
        run = self.client.create_run(experiment, start_time=self.draw.choice((0, 1000)), tags={"mlflow.user": SIGNER})
        self.runs.append(run.info.run_id)
        return run.info.run_name

    def _log_batch(self) -> Any:
        from mlflow.entities import Metric, Param, RunTag

        draw = self.draw
        metrics = [
            Metric(draw.choice(v.KEYS), draw.choice((1.0, -2.5, float("inf"))), draw.choice((0, 5)), step)
            for step in range(draw.randint(0, 20))
        ]
        params = [Param(draw.choice(v.KEYS), draw.choice(("1", "ü")))]
        self.client.log_batch(self._run(), metrics, params, [RunTag(draw.choice(v.TAG_KEYS), "x")])

    def _log_metric(self) -> Any:
        return self.client.log_metric(
            self._run(), self.draw.choice(("k", "a//b", "k2")), self.draw.choice((1, 2.5)), 5, 1
        )

    def _change_run(self) -> Any:
        run, draw = self._run(), self.draw
        what = draw.randrange(7)
        if what == 0:
            self.client.delete_run(run)
        elif what == 1:
            self.client.restore_run(run)
        elif what == 2:
            self.client.set_terminated(run, draw.choice(("FINISHED", "FAILED")), end_time=7)
        elif what == 3:
            self.client.update_run(run, name=draw.choice(("new", "r1")))
        elif what == 4:
            self.client.delete_tag(run, draw.choice(v.TAG_KEYS))
        elif what == 5:
            self.client.log_param(run, draw.choice(v.KEYS), draw.choice((1, 2)))
        else:
            self.client.set_tag(run, draw.choice(v.TAG_KEYS), "é")
        return self.client.get_run(run).to_dictionary()

    def _search_runs(self) -> Any:
        from mlflow.entities import ViewType

        found: Log = []
        token = None
        filter_ = self.draw.choice(
            ("", "metrics.k > 0", "params.`a/b` = '1'", "tags.k LIKE '%x%'", "status = 'FINISHED'", "nope")
        )
        order = self.draw.choice((["metrics.k DESC"], [], ["start_time ASC"], ["params.k"]))
        for _ in range(20):
            page = self.client.search_runs(self.experiments, filter_, ViewType.ALL, 2, order, token)
            found += [run.to_dictionary() for run in page]
            token = page.token
            if not token:
                break
        return found

    def _history(self) -> Any:
        return [dict(point) for point in self.client.get_metric_history(self._run(), self.draw.choice(v.KEYS))]

    def _register(self) -> Any:
        name = self.draw.choice(v.MODEL_NAMES)
        try:
            self.client.create_registered_model(name, tags={"k": "1"}, description="d")
        except Exception as error:  # noqa: BLE001
            self.log.append(getattr(error, "error_code", ""))
        run = self.client.get_run(self._run())
        self.put(f"{run.info.artifact_uri}/model/MLmodel")
        version = self.client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
        return [version.name, version.version, version.run_id, version.source]

    def _aliases(self) -> Any:
        name = self.draw.choice(v.MODEL_NAMES)
        self.client.set_registered_model_alias(name, self.draw.choice(v.ALIASES), self.draw.choice(("1", "2")))
        return [
            dict(self.client.get_registered_model(name).aliases),
            self.client.get_model_version_by_alias(name, "champion").version,
        ]

    def _stages(self) -> Any:
        name = self.draw.choice(v.MODEL_NAMES)
        stage = self.draw.choice(("Production", "Staging", "Archived"))
        moved = self.client.transition_model_version_stage(
            name, "1", stage, archive_existing_versions=stage != "Archived"
        )
        return [moved.current_stage, [x.version for x in self.client.get_latest_versions(name)]]

    def _search_registry(self) -> Any:
        filter_ = self.draw.choice(("", "name LIKE 'm%'", "name = 'm1'", "tags.k = '1'"))
        models = self.client.search_registered_models(filter_, order_by=["name DESC"])
        versions = self.client.search_model_versions("" if filter_.startswith("tags") else filter_)
        return [[m.name for m in models], [(x.name, x.version, x.current_stage, x.source) for x in versions]]

    def _logged_model(self) -> Any:
        run = self._run()
        model = self.client.create_logged_model(
            self.draw.choice(self.experiments), "lm", run, {"k": "1"}, {"p": "2"}, "agent"
        )
        self.client.log_metric(run, "k", 3.5, 5, 1, model_id=model.model_id)
        self.client.finalize_logged_model(model.model_id, "READY")
        return self.client.get_logged_model(model.model_id).to_dictionary()

    def _search_experiments(self) -> Any:
        return [vars(found) for found in self.client.search_experiments(order_by=["name ASC"])]


def session(pair: Pair, seed: int, number: int, length: int = 25) -> tuple[int, str]:
    """How many calls a session made, and where the client saw something else on ours than on the stock server."""
    seen = []
    for side in (pair.stock, pair.ours):
        pair.empty()
        with side.served() as address, _client_of(address) as client:
            walked = Session(client, pair.put, seed, number)
            walked.walk(length)
        seen.append(walked)
    stock, ours = seen
    ids = dict(zip(ours.experiments, stock.experiments, strict=False))
    # MlflowClient sends a user_id of "unknown": with us it is the signer, whatever was sent.
    text = json.dumps(stock.log, default=str).replace('"user_id": "unknown"', f'"user_id": "{SIGNER}"')
    logs = (json.loads(log, parse_constant=str) for log in (text, json.dumps(ours.log, default=str)))
    answers = [Answer(200, log) for log in logs]
    one, other = comparable(answers[0], experiments={}), comparable(answers[1], experiments=ids)
    return len(stock.log), difference(one["doc"], other["doc"])
