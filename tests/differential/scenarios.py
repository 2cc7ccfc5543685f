"""Scenarios of raw requests, the same ones for the same number: weighted calls over small pools, a fifth malformed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.differential import values as v
from tests.differential.queries import EXPERIMENTS, LOGGED_MODELS, MODELS, RUNS, VERSIONS, Kind, Queries
from tests.differential.sides import ROOT, SIGNER
from tests.differential.steps import Step, quoted

_MALFORMED = 0.3  # some are sent on, page by page, so that a fifth of all calls is
_API = "/api/2.0/mlflow/"
_AJAX = "/ajax-api/2.0/mlflow/"
Values = dict[str, Any]
Spoiled = dict[str, Sequence[Any]]


@dataclass(frozen=True)
class Endpoint:
    """`make` draws what is sent; `spoiled` says what is wrong in which field; `path` draws the path, below the base."""

    weight: int
    method: str
    template: str
    make: Callable[[Writer], Values]
    spoiled: Spoiled
    kind: Kind | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"


class Writer:
    """Writes one scenario."""

    def __init__(self, seed: int, number: int) -> None:
        self.draw = random.Random(f"{seed}/{number}")
        self.steps: list[Step] = []
        self._made: dict[str, list[int]] = {"exp": [], "run": [], "model": []}
        self._malformed = False
        # What a scenario is about: so that few things are met often.
        self._focus = self.draw.choice(("runs", "runs", "registry", "experiments", "models", "all", "search"))

    def scenario(self, length: int) -> list[Step]:
        self._call(_BY_NAME["POST experiments/create"], malformed=False)
        for _ in range(2 if self._focus != "registry" else 1):
            self._call(_BY_NAME["POST runs/create"], malformed=False)
        if self._focus in ("registry", "all", "models"):
            self._file()
            for _ in range(2):
                self._call(_BY_NAME["POST registered-models/create"], malformed=False)
            self._call(_BY_NAME["POST logged-models"], malformed=False)
        endpoints, weights = [*_ENDPOINTS], [self._weight(endpoint) for endpoint in _ENDPOINTS]
        while len(self.steps) < length:
            endpoint = self.draw.choices(endpoints, weights)[0]
            self._call(endpoint, malformed=self.draw.random() < _MALFORMED)
            if endpoint.kind and not self.steps[-1].malformed and self.draw.random() < 0.5:
                self._pages(endpoint)
            if endpoint.template in ("runs/create", "logged-models") and self.draw.random() < 0.3:
                self._file()
        return self.steps

    def _weight(self, endpoint: Endpoint) -> int:
        template = endpoint.template
        about = {
            "runs": template.startswith(("runs/", "metrics/")),
            "registry": template.startswith(("registered", "model-versions")),
            "experiments": template.startswith("experiments"),
            "models": template.startswith("logged-models"),
            "search": endpoint.kind is not None or template in ("runs/log-batch", "runs/create"),
            "all": False,
        }[self._focus]
        return endpoint.weight * (5 if about else 1)

    # --- what was made

    def of(self, kind: str) -> str:
        """A reference to something that some step tried to make."""
        known = self._made[kind]
        if not known or self.draw.random() < 0.04:
            return {"exp": "0", "run": "f" * 32, "model": "m-" + "f" * 32}[kind]
        return f"@{kind}#{self.draw.choice(known[-4:])}"

    def experiment(self) -> str:
        return "0" if self.draw.random() < 0.25 else self.of("exp")

    def pick(self, pool: Sequence[Any]) -> Any:
        return copy.deepcopy(self.draw.choice(list(pool)))

    def maybe(self, share: float, **fields: Any) -> Values:
        """Some of the fields, each with this probability; `...` leaves a field out."""
        return {name: value for name, value in fields.items() if value is not ... and self.draw.random() < share}

    def queries(self) -> Queries:
        runs = [f"@run#{number}" for number in self._made["run"][-3:]]
        return Queries(self.draw, runs, ["0", *(f"@exp#{number}" for number in self._made["exp"][-3:])])

    def asked(self, kind: Kind, *, most: Sequence[int] = (1, 2, 3, 100)) -> Values:
        legal = not self._malformed or self.draw.random() < 0.35
        filter_ = legal or self.draw.random() < 0.7
        found: Values = {"max_results": self.draw.choice(list(most))}
        if self.draw.random() < 0.75 or not legal:
            found["filter"] = self.queries().filter(kind, legal=legal or not filter_)
        if kind is not LOGGED_MODELS and (self.draw.random() < 0.6 or not legal):
            found["order_by"] = self.queries().order(kind, legal=legal or filter_)
        if not legal:
            self._malformed = False  # it is malformed by now
        return found

    def metric(self) -> Values:
        found: Values = {
            "key": self.pick(v.KEYS),
            "value": self.pick(v.METRIC_VALUES),
            "timestamp": self.pick(v.TIMESTAMPS),
            "step": self.pick(v.STEPS),
        }
        if self._made["model"] and self.draw.random() < 0.15:
            found["model_id"] = self.of("model")
            if found["value"] == "NaN":
                found["key"] = "nan"  # which no search asks for
            if self.draw.random() < 0.5:
                found |= {"dataset_name": self.pick(v.DATASETS), "dataset_digest": self.pick(v.DIGESTS[:2])}
        return found

    def tag(self) -> Values:
        return {"key": self.pick(v.TAG_KEYS), "value": self.pick(v.TAG_VALUES)}

    def several(self, make: Callable[[], Values], most: int = 3) -> list[Values]:
        return [make() for _ in range(self.draw.randint(0, most))]

    def once(self, make: Callable[[], Values], most: int = 3) -> list[Values]:
        """As `several`, each key once."""
        return list({item["key"]: item for item in self.several(make, most)}.values())

    def dataset(self) -> Values:
        found: Values = {
            "name": self.pick(v.DATASETS),
            "digest": self.pick(v.DIGESTS),
            "source_type": self.pick(("local", "s3")),
            "source": self.pick(("{}", '{"uri": "s3://x"}')),
            **self.maybe(0.4, schema='{"a": 1}', profile='{"rows": 2}'),
        }
        tags = [{"key": "mlflow.data.context", "value": self.pick(v.CONTEXTS)}] if self.draw.random() < 0.7 else []
        return {"dataset": found, "tags": tags}

    def source(self) -> Values:
        """A source that both servers accept, with the fields that it needs."""
        runs, models = self._made["run"], self._made["model"]
        sort = self.draw.random()
        if models and sort < 0.25:
            model = self.of("model")
            return {"source": f"models:/{model}", "model_id": model}
        if sort < 0.45:
            run = self.of("run")
            return {"source": f"runs:/{run}/model", "run_id": run}
        if sort < 0.55:
            return {"source": f"models:/{self.pick(v.MODEL_NAMES)}/{self.pick(('1', '2'))}"}
        if sort < 0.6:
            return {"source": f"models:/{self.pick(v.MODEL_NAMES)}@{self.pick(v.ALIASES)}"}
        number = self.draw.choice(runs) if runs else 0
        found = {"source": f"@uri#{number}/model"}
        return found | self.maybe(0.6, run_id=f"@run#{number}", model_id=self.of("model") if models else ...)

    # --- writing

    def _add(self, endpoint: str, path: str, values: Values, **more: Any) -> None:
        self.steps.append(Step(len(self.steps), endpoint, path, values, **more))

    def _file(self) -> None:
        number = self.draw.choice([*self._made["run"], *self._made["model"]] or [0])
        place = f"@uri#{number}/{self.draw.choice(('model/', 'model/', ''))}{self.draw.choice(('MLmodel', 'data/x.bin', 'ü c.txt'))}"
        self._add("FILE", "", {}, file=place)

    def _call(self, endpoint: Endpoint, *, malformed: bool) -> None:
        self._malformed = malformed
        values = endpoint.make(self)
        template, number = endpoint.template, len(self.steps)
        path = template
        for name in ("model_id", "tag_key"):
            if "{" + name in path:
                value = values.pop("/" + name)
                path = path.replace(
                    "{" + name + "}", value if value.startswith("@") else quoted(value).replace("%2F", "/")
                )
        base = self.draw.choice((_API, _API, _API, _AJAX))
        if template in ("experiments/search-datasets", "metrics/get-history-bulk"):  # there alone, on the stock server
            base = _AJAX
        made = {"experiments/create": "exp", "runs/create": "run", "logged-models": "model"}
        more: dict[str, Any] = {"malformed": malformed}
        if self._malformed:  # not yet, by a query
            values, more = self._spoil(endpoint, values)
        self._add(endpoint.name, base + path, values, **more)
        if endpoint.method == "POST" and template in made:
            self._made[made[template]].append(number)

    def _pages(self, endpoint: Endpoint) -> None:
        """The pages that follow, to the end."""
        last = self.steps[-1]
        for _ in range(self.draw.choice((1, 4))):
            values = {**last.values, "page_token": f"@token#{len(self.steps) - 1}"}
            self._add(endpoint.name, last.path, values)

    def _spoil(self, endpoint: Endpoint, values: Values) -> tuple[Values, dict[str, Any]]:
        """The same request with a mistake."""
        more: dict[str, Any] = {"malformed": True}
        sort = self.draw.random()
        if sort < 0.6 and endpoint.spoiled:
            name = self.draw.choice(list(endpoint.spoiled))
            self._put(values, name, self.pick(endpoint.spoiled[name]), endpoint.method)
        elif sort < 0.75 and values:
            values.pop(self.draw.choice(list(values)))
        elif sort < 0.82 and values:
            name = self.draw.choice(list(values))
            wrong: tuple[Any, ...] = (5, -1, 1.5, True, [], {}, "x", [1], {"a": 1}, None, "1", [None])
            self._put(values, name, self.pick(wrong), endpoint.method)
        elif sort < 0.86 and values:
            name = self.draw.choice(list(values))
            values[_camel(name)] = values[name] if self.draw.random() < 0.5 else values.pop(name)
        elif sort < 0.9:
            values[self.pick(("unknown", "workspace", "run_uuid"))] = "x"
        elif endpoint.method == "GET":
            more["raw"] = self.pick(
                ("", "&&", "=", "name", "%zz=%ff", "max_results=1&max_results=2", "run_id=&run_id=x")
            )
        else:
            text = json.dumps(values)
            broken = ("", "{", text[:-1], "null", "5", '"x"', json.dumps(text), "{'a': 1}", text + " ")
            more["raw"] = self.pick(broken)
            if self.draw.random() < 0.2:
                more |= {"content_type": self.pick(("text/plain", "application/x-www-form-urlencoded")), "raw": text}
        return values, more

    def _put(self, values: Values, name: str, value: Any, method: str) -> None:
        if "." in name:  # in the first of a list, or below a field
            outer, _, inner = name.partition(".")
            item = values.get(outer)
            if isinstance(item, list):
                if not item:
                    item.append({"key": "k", "value": "1"})
                self._put(item[0], inner, value, method)
            elif isinstance(item, dict):
                self._put(item, inner, value, method)
            return
        if method == "GET" and isinstance(value, dict | list | bool):
            value = str(value)
        if value is None:
            values.pop(name, None) if method == "GET" else values.update({name: None})
        else:
            values[name] = value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


# --- the endpoints

_TAGS: Spoiled = {"tags.key": v.BAD_KEYS, "tags.value": v.BAD_VALUES, "tags": ("x", {"a": 1}, 5, [5])}
_PAGING: Spoiled = {"max_results": v.MAX_RESULTS, "page_token": v.PAGE_TOKENS}
_RUN: Spoiled = {"run_id": v.IDS}
_EXPERIMENT: Spoiled = {"experiment_id": v.EXPERIMENT_IDS}
_METRIC: Spoiled = {
    "key": v.BAD_KEYS,
    "value": v.BAD_METRIC_VALUES,
    "timestamp": v.BAD_TIMESTAMPS,
    "step": v.BAD_STEPS,
}
_MODEL: Spoiled = {"name": (*v.BAD_MODEL_NAMES, "nope")}
_VERSION: Spoiled = {**_MODEL, "version": v.BAD_VERSIONS}


def _under(outer: str, spoiled: Spoiled) -> Spoiled:
    return {f"{outer}.{name}": pool for name, pool in spoiled.items()}


def _create_run(w: Writer) -> Values:
    name = w.pick(v.RUN_NAMES)
    tags = w.once(w.tag, 2)
    if w.draw.random() < 0.15:
        tags.append({"key": "mlflow.runName", "value": w.pick((name, "other"))})
    return {
        "experiment_id": w.experiment(),
        "user_id": SIGNER,
        "start_time": w.pick((0, 1, 1000, 1000, 2000, "5")),
        "tags": tags,
        **w.maybe(0.6, run_name=name),
    }


def _batch(w: Writer) -> Values:
    params = w.once(lambda: {"key": w.pick(v.KEYS), "value": w.pick(v.VALUES)})
    if w.draw.random() < 0.05:
        params *= 2
    tags = w.several(w.tag)
    if w.draw.random() < 0.1:
        tags.append({"key": "mlflow.runName", "value": w.pick(("r9", ""))})
    return {
        "run_id": w.of("run"),
        **w.maybe(0.8, metrics=w.several(w.metric, 5), params=params, tags=tags),
    }


def _model_call(w: Writer, **fields: Any) -> Values:
    return {"name": w.pick(v.MODEL_NAMES[:3]), **fields}


def _version_call(w: Writer, **fields: Any) -> Values:
    return _model_call(w, version=w.pick(v.VERSIONS), **fields)


def _tag_of_logged_model(w: Writer) -> Values:
    key = w.pick(v.TAG_KEYS)
    # With a slash in it there is no such endpoint on the stock server: nothing must be there to delete, then.
    return {"/model_id": "m-" + "f" * 32 if "/" in key else w.of("model"), "/tag_key": key}


def _runs_search(w: Writer) -> Values:
    ids = [w.experiment() for _ in range(w.draw.choice((1, 1, 2)))]
    return {
        "experiment_ids": ids,
        **w.asked(RUNS),
        **w.maybe(0.4, run_view_type=w.pick(("ALL", "DELETED_ONLY", "ACTIVE_ONLY", 3))),
    }


def _logged_search(w: Writer) -> Values:
    found = {"experiment_ids": [w.experiment(), w.of("exp")], **w.asked(LOGGED_MODELS)}
    if w.draw.random() < 0.5:
        field = w.pick((*LOGGED_MODELS.orders, "metrics.k", "metrics.K", "attributes.name"))
        found["order_by"] = [{"field_name": field, **w.maybe(0.6, ascending=w.pick((True, False)))}]
    if w.draw.random() < 0.2:
        found["datasets"] = [{"dataset_name": w.pick(v.DATASETS), **w.maybe(0.5, dataset_digest="abc")}]
    return found


def _log_model(w: Writer) -> Values:
    run = w.of("run")
    model = {
        "run_id": run,
        "artifact_path": w.pick(("model", "m2")),
        "utc_time_created": "2026-01-01 00:00:00",
        "flavors": {"python_function": {"a": 1, "config": {}}},
    }
    return {"run_id": run, "model_json": json.dumps(model)}


_BAD_MODEL_JSON = (
    "",
    "{",
    "[]",
    "{}",
    '"x"',
    '{"run_id": "x", "artifact_path": 1, "utc_time_created": 1, "flavors": 1}',
    5,
    None,
)
_HISTORY_IDS = ("nope", "", "a b")

_ENDPOINTS = (
    Endpoint(6, "POST", "experiments/create", lambda w: {"name": w.pick(v.EXPERIMENT_NAMES), **w.maybe(0.4, tags=w.once(w.tag)), **w.maybe(0.1, artifact_location=f"{ROOT}/{w.pick(('a', 'b/c', 'a/'))}")}, {"name": v.BAD_NAMES, **_TAGS, "artifact_location": v.LOCATIONS}),
    Endpoint(2, "GET", "experiments/get", lambda w: {"experiment_id": w.experiment()}, _EXPERIMENT),
    Endpoint(2, "GET", "experiments/get-by-name", lambda w: {"experiment_name": w.pick(v.EXPERIMENT_NAMES)}, {"experiment_name": ("", "nope", None)}),
    Endpoint(5, "POST", "experiments/search", lambda w: {**w.asked(EXPERIMENTS), **w.maybe(0.4, view_type=w.pick(("ALL", "DELETED_ONLY", "ACTIVE_ONLY", 2)))}, {**_PAGING, "view_type": ("X", 0, 7)}, EXPERIMENTS),
    Endpoint(2, "GET", "experiments/search", lambda w: {**w.asked(EXPERIMENTS), **w.maybe(0.4, view_type="ALL")}, _PAGING, EXPERIMENTS),
    Endpoint(1, "POST", "experiments/search-datasets", lambda w: {"experiment_ids": [w.experiment()]}, {"experiment_ids": ([], None, ["abc"], "0", [5], [str(n) for n in range(21)])}),
    Endpoint(2, "POST", "experiments/delete", lambda w: {"experiment_id": w.experiment()}, _EXPERIMENT),
    Endpoint(2, "POST", "experiments/restore", lambda w: {"experiment_id": w.experiment()}, _EXPERIMENT),
    Endpoint(2, "POST", "experiments/update", lambda w: {"experiment_id": w.experiment(), "new_name": w.pick(v.EXPERIMENT_NAMES)}, {**_EXPERIMENT, "new_name": v.BAD_NAMES}),
    Endpoint(3, "POST", "experiments/set-experiment-tag", lambda w: {"experiment_id": w.experiment(), **w.tag()}, {**_EXPERIMENT, "key": v.BAD_KEYS, "value": (*v.BAD_VALUES, "x" * 20_001)}),
    Endpoint(2, "POST", "experiments/delete-experiment-tag", lambda w: {"experiment_id": w.experiment(), "key": w.pick(v.TAG_KEYS)}, {**_EXPERIMENT, "key": v.BAD_KEYS}),
    Endpoint(8, "POST", "runs/create", _create_run, {**_EXPERIMENT, **_TAGS, "start_time": v.BAD_STEPS, "run_name": v.BAD_VALUES, "user_id": ("bob", 5)}),
    Endpoint(4, "GET", "runs/get", lambda w: {"run_id": w.of("run")}, _RUN),
    Endpoint(4, "POST", "runs/update", lambda w: {"run_id": w.of("run"), **w.maybe(0.6, status=w.pick(v.STATUSES), end_time=w.pick((0, 5, 2000, "7")), run_name=w.pick(v.RUN_NAMES))}, {**_RUN, "status": v.BAD_STATUSES, "end_time": v.BAD_STEPS, "run_name": v.BAD_VALUES}),
    Endpoint(2, "POST", "runs/delete", lambda w: {"run_id": w.of("run")}, _RUN),
    Endpoint(2, "POST", "runs/restore", lambda w: {"run_id": w.of("run")}, _RUN),
    Endpoint(6, "POST", "runs/log-metric", lambda w: {"run_id": w.of("run"), **w.metric()}, {**_RUN, **_METRIC, "model_id": ("nope", 5)}),
    Endpoint(5, "POST", "runs/log-parameter", lambda w: {"run_id": w.of("run"), "key": w.pick(v.KEYS), "value": w.pick(v.VALUES)}, {**_RUN, "key": v.BAD_KEYS, "value": v.BAD_VALUES}),
    Endpoint(4, "POST", "runs/set-tag", lambda w: {"run_id": w.of("run"), **(w.tag() if w.draw.random() < 0.9 else {"key": "mlflow.runName", "value": w.pick(("r9", ""))})}, {**_RUN, "key": v.BAD_KEYS, "value": v.BAD_VALUES}),
    Endpoint(2, "POST", "runs/delete-tag", lambda w: {"run_id": w.of("run"), "key": w.pick(v.TAG_KEYS)}, {**_RUN, "key": v.BAD_KEYS}),
    Endpoint(8, "POST", "runs/log-batch", _batch, {**_RUN, **_TAGS, **_under("metrics", _METRIC), "params.key": v.BAD_KEYS, "params.value": v.BAD_VALUES, "metrics": ("x", 5, [5], {}), "params": ("x", [5])}),
    Endpoint(3, "POST", "runs/log-inputs", lambda w: {"run_id": w.of("run"), "datasets": w.several(w.dataset), **w.maybe(0.3, models=[{"model_id": w.of("model")}])}, {**_RUN, "datasets.dataset": (None, {}, 5), "datasets.tags": ("x", [{"key": "x" * 256, "value": "1"}], [{"key": "k", "value": "x" * 501}], [{}]), "models": ([{}], [{"model_id": "nope"}], 5), "datasets": (5, [5], [{}])}),
    Endpoint(2, "POST", "runs/outputs", lambda w: {"run_id": w.of("run"), "models": [{"model_id": w.of("model"), "step": w.pick((0, 1, "2"))}]}, {**_RUN, "models": ([], [{}], [{"model_id": "nope"}], 5, [{"step": 1}]), "models.step": v.BAD_STEPS}),
    Endpoint(9, "POST", "runs/search", _runs_search, {**_PAGING, "experiment_ids": ([], None, ["abc"], "0", [5], ["-1"]), "run_view_type": ("X", 0, 7, "all")}, RUNS),
    Endpoint(1, "POST", "runs/log-model", _log_model, {**_RUN, "model_json": _BAD_MODEL_JSON}),
    Endpoint(4, "GET", "metrics/get-history", lambda w: {"run_id": w.of("run"), "metric_key": w.pick(v.KEYS), **w.maybe(0.4, max_results=w.pick((1, 2, 100)))}, {**_RUN, **_PAGING, "metric_key": ("", None, "nope")}),
    Endpoint(2, "GET", "metrics/get-history-bulk", lambda w: {"run_id": [w.of("run"), w.of("run")], "metric_key": w.pick(v.KEYS), **w.maybe(0.4, max_results=w.pick((1, 3)))}, {"run_id": (_HISTORY_IDS[0], "", None), "metric_key": ("", None), "max_results": v.MAX_RESULTS}),
    Endpoint(2, "GET", "metrics/get-history-bulk-interval", lambda w: {"run_ids": [w.of("run"), w.of("run")], "metric_key": w.pick(v.KEYS), **({"start_step": 0, "end_step": w.pick((1, 5))} if w.draw.random() < 0.4 else {}), **w.maybe(0.6, max_results=w.pick((1, 2, 3)))}, {"run_ids": (_HISTORY_IDS[0], "", None), "metric_key": ("", None), "max_results": (0, 2501, "x"), "start_step": (1, "x", 2**31), "end_step": (-5, 1)}),
    Endpoint(2, "GET", "artifacts/list", lambda w: {"run_id": w.of("run"), **w.maybe(0.5, path=w.pick(("model", "model/data", "nope", "")))}, {**_RUN, "path": ("..", "/x", "a/../b", "./x", "%2e%2e", "a\\b")}),
    Endpoint(4, "POST", "logged-models", lambda w: {"experiment_id": w.experiment(), **w.maybe(0.5, name=w.pick(v.LOGGED_NAMES), model_type=w.pick(("agent", "")), source_run_id=w.of("run"), params=w.once(lambda: {"key": w.pick(v.KEYS), "value": w.pick(("1", "2", ""))}), tags=w.once(w.tag))}, {**_EXPERIMENT, **_TAGS, "name": v.BAD_LOGGED_NAMES, "params.key": v.BAD_KEYS, "params.value": (*v.BAD_VALUES, "x" * 6001), "source_run_id": ("nope", 5)}),
    Endpoint(2, "GET", "logged-models/{model_id}", lambda w: {"/model_id": w.of("model"), **w.maybe(0.3, allow_deleted=w.pick(("true", "false", "True")))}, {"allow_deleted": ("x", 1)}),
    Endpoint(2, "PATCH", "logged-models/{model_id}", lambda w: {"/model_id": (m := w.of("model")), "model_id": m, "status": w.pick(("LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED", 2))}, {"status": ("LOGGED_MODEL_PENDING", "X", 0, 9, None), "model_id": (5, "", None)}),
    Endpoint(1, "DELETE", "logged-models/{model_id}", lambda w: {"/model_id": w.of("model")}, {}),
    Endpoint(2, "PATCH", "logged-models/{model_id}/tags", lambda w: {"/model_id": (m := w.of("model")), "model_id": m, "tags": w.several(w.tag)}, {**_TAGS}),
    Endpoint(2, "DELETE", "logged-models/{model_id}/tags/{tag_key}", _tag_of_logged_model, {}),
    Endpoint(2, "POST", "logged-models/{model_id}/params", lambda w: {"/model_id": (m := w.of("model")), "model_id": m, "params": w.once(lambda: {"key": w.pick(v.KEYS), "value": w.pick(("1", "2", ""))})}, {"params.key": v.BAD_KEYS, "params.value": v.BAD_VALUES, "model_id": (None, "", 5)}),
    Endpoint(5, "POST", "logged-models/search", _logged_search, {"max_results": v.MAX_RESULTS, "page_token": v.PAGE_TOKENS, "experiment_ids": ([], None, ["abc"], [5], "0"), "order_by": ([{"field_name": "nope"}], [{}], 5, ["name"], [{"field_name": "foo.k"}], [{"field_name": "name", "dataset_name": "d1"}]), "datasets": ([{}], 5, [{"dataset_digest": "x"}])}, LOGGED_MODELS),
    Endpoint(1, "GET", "logged-models/{model_id}/artifacts/directories", lambda w: {"/model_id": w.of("model"), **w.maybe(0.5, artifact_directory_path=w.pick(("model", "nope")))}, {"artifact_directory_path": ("..", "/x")}),
    Endpoint(4, "POST", "registered-models/create", lambda w: _model_call(w, **w.maybe(0.4, description=w.pick(v.DESCRIPTIONS), tags=w.once(w.tag))), {"name": v.BAD_MODEL_NAMES, **_TAGS, "description": v.BAD_VALUES}),
    Endpoint(3, "GET", "registered-models/get", _model_call, _MODEL),
    Endpoint(2, "POST", "registered-models/rename", lambda w: _model_call(w, new_name=w.pick(v.MODEL_NAMES)), {**_MODEL, "new_name": v.BAD_MODEL_NAMES}),
    Endpoint(2, "PATCH", "registered-models/update", lambda w: _model_call(w, **w.maybe(0.8, description=w.pick(v.DESCRIPTIONS))), {**_MODEL, "description": v.BAD_VALUES}),
    Endpoint(1, "DELETE", "registered-models/delete", _model_call, _MODEL),
    Endpoint(3, "POST", "registered-models/set-tag", lambda w: _model_call(w, **w.tag()), {**_MODEL, "key": v.BAD_KEYS, "value": (*v.BAD_VALUES, "x" * 100_001)}),
    Endpoint(2, "DELETE", "registered-models/delete-tag", lambda w: _model_call(w, key=w.pick(v.TAG_KEYS)), {**_MODEL, "key": v.BAD_KEYS}),
    Endpoint(4, "GET", "registered-models/search", lambda w: w.asked(MODELS), {"max_results": (-1, 1001, "x"), "page_token": v.PAGE_TOKENS}, MODELS),
    Endpoint(2, "POST", "registered-models/get-latest-versions", lambda w: _model_call(w, **w.maybe(0.5, stages=[w.pick(v.STAGES)])), {**_MODEL, "stages": (["foo"], "Staging", 5, [5])}),
    Endpoint(1, "GET", "registered-models/get-latest-versions", lambda w: _model_call(w, **w.maybe(0.5, stages=[w.pick(v.STAGES)])), _MODEL),
    Endpoint(4, "POST", "registered-models/alias", lambda w: _version_call(w, alias=w.pick(v.ALIASES)), {**_VERSION, "alias": v.BAD_ALIASES}),
    Endpoint(3, "GET", "registered-models/alias", lambda w: _model_call(w, alias=w.pick((*v.ALIASES, "latest"))), {**_MODEL, "alias": ("", "nope", "a b", None)}),
    Endpoint(2, "DELETE", "registered-models/alias", lambda w: _model_call(w, alias=w.pick(v.ALIASES)), {**_MODEL, "alias": v.BAD_ALIASES}),
    Endpoint(8, "POST", "model-versions/create", lambda w: _model_call(w, **w.source(), **w.maybe(0.3, description=w.pick(v.DESCRIPTIONS), tags=w.once(w.tag), run_link=w.pick(("", "https://x/y")))), {**_MODEL, **_TAGS, "source": ("", None, 5, "file:///x", "/tmp/x", "../x", "models:/nope/1", "models:/m1", "models:/", "runs:/", "runs:/nope/x", "models:/m1@nope"), "run_id": (5, "nope"), "description": v.BAD_VALUES}),
    Endpoint(4, "GET", "model-versions/get", _version_call, _VERSION),
    Endpoint(5, "GET", "model-versions/search", lambda w: w.asked(VERSIONS), {"max_results": (-1, 0, 200_001, "x"), "page_token": v.PAGE_TOKENS}, VERSIONS),
    Endpoint(2, "GET", "model-versions/get-download-uri", _version_call, _VERSION),
    Endpoint(2, "PATCH", "model-versions/update", lambda w: _version_call(w, **w.maybe(0.8, description=w.pick(v.DESCRIPTIONS))), {**_VERSION, "description": v.BAD_VALUES}),
    Endpoint(4, "POST", "model-versions/transition-stage", lambda w: _version_call(w, stage=w.pick(v.STAGES), **w.maybe(0.6, archive_existing_versions=w.pick((True, False)))), {**_VERSION, "stage": v.BAD_STAGES, "archive_existing_versions": ("x", 5, None)}),
    Endpoint(3, "POST", "model-versions/set-tag", lambda w: _version_call(w, **w.tag()), {**_VERSION, "key": v.BAD_KEYS, "value": v.BAD_VALUES}),
    Endpoint(2, "DELETE", "model-versions/delete-tag", lambda w: _version_call(w, key=w.pick(v.TAG_KEYS)), {**_VERSION, "key": v.BAD_KEYS}),
    Endpoint(1, "DELETE", "model-versions/delete", _version_call, _VERSION),
)  # fmt: skip
_BY_NAME = {endpoint.name: endpoint for endpoint in _ENDPOINTS}
ENDPOINTS = tuple(_BY_NAME)


def scenario(seed: int, number: int, length: int = 22) -> list[Step]:
    """The steps of one scenario."""
    return Writer(seed, number).scenario(length)
