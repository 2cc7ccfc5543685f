"""A fault at every call of AWS that a write makes: none leaves half of it, and its repeat ends as one undisturbed call.

Each write of the protocol has a scenario; a write without one fails `test_every_write_has_a_scenario`. The calls that it
makes are counted first; then each is struck in turn, by each kind of trouble, from the same records.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.tracking.routes import ROUTES
from tests.unit.tracking.sandbox import NOW, Answer, Sandbox, Send, Trouble, lost, refused, said
from tests.unit.tracking.world import POINTS, World, build

ATTEMPTS = 4  # of the SDK at one call
_ARTIFACTS = "/2.0/mlflow-artifacts/"
# What changes nothing that the API tells: searches by POST, addresses in S3, and uploads until they are complete.
READS = {
    ("POST", "experiments/search"),
    ("POST", "experiments/search-datasets"),
    ("POST", "runs/search"),
    ("POST", "logged-models/search"),
    ("POST", "registered-models/get-latest-versions"),
    ("POST", "artifacts/presigned-download-url"),
    ("POST", "artifacts/presigned-upload-url"),
    ("PUT", _ARTIFACTS + "artifacts/{artifact_path...}"),
    ("POST", _ARTIFACTS + "mpu/create/{artifact_path...}"),
    ("POST", _ARTIFACTS + "mpu/abort/{artifact_path...}"),
}
IN_DYNAMODB = ("PutItem", "DeleteItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem")
IN_S3 = ("PutObject", "DeleteObjects", "CompleteMultipartUpload")
KEY = "the-call"
_IDENTIFIER = re.compile(rf"{NOW.timestamp() * 1000:.0f}\d{{5}}|\b[0-9a-f]{{64}}\b|\b[0-9a-f]{{32}}\b")
MODEL_JSON = json.dumps({"run_id": "r", "artifact_path": "m", "utc_time_created": "t", "flavors": {"f": {}}})


Body = Callable[[World], dict[str, Any]]

# What is called, by method and template of its path; another path than the template where that names something.
SCENARIOS: dict[tuple[str, str], Body] = {
    ("POST", "experiments/create"): lambda w: {"name": "new", "tags": [{"key": "a", "value": "b"}]},
    ("POST", "experiments/delete"): lambda w: {"experiment_id": w.first},
    ("POST", "experiments/restore"): lambda w: {"experiment_id": w.deleted_experiment},
    ("POST", "experiments/update"): lambda w: {"experiment_id": w.first, "new_name": "renamed"},
    ("POST", "experiments/set-experiment-tag"): lambda w: {"experiment_id": w.first, "key": "t", "value": "2"},
    ("POST", "experiments/delete-experiment-tag"): lambda w: {"experiment_id": w.first, "key": "t"},
    ("POST", "runs/create"): lambda w: {
        "experiment_id": w.first,
        "start_time": 5,
        "run_name": "new",
        "tags": [{"key": "a", "value": "b"}],
    },
    ("POST", "runs/update"): lambda w: {"run_id": w.run, "status": "FINISHED", "end_time": 9, "run_name": "other"},
    ("POST", "runs/delete"): lambda w: {"run_id": w.run},
    ("POST", "runs/restore"): lambda w: {"run_id": w.deleted_run},
    ("POST", "runs/log-metric"): lambda w: {
        "run_id": w.run,
        "key": "m0",
        "value": 9,
        "timestamp": 9,
        "step": 9,
    },
    ("POST", "runs/log-parameter"): lambda w: {"run_id": w.run, "key": "q", "value": "2"},
    ("POST", "runs/set-tag"): lambda w: {"run_id": w.run, "key": "t", "value": "2"},
    ("POST", "runs/delete-tag"): lambda w: {"run_id": w.run, "key": "t"},
    ("POST", "runs/log-batch"): lambda w: {
        "run_id": w.run,
        "metrics": [*({**point, "step": point["step"] + 50} for point in POINTS), {**POINTS[0], "key": "fresh"}],
        "params": [{"key": f"p{n}", "value": "v" * 3000} for n in range(12)],
        "tags": [{"key": "t", "value": "3"}, {"key": "mlflow.runName", "value": "renamed"}],
    },
    ("POST", "runs/log-inputs"): lambda w: {
        "run_id": w.run,
        "datasets": [
            {
                "dataset": {"name": f"d{n}", "digest": "1", "source_type": "s", "source": "x"},
                "tags": [{"key": "mlflow.data.context", "value": "training"}],
            }
            for n in range(2)
        ],
        "models": [{"model_id": w.logged}],
    },
    ("POST", "runs/outputs"): lambda w: {"run_id": w.run, "models": [{"model_id": w.logged, "step": 1}]},
    ("POST", "runs/log-model"): lambda w: {"run_id": w.run, "model_json": MODEL_JSON},
    ("POST", "logged-models"): lambda w: {
        "experiment_id": w.first,
        "name": "new",
        "source_run_id": w.run,
        "params": [{"key": "a", "value": "b"}],
        "tags": [{"key": "a", "value": "b"}],
    },
    ("PATCH", "logged-models/{model_id}"): lambda w: {"model_id": w.logged, "status": "LOGGED_MODEL_READY"},
    ("DELETE", "logged-models/{model_id}"): lambda w: {"model_id": w.logged},
    ("PATCH", "logged-models/{model_id}/tags"): lambda w: {
        "model_id": w.logged,
        "tags": [{"key": "t", "value": "2"}, {"key": "u", "value": "1"}],
    },
    ("DELETE", "logged-models/{model_id}/tags/{tag_key...}"): lambda w: {"model_id": w.logged, "tag_key": "t"},
    ("POST", "logged-models/{model_id}/params"): lambda w: {
        "model_id": w.logged,
        "params": [{"key": "q", "value": "1"}],
    },
    ("POST", "registered-models/create"): lambda w: {
        "name": "new",
        "description": "d",
        "tags": [{"key": "a", "value": "b"}],
    },
    ("POST", "registered-models/rename"): lambda w: {"name": "model", "new_name": "other"},
    ("PATCH", "registered-models/update"): lambda w: {"name": "model", "description": "new"},
    ("DELETE", "registered-models/delete"): lambda w: {"name": "model"},
    ("POST", "registered-models/set-tag"): lambda w: {"name": "model", "key": "t", "value": "2"},
    ("DELETE", "registered-models/delete-tag"): lambda w: {"name": "model", "key": "t"},
    ("POST", "registered-models/alias"): lambda w: {"name": "model", "alias": "champion", "version": "2"},
    ("DELETE", "registered-models/alias"): lambda w: {"name": "model", "alias": "champion"},
    ("POST", "model-versions/create"): lambda w: {
        "name": "model",
        "source": f"models:/{w.logged}",
        "run_id": w.run,
        "model_id": w.logged,
        "tags": [{"key": "a", "value": "b"}],
    },
    ("PATCH", "model-versions/update"): lambda w: {"name": "model", "version": "1", "description": "new"},
    ("POST", "model-versions/transition-stage"): lambda w: {
        "name": "model",
        "version": "2",
        "stage": "Production",
    },
    ("POST", "model-versions/set-tag"): lambda w: {"name": "model", "version": "1", "key": "t", "value": "2"},
    ("DELETE", "model-versions/delete-tag"): lambda w: {"name": "model", "version": "1", "key": "t"},
    ("DELETE", "model-versions/delete"): lambda w: {"name": "model", "version": "1"},
    ("POST", "upload-artifact"): lambda w: {"run_uuid": w.run, "path": "a note.txt"},
    ("DELETE", _ARTIFACTS + "artifacts/{artifact_path...}"): lambda w: {"artifact_path": w.loose.partition("/")[2]},
    ("POST", _ARTIFACTS + "mpu/complete/{artifact_path...}"): lambda w: {
        "artifact_path": f"{w.first}/{w.run}/artifacts",
        "path": "whole.bin",
    },
}


TRANSITION = ("POST", "model-versions/transition-stage")


def _with_model(world: World) -> dict[str, Any]:
    return {**SCENARIOS["POST", "runs/log-metric"](world), "model_id": world.logged}


def _archiving(world: World) -> dict[str, Any]:
    return {**SCENARIOS[TRANSITION](world), "archive_existing_versions": True}


def writes() -> list[tuple[str, str]]:
    """Served endpoints that change something: method, and path below /2.0/mlflow/."""
    served = [(method, path.removeprefix("/2.0/mlflow/")) for method, path in ROUTES if method != "GET"]
    return [endpoint for endpoint in served if endpoint not in READS]


def kinds(operations: list[str], number: int) -> Iterator[tuple[str, Trouble]]:
    """The trouble that can happen to the call `number` of those that an undisturbed request makes."""
    operation = operations[number]

    def at(times: int, strike: Callable[[str, Any, Send], Any]) -> Trouble:
        def struck(attempt: int, name: str, request: Any, send: Send) -> Any:
            if number <= attempt < number + times:
                trouble.struck += 1
                return strike(name, request, send)
            return send()

        trouble = Trouble(struck)
        return trouble

    def after(operation: str, request: Any, send: Send) -> Any:
        send()
        return refused("InternalServerError", operation, request)

    def lose(operation: str, request: Any, send: Send) -> Any:
        send()
        return lost(request)

    not_done = [
        ("throttled", at(ATTEMPTS, lambda op, request, send: refused("ThrottlingException", op, request))),
        ("reset", at(ATTEMPTS, lambda op, request, send: lost(request))),
        ("server error", at(ATTEMPTS, lambda op, request, send: refused("InternalServerError", op, request))),
    ]
    if operation in ("BatchGetItem", "BatchWriteItem"):
        yield "left over", at(1, _left_over)
        yield "all left over", at(1000, _left_over)
    if operation not in IN_DYNAMODB + IN_S3:
        yield not_done[number % len(not_done)]  # a read does nothing: one of them each
        return
    yield from not_done
    yield "answer lost once", at(1, lose)
    yield "answers lost", at(ATTEMPTS, lose)
    yield "server error after it was done", at(ATTEMPTS, after)
    if operation in IN_DYNAMODB and operation != "BatchWriteItem":
        yield "conflict", at(1, _conflict)
        yield "conflicts", at(1000, _conflict)


def _conflict(operation: str, request: Any, send: Send) -> Any:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""
    if operation not in ("PutItem", "DeleteItem", "UpdateItem", "TransactWriteItems"):
        return send()
    if operation != "TransactWriteItems":
        return refused("TransactionConflictException", operation, request)
    others = len(json.loads(request.body)["TransactItems"]) - 1
    reasons = [{"Code": "TransactionConflict", "Message": "busy"}, *[{"Code": "None"}] * others]
    return refused("TransactionCanceledException", operation, request, CancellationReasons=reasons)


def _left_over(operation: str, request: Any, send: Send) -> Any:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
    asked = json.loads(request.body)["RequestItems"] if operation in ("BatchGetItem", "BatchWriteItem") else None
    if asked is None:
        return send()
    if operation == "BatchGetItem":
        return said(request, {"Responses": {}, "UnprocessedKeys": asked})
    return said(request, {"UnprocessedItems": asked})


class Sweep:
    """The records before each call, and one write after the other on them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.world = build(sandbox)
        self._kept = sandbox.keep()
        self._told: dict[str, str] = {}
        self._known = set(_IDENTIFIER.findall(json.dumps(sandbox.state())))
        self._before = self._state()

    def __call__(self, method: str, template: str, body: Body | None = None) -> list[str]:
        """Every call of AWS, struck by everything: what went wrong."""
        self._body = body or SCENARIOS[method, template]
        counting = Trouble()
        undisturbed = self._call(method, template, counting, self._begin(template))
        undisturbed.ok()
        after = self._state()
        assert after != self._before, "the scenario changes nothing"
        wrong = []
        for number in range(len(counting.seen)):
            for kind, trouble in kinds(counting.seen, number):
                where = f"call {number} of {counting.seen}, {kind}: "
                wrong += [where + problem for problem in self._problems(method, template, trouble, undisturbed, after)]
        return wrong

    def _problems(self, method: str, template: str, trouble: Trouble, undisturbed: Answer, after: str) -> Iterator[str]:
        more = self._begin(template)
        answer = self._call(method, template, trouble, more)
        assert trouble.struck
        if answer.status != 200 and (answer.status, answer.headers.get("retry-after")) != (429, "1"):
            yield f"answers {answer}"
        found = self._state()
        if found not in ([after] if answer.status == 200 else [self._before, after]):
            yield f"{answer.status}, and leaves {_difference(self._before if answer.status != 200 else after, found)}"
        again = self._call(method, template, Trouble(), more)
        if self._plain(str(again)) != self._plain(str(undisturbed)):
            yield f"repeated it answers {again} instead of {undisturbed}"
        if (found := self._state()) != after:
            yield f"repeated it leaves {_difference(after, found)}"

    def _begin(self, path: str) -> dict[str, Any]:
        """The records as they were before; what the call then names of what is new each time."""
        self._sandbox.put_back(self._kept)
        if "mpu/complete" not in path:
            return {}
        place = self._body(self.world)
        return self._sandbox.upload(place["artifact_path"], place["path"])

    def _call(self, method: str, template: str, trouble: Trouble, more: dict[str, Any]) -> Answer:
        body = {**self._body(self.world), **more}
        path = template.replace("...}", "}").format(**body) if "{" in template else template
        path = f"/api{path}" if path.startswith("/") else path
        if path == "upload-artifact":
            path, body = f"{path}?{urlencode(body)}", {"any": "bytes"}
        return self._sandbox.call(method, path, body, key=KEY, trouble=trouble)

    def _state(self) -> str:
        records = self._sandbox.records() + str(self._sandbox.files())
        if records not in self._told:
            self._told[records] = self._plain(json.dumps(self._sandbox.state(), sort_keys=True, indent=0))
        return self._told[records]

    def _plain(self, text: str) -> str:
        """Lines without order, and without what is random in new identifiers and hashes."""
        masked = _IDENTIFIER.sub(lambda found: found[0] if found[0] in self._known else "new", text)
        return "\n".join(sorted(masked.splitlines()))


def _difference(wanted: str, found: str) -> str:
    lines, others = Counter(wanted.splitlines()), Counter(found.splitlines())
    return f"{[*(others - lines)][:6]} instead of {[*(lines - others)][:6]}"


@pytest.fixture(scope="module")
def sweep() -> Iterator[Sweep]:
    with Sandbox().running() as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runs, "keep_pace", lambda runs, new: None)  # by chance, it would pack: see test_packing.py
        yield Sweep(sandbox)


def test_every_write_has_a_scenario() -> None:
    assert sorted(writes()) == sorted(SCENARIOS)


@pytest.mark.parametrize(("method", "path"), [pytest.param(*one, id=" ".join(one)) for one in writes()])
def test_a_fault_at_every_call(sweep: Sweep, method: str, path: str) -> None:
    assert sweep(method, path) == []


@pytest.mark.parametrize(("endpoint", "body"), [(("POST", "runs/log-metric"), _with_model), (TRANSITION, _archiving)])
def test_a_fault_where_more_than_one_record_changes(sweep: Sweep, endpoint: tuple[str, str], body: Body) -> None:
    assert sweep(*endpoint, body) == []
