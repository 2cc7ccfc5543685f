"""A model of scikit-learn as it is deployed: held against the lock, tried, promoted, and asked one row and a batch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from tests.cloud.alone import deployed
from tests.cloud.harness.machines import executions, finish, history
from tests.cloud.harness.place import Place
from tests.cloud.team import COLUMNS, Member, Team
from tests.one_team import synthesized
from tests.wheels import wheel

PLACE = Place("123456789012", "eu-west-1")
MODEL = "card-fraud"
STACK = f"model-{MODEL}"
# What runs here are the packages of this interpreter: the wheels of the lock hold nothing.
PACKAGES = {"scikit-learn": "sklearn", "numpy": "numpy", "scipy": "scipy", "joblib": "joblib", "threadpoolctl": ""}
ROWS = [(amount / 10, hour) for amount in range(-30, 31) for hour in (0, 12)]
LABELS = [int(amount > 0) for amount, _ in ROWS]
_TARGET: dict[str, Any] = {
    "target": "flavoured",
    "account": PLACE.account,
    "region": PLACE.region,
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "flavoured", "egress": "none"},
}
_TEAM: dict[str, Any] = {
    "team": "quark",
    "owner": "quark@example.com",
    "cost_centre": "cc-1",
    "target": "flavoured",
    "stage": "sandbox",
    "members": [
        {"name": "scientist-1", "principal": {"iam_user": "scientist-1"}, "roles": ["data_scientist"]},
        {"name": "reviewer-1", "principal": {"iam_user": "reviewer-1"}, "roles": ["reviewer"]},
    ],
    "models": [
        {
            "name": MODEL,
            "business_owner": "head@example.com",
            "deliver": [{"form": "api", "runtime": "lambda"}, {"form": "batch"}],
            "runtime": {"flavour": "sklearn", "requirements": "lock.txt"},
            "promotion": {"complete_runs": False},
        }
    ],
}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("quark")
    pins = [
        wheel(folder / "wheels", name, f"{installed(name)}+cloud", module=module) for name, module in PACKAGES.items()
    ]
    (folder / "lock.txt").write_text("\n".join(pins))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_FIND_LINKS", str(folder / "wheels"))
        assembly = synthesized(folder, _TEAM, _TARGET)
    with deployed(assembly, PLACE, "quark") as made:
        yield made


@pytest.fixture
def quark(team: Team) -> Iterator[Team]:
    team.wipe()
    team.cloud.guard.refused.clear()
    yield team
    assert team.cloud.guard.refused == []
    assert team.cloud.functions.failures == []


def log(scientist: Member, *requirements: str, logged_with: str = "") -> int:
    """An estimator, as mlflow.sklearn logs it by default but for pickle, or as another version of scikit-learn did; its version."""
    frame = pd.DataFrame(ROWS, columns=COLUMNS)
    model = LogisticRegression().fit(frame, LABELS)
    run = scientist.post("runs/create", experiment_id=scientist.experiment("flavoured"))["run"]["info"]
    source = f"{run['artifact_uri']}/model"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        has = installed("scikit-learn")
        mlflow.sklearn.save_model(
            model,
            str(folder),
            serialization_format="pickle",
            signature=infer_signature(frame, np.array(LABELS)),
            pip_requirements=[f"scikit-learn=={model.__getstate__()['_sklearn_version']}", *requirements],
        )
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = file.read_bytes()
            if logged_with and file.suffix != ".pkl":
                content = content.replace(has.encode(), logged_with.encode())
            scientist.put(source, str(file.relative_to(folder)), content)
    scientist.call("POST", "/api/2.0/mlflow/registered-models/create", body={"name": MODEL})
    made = scientist.post("model-versions/create", name=MODEL, source=source, run_id=run["run_id"])
    return int(made["model_version"]["version"])


def test_an_estimator_is_tried_promoted_and_asked(quark: Team) -> None:
    scientist, reviewer = quark.member("scientist-1"), quark.member("reviewer-1")
    version = log(scientist)
    machine = quark.output(STACK, "PromotionStateMachine")
    answer = reviewer.call("POST", f"/labcycle/1.0/models/{MODEL}/promote", body={"version": str(version)})
    assert answer.status == 200, str(answer)
    (arn,) = executions(machine)
    assert finish(arn)["status"] == "SUCCEEDED", "\n".join(history(arn))
    live = reviewer.deployment(MODEL)["live"]
    assert (live["version"], live["model_file"]["path"]) == (version, "model.pkl")
    assert live["runtime"]["flavour"] == "sklearn"
    assert live["runtime"]["noted"][0].startswith("it was logged with scikit-learn")
    quark.restart_servers()
    body = {"dataframe_split": {"columns": COLUMNS, "data": [list(row) for row in ROWS]}}
    answer = quark.model(MODEL).call("POST", "/invocations", reviewer.caller, body=body)
    assert answer.status == 200, str(answer)
    predictions = answer.json()["predictions"]
    assert sum(said == label for said, label in zip(predictions, LABELS, strict=True)) > 115

    lines = "\n".join(",".join(str(value) for value in row) for row in [COLUMNS, *ROWS[:3]])
    scientist.s3.put_object(Bucket=quark.bucket, Key=f"batch/{MODEL}/in/rows.csv", Body=lines.encode())
    states = quark.cloud.client("stepfunctions", PLACE, reviewer.caller.role)
    batch = quark.output(STACK, "BatchStateMachine")
    arn = states.start_execution(stateMachineArn=batch, name="run", input="{}")["executionArn"]
    assert finish(arn)["status"] == "SUCCEEDED", "\n".join(history(arn))
    key = f"batch/{MODEL}/out/run/predictions/rows.csv.jsonl"
    written = reviewer.s3.get_object(Bucket=quark.bucket, Key=key)["Body"].read().splitlines()
    assert [json.loads(line)["prediction"] for line in written] == predictions[:3]


def test_what_was_logged_otherwise_is_refused_before_anything_changes(quark: Team) -> None:
    scientist, reviewer = quark.member("scientist-1"), quark.member("reviewer-1")
    graph = scientist.log_model(MODEL, [(*row, label) for row, label in zip(ROWS, LABELS, strict=True)])
    older = log(scientist, "numpy==1.26.4")
    for version, says in ((graph, "has no sklearn flavor"), (older, "numpy 1.26.4 (the server has")):
        answer = reviewer.call(
            "POST", f"/labcycle/1.0/models/{MODEL}/promote", body={"version": str(version), "now": True}
        )
        assert 400 <= answer.status < 500, str(answer)
        assert says in answer.json()["message"]
        assert "under `next` of that runtime, deploy" in answer.json()["message"]
    assert reviewer.deployment(MODEL)["live"] is None
