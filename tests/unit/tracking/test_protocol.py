"""The protocol's answers: shapes, codes, and that no user's mistake is ever a 5xx."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labcycle_lambdas.ledger import packs
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.tracking import run_search
from labcycle_lambdas.tracking.routes import ROUTES
from labcycle_lambdas.tracking.unserved import UNSERVED
from tests.unit.tracking.conftest import BUCKET, Api
from tests.unit.tracking.server import ACCOUNT, member

INVALID = (400, "INVALID_PARAMETER_VALUE")
MISSING = (404, "RESOURCE_DOES_NOT_EXIST")
STRANGER = f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/ada"


def model(api: Api, name: str = "cards", files: tuple[str, ...] = ("MLmodel", "model.onnx")) -> str:
    """A registered model with one version; returns the run's artifact folder of the model."""
    run_id = api.run()
    prefix = f"experiments/0/{run_id}/artifacts/model"
    for file in files:
        api.file(f"{prefix}/{file}", file.encode())
    api.ok("POST", "registered-models/create", {"name": name})
    api.ok("POST", "model-versions/create", {"name": name, "source": f"s3://{BUCKET}/{prefix}", "run_id": run_id})
    return f"s3://{BUCKET}/{prefix}"


def test_every_route_answers_on_both_bases_and_tells_what_is_missing(api: Api) -> None:
    for method, path in ROUTES:
        if path.startswith("/2.0"):
            filled = path.replace("{model_id}", "m-" + "0" * 32)
            filled = filled.replace("{tag_key...}", "k").replace("{artifact_path...}", "a/b")
            for base in ("/api", "/ajax-api"):
                status, doc = api.call(method, base + filled, None)
                assert status in (200, 307, 400, 404), (method, path, doc)
                assert status in (200, 307) or {"error_code", "message"} == set(doc)


def test_what_is_not_served_says_so(api: Api) -> None:
    for method, path in UNSERVED:
        status, doc = api.call(method, "/api" + path.replace("{", "x").replace("...}", "/y").replace("}", ""), None)
        assert (status, doc["error_code"]) == (501, "NOT_IMPLEMENTED"), (method, path)
        assert "labcycle" in doc["message"]
    for method, path in (
        ("GET", "/api/2.0/mlflow/nothing"),
        ("PUT", "/api/2.0/mlflow/runs/create"),
        ("GET", "/favicon.ico"),
    ):
        assert api.fails(method, path)[:2] == (404, "ENDPOINT_NOT_FOUND")


