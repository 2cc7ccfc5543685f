"""Models of clients before MLflow 3, which a tag of their run lists."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow.models import Model

from tests.unit.tracking.conftest import Api

TAG = "mlflow.log-model.history"


def described(run_id: str, path: str = "model") -> Model:
    flavors = {"python_function": {"loader_module": "m", "config": {"secret": 1}}, "onnx": {"data": "model.onnx"}}
    return Model(artifact_path=path, run_id=run_id, utc_time_created="2026-01-01 00:00:00", flavors=flavors)


def log(api: Api, run_id: str, model_json: str) -> Any:
    return api.call("POST", "runs/log-model", {"run_id": run_id, "model_json": model_json})


def listed(api: Api, run_id: str) -> list[Any]:
    tags = {tag["key"]: tag["value"] for tag in api.ok("GET", "runs/get", {"run_id": run_id})["run"]["data"]["tags"]}
    models: list[Any] = json.loads(tags.get(TAG, "[]"))
    return models


def test_what_mlflows_own_server_keeps_of_a_model_is_kept_once(api: Api) -> None:
    run_id = api.run()
    one, other = described(run_id), described(run_id, "second")
    for model in (one, other, one):
        assert log(api, run_id, model.to_json()) == (200, {})
    assert listed(api, run_id) == [one.get_tags_dict(), other.get_tags_dict()]


@pytest.mark.parametrize(
    ("model_json", "said"),
    [
        ("", "Missing value for required parameter 'model_json'."),
        ("{", "is not a valid JSON."),
        ("[" * 100_000, "is not a valid JSON."),
        ("[]", "model_json must be a JSON object."),
        ('{"flavors": {}}', "missing mandatory fields: ['artifact_path', 'run_id', 'utc_time_created']"),
        (
            json.dumps({"flavors": [], "artifact_path": "m", "run_id": "r", "utc_time_created": "t"}),
            "flavors must be a JSON object.",
        ),
        (described("r", "x" * 8_000).to_json(), "would exceed the maximum length of 8000 characters."),
    ],
)
def test_a_users_mistake_is_told_and_changes_nothing(api: Api, model_json: str, said: str) -> None:
    run_id = api.run()
    status, doc = log(api, run_id, model_json)
    assert (status, doc["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert said in doc["message"]
    assert listed(api, run_id) == []


@pytest.mark.parametrize("value", ["no JSON", "{}"])
def test_a_tag_that_holds_no_list_is_not_overwritten(api: Api, value: str) -> None:
    run_id = api.run(tags=[{"key": TAG, "value": value}])
    status, doc = log(api, run_id, described(run_id).to_json())
    assert (status, "holds no list of models" in doc["message"]) == (400, True)


def test_no_model_is_logged_to_a_deleted_run(api: Api) -> None:
    run_id = api.run()
    api.ok("POST", "runs/delete", {"run_id": run_id})
    status, doc = log(api, run_id, described(run_id).to_json())
    assert (status, "must be in the 'active' state" in doc["message"]) == (400, True)
