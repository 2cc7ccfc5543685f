"""Whatever is repeated or lost, and however many write at once: the ledger holds what a dictionary would hold."""

from __future__ import annotations

import math
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tracking.sandbox import Answer, Sandbox, Send, Trouble, lost, refused

WRITERS = 24
_sleep = time.sleep  # the sandbox takes it away

Point = tuple[int, int, float]  # timestamp, step, value: the order of a history
KEYS = ("loss", "a/b", "ü x")


@dataclass
class Run:
    """What a run is, in a dictionary."""

    status: str = "RUNNING"
    end_time: int | None = None
    active: bool = True
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: dict[str, set[Point]] = field(default_factory=lambda: defaultdict(set))

    def apply(self, path: str, body: dict[str, Any]) -> int:
        """Status of the answer."""
        if path in ("delete", "restore"):
            self.active = path == "restore"
            return 200
        if not self.active:
            return 400
        match path:
            case "update":
                self.status, self.end_time = body["status"], body.get("end_time", self.end_time)
                if name := body.get("run_name"):
                    self.tags["mlflow.runName"] = name
            case "log-parameter":
                return self.log(params=[body])
            case "set-tag":
                return self.log(tags=[body])
            case "delete-tag":
                return 404 if self.tags.pop(body["key"], None) is None else 200
            case "log-metric":
                return self.log(metrics=[body])
            case _:
                return self.log(body["metrics"], body["params"], body["tags"])
        return 200

    def log(self, metrics: Any = (), params: Any = (), tags: Any = ()) -> int:
        if any(self.params.get(param["key"], param["value"]) != param["value"] for param in params):
            return 400
        self.params |= {param["key"]: param["value"] for param in params}
        self.tags |= {tag["key"]: tag["value"] for tag in tags}
        for metric in metrics:
            self.points[metric["key"]].add((metric["timestamp"], metric["step"], float(metric["value"])))
        return 200

    def doc(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "end_time": self.end_time,
            "active": self.active,
            "params": self.params,
            "tags": self.tags,
            "latest": {key: max(found, key=_rank) for key, found in self.points.items()},
            "points": {key: sorted(found) for key, found in self.points.items()},
        }


def _rank(point: Point) -> tuple[int, int, float]:
    timestamp, step, value = point
    return step, timestamp, value


def stored(sandbox: Sandbox, run_id: str) -> dict[str, Any]:
    """The same of what the API tells."""
    run = sandbox.call("GET", "runs/get", {"run_id": run_id}).ok()["run"]
    info, data = run["info"], run["data"]
    tags = {tag["key"]: tag["value"] for tag in data.get("tags", [])}
    tags.pop("mlflow.user", None)
    return {
        "status": info["status"],
        "end_time": info.get("end_time"),
        "active": info["lifecycle_stage"] == "active",
        "params": {param["key"]: param["value"] for param in data.get("params", [])},
        "tags": tags,
        "latest": {metric["key"]: _point(metric) for metric in data.get("metrics", [])},
        "points": {metric["key"]: _history(sandbox, run_id, metric["key"]) for metric in data.get("metrics", [])},
    }


def _history(sandbox: Sandbox, run_id: str, key: str) -> list[Point]:
    found: list[Point] = []
    token: dict[str, str] = {}
    while True:
        page = sandbox.call("GET", "metrics/get-history", {"run_id": run_id, "metric_key": key, **token}).ok()
        found += [_point(metric) for metric in page["metrics"]]
        if not page.get("next_page_token"):
            return found
        token = {"page_token": page["next_page_token"]}


def _point(metric: dict[str, Any]) -> Point:
    return metric["timestamp"], metric["step"], float(metric["value"])


