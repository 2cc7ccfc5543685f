"""Which data sets the runs of experiments used."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.tracking.conftest import Api

SEARCH = "/ajax-api/2.0/mlflow/experiments/search-datasets"


def use(api: Api, run_id: str, name: str, context: str = "", **more: str) -> None:
    tags = [{"key": "mlflow.data.context", "value": context}] if context else []
    dataset = {"name": name, "digest": f"d-{name}", "source_type": "s3", "source": "s3://b/k", **more}
    api.ok("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": tags}]})


def found(api: Api, *experiment_ids: str) -> list[dict[str, Any]]:
    summaries: list[dict[str, Any]] = api.ok("POST", SEARCH, {"experiment_ids": experiment_ids}).get(
        "dataset_summaries", []
    )
    return summaries


def test_each_data_set_comes_once_for_every_context_also_of_deleted_runs(api: Api) -> None:
    other = api.experiment()
    runs = [api.run(), api.run(), api.run(other)]
    use(api, runs[0], "rows", "training", profile="x" * 200_000)
    use(api, runs[1], "rows", "training")
    use(api, runs[1], "plain")
    use(api, runs[2], "rows", "validation")
    api.ok("POST", "runs/delete", {"run_id": runs[1]})
    first = [
        {"experiment_id": "0", "name": "plain", "digest": "d-plain"},
        {"experiment_id": "0", "name": "rows", "digest": "d-rows", "context": "training"},
    ]
    second = [{"experiment_id": other, "name": "rows", "digest": "d-rows", "context": "validation"}]
    assert found(api, "0") == first
    assert found(api, other, "0", other) == [*second, *first]
    assert found(api, "77") == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "SearchDatasets request must specify at least one experiment_id."),
        ({"experiment_ids": [str(n) for n in range(21)]}, "Received 21 experiment_ids."),
        ({"experiment_ids": ["abc"]}, "Invalid experiment ID 'abc'."),
    ],
)
def test_a_users_mistake_is_told(api: Api, asked: dict[str, Any], said: str) -> None:
    status, code, message = api.fails("POST", SEARCH, asked)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert said in message
