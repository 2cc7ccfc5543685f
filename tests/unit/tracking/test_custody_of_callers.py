"""Whatever writes an event names its caller as signature or token say: member, role and session, or issuer and subject."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.tracking import routes
from tests.unit.ledger.conftest import NAME
from tests.unit.tracking.conftest import Api
from tests.unit.tracking.server import ISSUER, member

CALLERS = {
    "IAM": (member("ada"), {"member": "ada", "role": "labcycle-fraud-ada", "session": "ada"}),
    "token": (f"{ISSUER} ada", {"member": "ada", "role": ISSUER, "session": "ada"}),
}
WITHOUT_EVENT = {  # they log, label, or make what is evidence only once a version comes from it: docs/custody.md
    "experiments/set-experiment-tag",
    "experiments/delete-experiment-tag",
    "runs/create",
    "runs/log-metric",
    "runs/log-parameter",
    "runs/set-tag",
    "runs/delete-tag",
    "runs/log-batch",
    "runs/log-inputs",
    "runs/outputs",
    "runs/log-model",
}
ASKED = {
    "experiments/search",
    "experiments/search-datasets",
    "runs/search",
    "registered-models/get-latest-versions",
    "artifacts/presigned-download-url",
}
OF_FILES_OR_LOGGED_MODELS = ("mlflow-artifacts/", "artifacts/", "upload-artifact", "logged-models")


@pytest.mark.parametrize("caller", CALLERS)
def test_every_event_of_the_api_names_its_caller(api: Api, caller: str) -> None:
    sent, who = CALLERS[caller]
    custody = Custody(Table(api.dynamodb, NAME))
    called: set[str] = set()

    def do(method: str, path: str, subject: str, actions: list[str], **body: Any) -> Any:
        before = custody.events(subject)
        said = api.ok(method, path, body, arn=sent)
        called.add(path)
        new = custody.events(subject)[len(before) :]
        assert [event.action for event in new] == actions, path
        assert [event.who for event in new] == [who] * len(actions), path
        return said

    experiment = api.ok("POST", "experiments/create", {"name": "e"}, arn=sent)["experiment_id"]
    called.add("experiments/create")
    assert [(e.action, e.who) for e in custody.events(f"experiment/{experiment}")] == [("created", who)]
    of_experiment = f"experiment/{experiment}"
    do("POST", "experiments/update", of_experiment, ["renamed"], experiment_id=experiment, new_name="f")
    do("POST", "experiments/delete", of_experiment, ["deleted"], experiment_id=experiment)
    do("POST", "experiments/restore", of_experiment, ["restored"], experiment_id=experiment)

    run = api.ok("POST", "runs/create", {"experiment_id": experiment, "start_time": 1}, arn=sent)["run"]["info"]
    of_run = f"run/{run['run_id']}"
    do("POST", "runs/update", of_run, ["finished"], run_id=run["run_id"], status="FINISHED", end_time=2)
    do("POST", "runs/update", of_run, ["resumed"], run_id=run["run_id"], status="RUNNING")
    do("POST", "runs/delete", of_run, ["deleted"], run_id=run["run_id"])
    do("POST", "runs/restore", of_run, ["restored"], run_id=run["run_id"])

    model = "model/m"
    source = f"{run['artifact_uri']}/model"
    api.file(f"experiments/{experiment}/{run['run_id']}/artifacts/model/MLmodel")
    do("POST", "registered-models/create", model, ["created"], name="m")
    do("PATCH", "registered-models/update", model, ["described"], name="m", description="d")
    do("POST", "registered-models/set-tag", model, ["tag_set"], name="m", key="k", value="v")
    do("DELETE", "registered-models/delete-tag", model, ["tag_removed"], name="m", key="k")
    do("POST", "model-versions/create", model, ["registered"], name="m", source=source, run_id=run["run_id"])
    one: dict[str, Any] = {"name": "m", "version": "1"}
    do("PATCH", "model-versions/update", model, ["described"], **one, description="d")
    do("POST", "model-versions/set-tag", model, ["tag_set"], **one, key="k", value="v")
    do("DELETE", "model-versions/delete-tag", model, ["tag_removed"], **one, key="k")
    do("POST", "model-versions/transition-stage", model, ["stage_changed"], **one, stage="Staging")
    do("POST", "model-versions/transition-stage", model, [], **one, stage="staging")  # where it is already
    do("POST", "registered-models/alias", model, ["alias_set"], **one, alias="champion")
    do("DELETE", "registered-models/alias", model, ["alias_removed"], name="m", alias="champion")
    do("DELETE", "model-versions/delete", model, ["version_deleted"], **one)
    do("POST", "registered-models/rename", model, ["renamed"], name="m", new_name="n")
    do("DELETE", "registered-models/delete", "model/n", ["model_deleted"], name="n")

    writing = {path.removeprefix("/2.0/mlflow/") for method, path in routes.ROUTES if method != "GET"} - ASKED
    left = {path for path in writing - called - WITHOUT_EVENT if not path.lstrip("/").startswith(("2.0/", "3.0/"))}
    assert not {path for path in left if not path.startswith(OF_FILES_OR_LOGGED_MODELS)}, "asked above, or no event"


def test_logging_leaves_no_event(api: Api) -> None:
    run = api.run()
    before = subjects(api)
    api.ok("POST", "runs/log-metric", {"run_id": run, "key": "a", "value": 1, "timestamp": 1})
    api.ok("POST", "runs/set-tag", {"run_id": run, "key": "a", "value": "b"})
    api.ok("POST", "experiments/set-experiment-tag", {"experiment_id": "0", "key": "a", "value": "b"})
    assert subjects(api) == before


def subjects(api: Api) -> list[str]:
    items = api.dynamodb.scan(TableName=NAME)["Items"]
    return sorted(item["pk"]["S"] for item in items if item["pk"]["S"].startswith("CUSTODY#"))