POINTS = st.builds(
    lambda key, value, timestamp, step: {"key": key, "value": value, "timestamp": timestamp, "step": step},
    st.sampled_from(KEYS),
    st.sampled_from([0.5, 1, -1.5, 1e300, 1e-300]),
    st.integers(0, 3),
    st.integers(-2, 3),
)
PARAMS = st.builds(lambda key, value: {"key": key, "value": value}, st.sampled_from(KEYS), st.sampled_from(["1", "ß"]))
TAGS = st.builds(
    lambda key, value: {"key": key, "value": value}, st.sampled_from([*KEYS, "mlflow.runName"]), st.sampled_from("xyz")
)
CALLS = st.one_of(
    st.builds(lambda p: ("log-metric", p), POINTS),
    st.builds(lambda p: ("log-parameter", p), PARAMS),
    st.builds(lambda t: ("set-tag", t), TAGS),
    st.builds(lambda key: ("delete-tag", {"key": key}), st.sampled_from(KEYS)),
    st.builds(
        lambda metrics, params, tags: ("log-batch", {"metrics": metrics, "params": params, "tags": tags}),
        st.lists(POINTS, max_size=30),
        st.lists(PARAMS, max_size=3, unique_by=lambda param: param["key"]),
        st.lists(TAGS, max_size=3),
    ),
    st.builds(
        lambda status, end: ("update", {"status": status, **({"end_time": end} if end else {})}),
        st.sampled_from(["RUNNING", "FINISHED", "FAILED"]),
        st.integers(0, 3),
    ),
    st.builds(lambda name: ("update", {"status": "KILLED", "run_name": name}), st.sampled_from("pq")),
    st.sampled_from([("delete", {}), ("restore", {}), ("restore", {})]),
)
# The attempts before the last: at which call of AWS the trouble begins, and of what kind.
TROUBLES = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["lost", "reset", "throttled", "answer"])), max_size=2)


def _trouble(begin: int, kind: str) -> Trouble:
    def strike(number: int, operation: str, request: Any, send: Send) -> Any:
        if number < begin or kind == "answer":  # "answer": all goes well, and the caller never hears of it
            return send()
        if kind == "throttled":
            return refused("ThrottlingException", operation, request)
        if kind == "lost":
            send()
        return lost(request)

    return Trouble(strike)


def insist(sandbox: Sandbox, path: str, body: dict[str, Any], key: str, troubles: list[Trouble]) -> Answer:
    """Call, and call again, as a client does that gets no answer."""
    for trouble in troubles:
        answer = sandbox.call("POST", path, body, key=key, trouble=trouble)
        assert answer.status in (200, 400, 404, 429), answer
    for _ in range(100):
        answer = sandbox.call("POST", path, body, key=key)
        if answer.status != 429:
            return answer
    raise AssertionError(f"{path} stays throttled")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox().running() as sandbox:
        yield sandbox


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, 1), CALLS, TROUBLES), max_size=14))
def test_repeated_and_lost_calls_count_once(
    sandbox: Sandbox, calls: list[tuple[int, tuple[str, dict[str, Any]], list[tuple[int, str]]]]
) -> None:
    sandbox.put_back((({}, {}), []))
    models, ids = [Run(), Run()], []
    for number, model in enumerate(models):
        body = {"experiment_id": "0", "start_time": number, "run_name": str(number)}
        before = [_trouble(number, "lost"), _trouble(0, "answer")]
        ids.append(insist(sandbox, "runs/create", body, f"create {number}", before).ok()["run"]["info"]["run_id"])
        model.tags["mlflow.runName"] = str(number)
    for number, (which, (path, body), troubles) in enumerate(calls):
        expected = models[which].apply(path, body)
        asked = {"run_id": ids[which], **body}
        answer = insist(sandbox, f"runs/{path}", asked, f"call {number}", [_trouble(*trouble) for trouble in troubles])
        assert answer.status == expected, (path, body, answer)
    for run_id, model in zip(ids, models, strict=True):
        assert stored(sandbox, run_id) == model.doc()
    listed = sandbox.call("POST", "runs/search", {"experiment_ids": ["0"], "run_view_type": "ALL"}).ok()["runs"]
    assert {run["info"]["run_id"] for run in listed} == set(ids)
    assert len(listed) == 2


def _storm(seed: int, writer: int) -> Iterator[Trouble]:
    """Troubles without end, few of them fatal to a call."""
    dice = random.Random(f"{seed} {writer}")

    def strike(number: int, operation: str, request: Any, send: Send) -> Any:
        _sleep(0)  # let another writer go first
        chance = dice.random()
        if chance < 0.03:
            return lost(request)
        if chance < 0.06:
            send()
            return lost(request)
        if chance < 0.09:
            return refused("ThrottlingException", operation, request)
        return send()

    while True:
        yield Trouble(strike)