def test_what_the_server_says_of_itself(api: Api) -> None:
    assert api.ok("GET", "/version") == "3.17.2"
    assert api.ok("GET", "/health") == "OK"
    assert api.ok("GET", "/api/3.0/mlflow/server-info")["workspaces_enabled"] is False


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("runs/create", b"{not json", (400, "BAD_REQUEST")),
        ("runs/create", b"[]", (400, "BAD_REQUEST")),
        ("runs/create", b"\xff", (400, "BAD_REQUEST")),
        ("runs/create", b"[" * 100_000, (400, "BAD_REQUEST")),
        ("runs/create", b'{"experiment_id":"0","start_time":' + b"9" * 5000 + b"}", (400, "BAD_REQUEST")),
        ("runs/create", {}, INVALID),
        ("runs/create", {"experiment_id": "abc"}, INVALID),
        ("runs/create", {"experiment_id": "99"}, MISSING),
        ("runs/create", {"experiment_id": "0", "start_time": 1.5}, INVALID),
        ("runs/create", {"experiment_id": "0", "start_time": 2**63}, INVALID),
        ("runs/create", {"experiment_id": "0", "tags": "x"}, INVALID),
        ("runs/create", {"experiment_id": "0", "tags": [1]}, INVALID),
        ("runs/create", {"experiment_id": "0", "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}, INVALID),
        ("runs/create", {"experiment_id": "0", "tags": [{"key": "labcycle.user", "value": "forged"}]}, INVALID),
        ("experiments/create", {"name": ""}, INVALID),
        ("experiments/create", {"name": 7}, INVALID),
        ("experiments/create", {"name": "x" * 501}, INVALID),
        ("experiments/create", {"name": "\ud800"}, INVALID),
        ("experiments/create", {"name": "Default", "tags": []}, (400, "RESOURCE_ALREADY_EXISTS")),
        ("experiments/create", {"name": "e", "artifact_location": "s3://elsewhere/x"}, INVALID),
        ("experiments/create", {"name": "e", "artifact_location": f"s3://{BUCKET}/experiments/../data"}, INVALID),
        ("experiments/create", {"name": "e", "tags": [{"key": "k", "value": "x" * 20_001}]}, INVALID),
        ("experiments/search", {}, INVALID),
        ("experiments/search", {"max_results": 50_001}, INVALID),
        ("experiments/search", {"max_results": 1, "filter": "nothing = 'x'"}, INVALID),
        ("experiments/search", {"max_results": 1, "order_by": ["tags.a"]}, INVALID),
        ("runs/search", {"experiment_ids": ["x"]}, INVALID),
        ("runs/search", {"experiment_ids": ["0"], "max_results": 0}, INVALID),
        ("runs/search", {"experiment_ids": ["0"], "filter": "params.a = 1"}, INVALID),
        ("runs/search", {"experiment_ids": ["0"], "filter": "metrics.a = 'x'"}, INVALID),
        ("runs/search", {"experiment_ids": ["0"], "filter": "lifecycle_stage = 'active'"}, INVALID),
        ("runs/search", {"experiment_ids": ["0"], "filter": "what.a = 'x'"}, INVALID),
        ("runs/search", {"experiment_ids": ["0"], "order_by": ["dataset.name"]}, INVALID),
        ("runs/search", {"experiment_ids": ["0"], "page_token": "x"}, INVALID),
        ("runs/search", {"experiment_ids": ["0"], "page_token": "eyJvZmZzZXQiOiAwfQ=="}, INVALID),
        ("runs/update", {"run_id": "0" * 32}, MISSING),
        ("runs/update", {"run_id": "a b"}, MISSING),
        ("runs/log-metric", {"run_id": "0" * 32, "key": "m", "value": 1, "timestamp": 1}, MISSING),
        ("runs/log-metric", {"run_id": "0" * 32, "key": "m", "value": "x", "timestamp": 1}, INVALID),
        ("runs/log-metric", {"run_id": "0" * 32, "key": "m", "value": 1, "timestamp": -1}, INVALID),
        ("runs/log-metric", {"run_id": "0" * 32, "key": "a//b", "value": 1, "timestamp": 1}, INVALID),
        ("runs/log-metric", {"run_id": "0" * 32, "key": "😀", "value": 1, "timestamp": 1}, INVALID),
        ("runs/log-parameter", {"run_id": "0" * 32, "key": "k" * 251, "value": "v"}, INVALID),
        ("runs/log-parameter", {"run_id": "0" * 32, "key": "k", "value": 3}, INVALID),
        ("runs/log-batch", {"run_id": "0" * 32, "metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 1001}, INVALID),
        ("runs/log-batch", {"run_id": "0" * 32, "params": [{"key": "p", "value": "1"}] * 2}, INVALID),
        ("logged-models", {"experiment_id": "0", "name": "a/b"}, INVALID),
        ("logged-models", {"experiment_id": "99"}, MISSING),
        ("logged-models/search", {}, INVALID),
        ("registered-models/create", {"name": "a/b"}, INVALID),
        ("registered-models/create", {"name": "  "}, INVALID),
        ("registered-models/create", {"name": "x" * 257}, INVALID),
        ("registered-models/alias", {"name": "m", "alias": "latest", "version": "1"}, INVALID),
        ("registered-models/alias", {"name": "m", "alias": "v3", "version": "1"}, INVALID),
        ("registered-models/alias", {"name": "m", "alias": "a b", "version": "1"}, INVALID),
        ("registered-models/alias", {"name": "m", "alias": "champion", "version": "abc"}, INVALID),
        ("registered-models/alias", {"name": "m", "alias": "champion", "version": "1"}, MISSING),
        ("model-versions/create", {"name": "m", "source": "s3://x/y"}, INVALID),
        ("metrics/get-history", None, (404, "ENDPOINT_NOT_FOUND")),
    ],
)  # fmt: skip
def test_a_users_mistake(api: Api, path: str, body: Any, code: tuple[int, str]) -> None:
    assert api.fails("POST", path, body)[:2] == code


@pytest.mark.parametrize(
    ("path", "body", "longest"),
    [
        ("runs/create", {"experiment_id": "0"}, 8_000),
        ("experiments/create", {"name": "e"}, 20_000),
        ("registered-models/create", {"name": "m"}, 100_000),
        ("logged-models", {"experiment_id": "0"}, 8_000),
    ],
)
def test_more_than_can_be_written_at_once_is_refused_or_kept_whole(
    api: Api, path: str, body: dict[str, Any], longest: int
) -> None:
    tags = [{"key": f"t{n}", "value": "x" * longest} for n in range(4_400_000 // longest)]
    status, doc = api.call("POST", path, {**body, "tags": tags})
    assert status in (200, 400), doc
    assert status == 200 or "at once" in doc["message"]


def test_a_tag_of_a_logged_model_may_hold_slashes(api: Api) -> None:
    body = {"experiment_id": "0", "tags": [{"key": "a/b c", "value": "1"}]}
    model_id = api.ok("POST", "logged-models", body)["model"]["info"]["model_id"]
    api.ok("DELETE", f"logged-models/{model_id}/tags/a/b c")
    assert "tags" not in api.ok("GET", f"logged-models/{model_id}")["model"]["info"]


def test_texts_that_clients_rely_on(api: Api) -> None:
    assert (
        api.fails("GET", "experiments/get-by-name", {"experiment_name": "x"})[2]
        == "Could not find experiment with name 'x'"
    )
    api.ok("POST", "registered-models/create", {"name": "m"})
    _, code, said = api.fails("POST", "registered-models/create", {"name": "m"})
    assert (code, said) == ("RESOURCE_ALREADY_EXISTS", "Registered Model (name=m) already exists.")
    _, _, said = api.fails("POST", "runs/log-batch", {"run_id": "r", "metrics": [{"value": 1, "timestamp": 1}]})
    assert said.startswith("Missing value for required parameter 'metrics[0].key'.")
    run_id = api.run()
    api.ok("POST", "runs/log-parameter", {"run_id": run_id, "key": "p", "value": "1"})
    _, _, said = api.fails("POST", "runs/log-parameter", {"run_id": run_id, "key": "p", "value": "2"})
    assert "Param with key='p' was already logged with value='1'" in said
    assert api.fails("GET", "registered-models/alias", {"name": "m", "alias": "zz"}) == (
        *INVALID, "Registered model alias zz not found.",
    )  # fmt: skip


def test_numbers_as_json_may_write_them(api: Api) -> None:
    run_id = api.run()
    for step, value in enumerate(["NaN", "Infinity", "-Infinity", "1e3", 2, 2.5, True]):
        api.ok("POST", "runs/log-metric", {"run_uuid": run_id, "runId": None, "run_id": run_id, "key": "m", "value": value, "timestamp": "12", "step": float(step)})  # fmt: skip
    found = api.ok("GET", "metrics/get-history", {"run_id": run_id, "metric_key": "m"})["metrics"]
    assert sorted(str(point["value"]) for point in found) == sorted(
        ["NaN", "1.7976931348623157e+308", "-1.7976931348623157e+308", "1000.0", "2.0", "2.5", "1.0"]
    )
    assert {point["timestamp"] for point in found} == {12}
    assert api.ok("GET", "runs/get", {"run_id": run_id})["run"]["data"]["metrics"][0]["value"] == 1.0


def test_long_params_and_tags_are_cut_as_the_stock_server_does(api: Api) -> None:
    run_id = api.run()
    api.ok("POST", "runs/log-parameter", {"run_id": run_id, "key": "p", "value": "x" * 7000})
    api.ok("POST", "runs/log-parameter", {"run_id": run_id, "key": "p", "value": "x" * 9000})
    api.ok("POST", "runs/set-tag", {"run_id": run_id, "key": "t", "value": "y" * 9000})
    data = api.ok("GET", "runs/get", {"run_id": run_id})["run"]["data"]
    assert len(data["params"][0]["value"]) == 6000
    assert {tag["key"]: len(tag["value"]) for tag in data["tags"]}["t"] == 8000


def test_an_empty_name_leaves_a_run_its_name(api: Api) -> None:
    run_id = api.run(run_name="first")
    empty = {"key": "mlflow.runName", "value": ""}
    api.ok("POST", "runs/set-tag", {"run_id": run_id, **empty})
    api.ok("POST", "runs/log-batch", {"run_id": run_id, "tags": [empty, {"key": "t", "value": ""}]})
    run = api.ok("GET", "runs/get", {"run_id": run_id})["run"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert (run["info"]["run_name"], tags["mlflow.runName"], tags["t"]) == ("first", "first", "")


def test_who_made_a_run_is_what_the_signature_says(api: Api) -> None:
    body = {"experiment_id": "0", "user_id": "forged", "tags": [{"key": "mlflow.user", "value": "forged"}]}
    for arn, user in ((member("ada"), "ada"), (STRANGER, "Admin/ada")):
        run = api.ok("POST", "runs/create", body, arn=arn)["run"]
        assert run["info"]["user_id"] == user
        assert {"key": "mlflow.user", "value": user} in run["data"]["tags"]


def test_who_is_no_member_may_log_and_read_but_not_change_the_registry(api: Api) -> None:
    source = model(api)
    api.run()
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "registered-models/create", {"name": "other"}),
        ("POST", "registered-models/rename", {"name": "cards", "new_name": "x"}),
        ("PATCH", "registered-models/update", {"name": "cards", "description": "x"}),
        ("DELETE", "registered-models/delete", {"name": "cards"}),
        ("POST", "registered-models/set-tag", {"name": "cards", "key": "a", "value": "b"}),
        ("DELETE", "registered-models/delete-tag", {"name": "cards", "key": "a"}),
        ("POST", "registered-models/alias", {"name": "cards", "alias": "champion", "version": "1"}),
        ("DELETE", "registered-models/alias", {"name": "cards", "alias": "champion"}),
        ("POST", "model-versions/create", {"name": "cards", "source": source}),
        ("PATCH", "model-versions/update", {"name": "cards", "version": "1", "description": "x"}),
        ("POST", "model-versions/transition-stage", {"name": "cards", "version": "1", "stage": "Production"}),
        ("POST", "model-versions/set-tag", {"name": "cards", "version": "1", "key": "a", "value": "b"}),
        ("DELETE", "model-versions/delete-tag", {"name": "cards", "version": "1", "key": "a"}),
        ("DELETE", "model-versions/delete", {"name": "cards", "version": "1"}),
    ]
    before = api.ok("GET", "registered-models/search")
    for arn in (
        STRANGER,
        "",
        member("ada", "growth"),
        f"arn:aws:sts::{ACCOUNT}:assumed-role/labcycle-fraud-ada/forged",
    ):
        for method, path, body in changes:
            assert api.fails(method, path, body, arn=arn)[:2] == (403, "PERMISSION_DENIED"), (arn, path)
        assert api.ok("GET", "registered-models/search", arn=arn)
        assert api.ok("GET", "registered-models/search") == before
        api.ok("POST", "runs/create", {"experiment_id": "0"}, arn=arn)
    served = {(m, p) for m, p in ROUTES if "registered-models/" in p or "model-versions/" in p}
    assert {(m, f"/2.0/mlflow/{p}") for m, p, _ in changes} == {
        (m, p) for m, p in served if m != "GET" and not p.endswith("get-latest-versions")
    }


def test_a_version_pins_the_object_versions_of_its_files(api: Api) -> None:
    source = model(api)
    key = source.removeprefix(f"s3://{BUCKET}/") + "/model.onnx"
    registered = api.s3.head_object(Bucket=BUCKET, Key=key)["VersionId"]
    api.file(key, b"overwritten later")
    version = api.ledgers.registry.version("cards", 1)
    assert [(f.path, f.version_id == registered, f.size) for f in version.files] == [
        ("MLmodel", False, 7),
        ("model.onnx", True, 10),
    ]
    api.ok("POST", "model-versions/create", {"name": "cards", "source": "models:/cards/1"})
    copy = api.ledgers.registry.version("cards", 2)
    assert copy.files == version.files  # the bytes of version 1, not what lies there today
    assert (copy.source, copy.run_id) == ("models:/cards/1", version.run_id)
    api.ok("POST", "model-versions/create", {"name": "cards", "source": source})
    api.s3.delete_object(Bucket=BUCKET, Key=key.replace("model.onnx", "MLmodel"))
    api.ok("POST", "model-versions/create", {"name": "cards", "source": source})
    sizes = [[(f.path, f.size) for f in api.ledgers.registry.version("cards", n).files] for n in (3, 4)]
    later = ("model.onnx", len(b"overwritten later"))
    assert sizes == [[("MLmodel", 7), later], [later]]  # one version of each, and nothing that was deleted
    uri = api.ok("GET", "model-versions/get-download-uri", {"name": "cards", "version": "2"})["artifact_uri"]
    assert uri == source


@pytest.mark.parametrize(
    "source",
    [
        f"s3://{BUCKET}/experiments/0/nothing/here",
        f"s3://{BUCKET}/data/x",
        f"s3://{BUCKET}/experiments/0/../../data",
        f"s3://{BUCKET}/experiments/0/%252e%252e/data",
        f"s3://{BUCKET}/experiments",
        f"s3://{BUCKET}-other/experiments/0/x",
        "s3://elsewhere/experiments/0/x",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://example.com/x",
        "models:/none/1",
        "models:/cards@none",
        "models:/m-" + "0" * 32,
        "runs:/" + "0" * 32 + "/model",
        "x" * 1001,
    ],
)
def test_a_source_must_be_bytes_of_the_team(api: Api, source: str) -> None:
    model(api)
    if source.startswith(f"s3://{BUCKET}/") and "nothing" not in source:  # even where an object has that very key
        api.file(source.removeprefix(f"s3://{BUCKET}/") + "/MLmodel")
    code = MISSING if source == "models:/none/1" else INVALID
    assert api.fails("POST", "model-versions/create", {"name": "cards", "source": source})[:2] == code
    assert len(api.ledgers.registry.versions("cards")) == 1


def test_a_large_folder_is_pinned_page_by_page(api: Api) -> None:
    files = tuple(f"part-{n:04d}" for n in range(1100))
    model(api, files=files)
    assert [f.path for f in api.ledgers.registry.version("cards", 1).files] == list(files)


def test_prompts_are_registered_without_bytes_and_hidden_from_searches(api: Api) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    api.ok("POST", "registered-models/create", {"name": "prompt", "tags": tags})
    api.ok("POST", "model-versions/create", {"name": "prompt", "source": "dummy-source", "tags": tags})
    api.ok("POST", "registered-models/create", {"name": "plain"})

    def found(filter: str) -> list[str]:
        return [
            m["name"]
            for m in api.ok("GET", "registered-models/search", {"filter": filter}).get("registered_models", [])
        ]

    assert found("") == found("tag.`mlflow.prompt.is_prompt` != 'true'") == ["plain"]
    assert found("tags.`mlflow.prompt.is_prompt` = 'true'") == ["prompt"]


@pytest.mark.parametrize(
    ("path", "body", "show"),
    [
        ("runs/create", {"experiment_id": "0", "start_time": 1}, lambda doc: doc["run"]["info"]["run_id"]),
        ("logged-models", {"experiment_id": "0"}, lambda doc: doc["model"]["info"]["model_id"]),
        ("model-versions/create", {"name": "cards"}, lambda doc: doc["model_version"]["version"]),
    ],
)
def test_a_create_that_is_repeated_with_its_key_makes_one(api: Api, path: str, body: dict[str, Any], show: Any) -> None:
    source = model(api)
    body = {**body, "source": source} if "versions" in path else body
    one, again = (show(api.ok("POST", path, body, headers={"Idempotency-Key": "k1"})) for _ in range(2))
    other = show(api.ok("POST", path, body, headers={"Idempotency-Key": "k2"}))
    stranger = api.call("POST", path, body, headers={"Idempotency-Key": "k1"}, arn=member("ada"))[1]
    assert one == again != other
    assert show(stranger) not in (one, other)
    assert show(api.ok("POST", path, body)) != show(api.ok("POST", path, body))


def test_a_busy_ledger_says_when_to_come_back(api: Api) -> None:
    from labcycle_lambdas.http import Request
    from labcycle_lambdas.ledger.table import Throttled
    from labcycle_lambdas.tracking.routes import answer
    from tests.unit.tracking.server import event

    def busy(**_: Any) -> None:
        raise Throttled("ThrottlingException")

    api.dynamodb.meta.events.register("before-call.dynamodb", busy)
    said = answer(
        api.ledgers, Request.from_event(event("GET", "/api/2.0/mlflow/runs/get", "run_id=" + "0" * 32))
    ).to_event()
    assert (said["statusCode"], said["headers"]["retry-after"]) == (429, "1")
    assert json.loads(said["body"])["error_code"] == "REQUEST_LIMIT_EXCEEDED"


def test_artifacts_are_listed_folder_by_folder(api: Api) -> None:
    run_id = api.run()
    root = f"experiments/0/{run_id}/artifacts"
    for name in ("a.txt", "sub/b.txt", "sub/deep/c#ü.txt", "sub2/d.txt"):
        api.file(f"{root}/{name}", b"12345")
    doc = api.ok("GET", "artifacts/list", {"run_id": run_id})
    assert doc["root_uri"] == f"s3://{BUCKET}/{root}"
    assert doc["files"] == [
        {"path": "a.txt", "is_dir": False, "file_size": 5},
        {"path": "sub", "is_dir": True},
        {"path": "sub2", "is_dir": True},
    ]
    deep = api.ok("GET", "artifacts/list", {"run_id": run_id, "path": "sub/deep"})
    assert deep["files"] == [{"path": "sub/deep/c#ü.txt", "is_dir": False, "file_size": 5}]
    for path in ("../x", "/etc", "sub/../../x", "a\0"):
        assert api.fails("GET", "artifacts/list", {"run_id": run_id, "path": path}) == (*INVALID, "Invalid path")
    assert "files" not in api.ok("GET", "artifacts/list", {"run_id": run_id, "path": "none"})


def test_a_long_listing_comes_in_pages_without_repeats(api: Api) -> None:
    run_id = api.run()
    names = [f"f{n:04d}" for n in range(1200)] + [f"d{n:03d}/x" for n in range(20)]
    for name in names:
        api.file(f"experiments/0/{run_id}/artifacts/{name}")
    found: list[str] = []
    token = ""
    while True:
        doc = api.ok("GET", "artifacts/list", {"run_id": run_id, **({"page_token": token} if token else {})})
        found += [file["path"] for file in doc["files"]]
        token = doc.get("next_page_token", "")
        if not token:
            break
    assert sorted(found) == sorted({name.split("/")[0] for name in names})
    assert len(found) == len(set(found))


def test_pages_of_runs(api: Api) -> None:
    ids = [api.run(start_time=n) for n in range(7)]
    found: list[str] = []
    token = None
    while True:
        doc = api.ok("POST", "runs/search", {"experiment_ids": ["0"], "max_results": 3, "page_token": token})
        found += [run["info"]["run_id"] for run in doc["runs"]]
        token = doc.get("next_page_token")
        if token is None:
            break
    assert found == ids[::-1]
    assert api.ok("POST", "runs/search", {"experiment_ids": [0, "77"], "max_results": 7}).keys() == {"runs"}
    assert api.ok("POST", "runs/search", {"experiment_ids": []}) == {}


def test_an_answer_too_large_for_lambda_comes_in_shorter_pages(api: Api) -> None:
    for _ in range(9):
        api.run(tags=[{"key": f"t{n}", "value": "x" * 8000} for n in range(90)])
    pages: list[list[str]] = []
    token = None
    while not pages or token:
        doc = api.ok("POST", "runs/search", {"experiment_ids": ["0"], "page_token": token})
        assert len(json.dumps(doc)) < 6_000_000
        pages.append([run["info"]["run_id"] for run in doc["runs"]])
        token = doc.get("next_page_token")
    assert len(pages) > 1
    assert len({run_id for page in pages for run_id in page}) == 9


@pytest.mark.parametrize(("room", "read", "shown"), [(100, [2, 5], 7), (4, [2, 2, 1], 4), (1, [2], 1)])
def test_a_search_reads_few_more_runs_than_a_page_has_room_for(
    api: Api, monkeypatch: pytest.MonkeyPatch, room: int, read: list[int], shown: int
) -> None:
    for _ in range(7):
        api.run(run_name="r", start_time=1)
    search = {"experiment_ids": ["0"]}
    (size,) = {len(json.dumps(run, separators=(",", ":"))) for run in api.ok("POST", "runs/search", search)["runs"]}
    together: list[int] = []
    at = packs.runs_at

    def counted(table: Table, places: Sequence[packs.Place]) -> list[Run]:
        together.append(len(places))
        return at(table, places)

    monkeypatch.setattr(packs, "runs_at", counted)
    monkeypatch.setattr(run_search, "_FIRST_RUNS", 2)
    monkeypatch.setattr(run_search, "PAGE_BYTES", room * size)
    assert len(api.ok("POST", "runs/search", search)["runs"]) == shown
    assert together == read


def test_search_of_runs_by_everything(api: Api) -> None:
    made = {}
    for name, metric in (("a", 0.1), ("b", "NaN"), ("c", None)):
        made[name] = api.run(run_name=name, start_time=ord(name))
        if metric is not None:
            body = {
                "run_id": made[name],
                "metrics": [{"key": "m", "value": metric, "timestamp": 1}],
            }
            api.ok(
                "POST",
                "runs/log-batch",
                {**body, "params": [{"key": "p", "value": name}], "tags": [{"key": "my tag", "value": name}]},
            )
    api.ok("POST", "runs/delete", {"run_id": made["c"]})

    def found(filter: str = "", order: list[str] | None = None, view: str | int = "ALL") -> str:
        body = {"experiment_ids": ["0"], "filter": filter, "order_by": order or [], "run_view_type": view}
        return "".join(run["info"]["run_name"] for run in api.ok("POST", "runs/search", body).get("runs", []))

    assert found() == "cba"
    assert found(view="ACTIVE_ONLY") == "ba"
    assert found(view=2) == "c"
    assert found("metrics.m != 5") == "ba"
    assert found("params.p IS NULL") == "c"
    assert found("tags.`my tag` LIKE 'a%'") == "a"
    assert found("attributes.run_name = 'a' AND attr.status = 'RUNNING'") == "a"
    assert found("user_id = 'scientist-1' and start_time <= 98") == "ba"
    assert found(f"run_id IN ('{made['a']}', 'x')") == "a"
    assert found(order=["metrics.m DESC"]) == found(order=["metrics.m ASC"]) == "abc"
    assert found(order=["attributes.start_time ASC"]) == "abc"
    assert found("end_time > 0") == ""


def test_search_of_logged_models(api: Api) -> None:
    ids = []
    for name in ("one", "two", "three"):
        body = {
            "experiment_id": "0",
            "name": name,
            "params": [{"key": "p", "value": name}],
            "tags": [{"key": "t", "value": "x"}],
        }
        ids.append(api.ok("POST", "logged-models", body)["model"]["info"]["model_id"])
    run_id = api.run()
    for number, model_id in enumerate(ids[:2]):
        metric = {
            "key": "auc",
            "value": number,
            "timestamp": 1,
            "model_id": model_id,
            "dataset_name": "d",
            "dataset_digest": "1",
        }
        api.ok("POST", "runs/log-batch", {"run_id": run_id, "metrics": [metric]})

    def found(**body: Any) -> list[str]:
        doc = api.ok("POST", "logged-models/search", {"experiment_ids": ["0"], **body})
        return [model["info"]["name"] for model in doc.get("models", [])]

    assert found() == ["three", "two", "one"]
    assert found(filter="name = 'one'") == ["one"]
    assert found(filter="metrics.auc >= 1 AND params.p = 'two'") == ["two"]
    assert found(order_by=[{"field_name": "metrics.auc", "ascending": False}]) == ["two", "one", "three"]
    assert found(filter="metrics.auc >= 0", datasets=[{"dataset_name": "other"}]) == []
    doc = api.ok("POST", "logged-models/search", {"experiment_ids": ["0"], "max_results": 2})
    token = doc["next_page_token"]
    assert found(max_results=2, page_token=token) == ["one"]
    assert (
        api.fails(
            "POST", "logged-models/search", {"experiment_ids": ["0"], "filter": "name = 'one'", "page_token": token}
        )[:2]
        == INVALID
    )
    missing = {"key": "auc", "value": 1, "timestamp": 1, "model_id": "m-" + "0" * 32}
    assert api.fails("POST", "runs/log-batch", {"run_id": run_id, "metrics": [missing]})[:2] == INVALID


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = [
    "experiment_id", "run_id", "name", "key", "value", "timestamp", "step", "tags", "params", "metrics", "filter",
    "order_by", "max_results", "page_token", "experiment_ids", "version", "alias", "source", "status", "stage", "stages",
    "datasets", "models", "model_id", "run_view_type", "description", "new_name", "path", "experiment_name", "metric_key",
]  # fmt: skip
KNOWN = st.sampled_from(
    ["0", "cards", "1", "m", "champion", 1, "name = 'cards'", [{"key": "k", "value": "v"}], "a" * 32]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    route=st.sampled_from(sorted(ROUTES)),
    body=st.dictionaries(st.sampled_from(FIELDS), JSON | KNOWN, max_size=8),
    where=st.text(max_size=12),
)
def test_whatever_is_asked_is_answered_in_mlflows_shape(
    api: Api, route: tuple[str, str], body: dict[str, Any], where: str
) -> None:
    # Something to be hit: a run, a model with a version, a logged model. Earlier examples may have deleted them.
    if "runs" not in api.call("POST", "runs/search", {"experiment_ids": ["0"]})[1]:
        api.ledgers.runs.create(experiment_id="0", user_id="u", run_id="a" * 32)
    if api.call("POST", "registered-models/create", {"name": "cards"})[0] == 200:
        tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
        api.ok("POST", "model-versions/create", {"name": "cards", "source": "none", "tags": tags})
    method, path = route
    path = path.replace("{model_id}", where or "m").replace("{tag_key...}", where or "k")
    path = path.replace("{artifact_path...}", where or "p")
    base = "/api" if path.startswith(("/2", "/3")) else ""
    if method == "GET":
        body = {k: v for k, v in body.items() if isinstance(v, str | int) and "\ud800" not in str(v)}
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            body = {}
    status, doc = api.call(method, base + path, body)
    assert status < 500, doc
    assert status in (200, 307) or set(doc) == {"error_code", "message"}