@pytest.mark.parametrize("seed", [1])
def test_24_writers_at_once_lose_nothing_and_double_nothing(sandbox: Sandbox, seed: int) -> None:
    sandbox.put_back((({}, {}), []))
    experiment = sandbox.call("POST", "experiments/create", {"name": f"storm {seed}"}).ok()["experiment_id"]
    runs = [
        sandbox.call("POST", "runs/create", {"experiment_id": experiment, "start_time": n, "run_name": str(n)}).ok()
        for n in range(2)
    ]
    ids = [run["run"]["info"]["run_id"] for run in runs]
    models = [Run(), Run()]
    lock = threading.Lock()
    created: list[str] = []

    def write(writer: int) -> None:
        dice = random.Random(f"{seed} {writer} calls")
        troubles = _storm(seed, writer)
        for number in range(4):
            which = dice.randrange(2)
            path, body = _written(dice, writer, number)
            if path == "create":
                body = {"experiment_id": experiment, "start_time": 9, **body}
            asked = body if path == "create" else {"run_id": ids[which], **body}
            answer = _until_answered(sandbox, f"runs/{path}", asked, f"{writer} {number}", troubles)
            with lock:
                if path == "create":
                    created.append(answer.ok()["run"]["info"]["run_id"])
                else:
                    answer.ok()
                    assert models[which].apply(path, body) == 200

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(WRITERS)))
    finally:
        sys.setswitchinterval(interval)
    for number, (run_id, model) in enumerate(zip(ids, models, strict=True)):
        model.tags["mlflow.runName"] = str(number)
        found = stored(sandbox, run_id)
        found["tags"].pop("last"), model.tags.pop("last")  # who was last is nobody's to say
        assert found == model.doc()
    listed = sandbox.call("POST", "runs/search", {"experiment_ids": [experiment]}).ok()["runs"]
    assert sorted(run["info"]["run_id"] for run in listed) == sorted([*ids, *created])
    for run_id in created:
        assert stored(sandbox, run_id)["tags"]["mlflow.runName"] == "created"


def _written(dice: random.Random, writer: int, number: int) -> tuple[str, dict[str, Any]]:
    """What a writer sends: points of keys that all write, parameters and tags of its own, and one tag that all set."""

    def point() -> dict[str, Any]:
        value = round(dice.uniform(-9, 9), 3)
        return {"key": dice.choice(KEYS), "value": value, "timestamp": dice.randrange(5), "step": dice.randrange(50)}

    if number == 0:
        return "create", {"run_name": "created"}
    if number == 1:
        return "log-metric", point()
    return "log-batch", {
        "metrics": [point() for _ in range(dice.randrange(40))],
        "params": [{"key": f"p{writer}.{number}", "value": str(writer)}, {"key": "shared", "value": "same"}],
        "tags": [{"key": f"t{writer}", "value": str(number)}, {"key": "last", "value": str(writer)}],
    }


def _until_answered(sandbox: Sandbox, path: str, body: dict[str, Any], key: str, troubles: Iterator[Trouble]) -> Answer:
    for _ in range(200):
        answer = sandbox.call("POST", path, body, key=key, trouble=next(troubles))
        if answer.status != 429:
            return answer
    raise AssertionError(f"{path} stays throttled")


def test_a_point_that_is_not_a_number_or_not_finite_is_kept_once(sandbox: Sandbox) -> None:
    sandbox.put_back((({}, {}), []))
    run_id = sandbox.call("POST", "runs/create", {"experiment_id": "0"}).ok()["run"]["info"]["run_id"]
    metrics = [
        {"key": "m", "value": value, "timestamp": 1, "step": 1} for value in ("NaN", "Infinity", "-Infinity", 0, "NaN")
    ]
    for attempt in range(3):
        body = {"run_id": run_id, "metrics": metrics}
        insist(sandbox, "runs/log-batch", body, "key", [_trouble(attempt, "lost")]).ok()
    found = _history(sandbox, run_id, "m")
    assert len(found) == 4
    assert sum(math.isnan(value) for _, _, value in found) == 1
