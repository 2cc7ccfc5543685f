"""The demo itself, once, and what a user can do on the cloud that it leaves up."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labcycle.demo.consumer import call
from labcycle.demo.life_cycle import STEPS
from labcycle.local.cloud import LocalCloud
from tests.local.conftest import until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("demo")

SESSION = """
import json, mlflow, sys
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

mlflow.set_experiment("must work")
with mlflow.start_run(run_name="parent") as parent:
    mlflow.log_params({"alpha": 0.5, "kind": "a b/c"})
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metrics({"loss": 0.25, "accuracy": 0.75}, step=3)
        open(sys.argv[1], "w").write("hello")
        mlflow.log_artifact(sys.argv[1], "notes")
        model = LogisticRegression(C=0.7).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        logged = mlflow.sklearn.log_model(model, name="model", registered_model_name="by hand")
runs = mlflow.search_runs(experiment_names=["must work"], filter_string="metrics.loss < 0.5 and params.alpha = '0.5'")
children = mlflow.search_runs(experiment_names=["must work"], filter_string="metrics.loss < 0.5")
client = MlflowClient()
mlflow.register_model(f"runs:/{child.info.run_id}/model", "by hand")
client.set_registered_model_alias("by hand", "champion", "1")
found = client.search_registered_models(
    "name LIKE 'by h%' AND name != 'some other name'", order_by=["name DESC", "last_updated_timestamp ASC"]
)
loaded = mlflow.sklearn.load_model("models:/by hand@champion")
print(json.dumps({
    "parent": child.data.tags.get("mlflow.parentRunId") == parent.info.run_id,
    "runs": len(runs), "children": children["run_id"].tolist() == [child.info.run_id],
    "artifacts": [f.path for f in client.list_artifacts(child.info.run_id, "notes")],
    "found": [m.name for m in found],
    "aliases": client.get_registered_model("by hand").aliases,
    "prediction": loaded.predict([[3.0]]).tolist(), "c": loaded.C,
    "ours": [m for m in sys.modules if m.startswith("labcycle")],
}))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def demo() -> Iterator[dict[str, Any]]:
    """The finished demo's document. Its cloud is up until the module's tests have ended."""
    port = free_port()
    command = [sys.executable, "-m", "labcycle.cli"]
    done = subprocess.run(
        [*command, "demo", "--json", "--keep", "--port", str(port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        yield json.loads(done.stdout)
    finally:
        subprocess.run([*command, "local", "down"], cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def cloud(demo: dict[str, Any]) -> LocalCloud:
    return LocalCloud.attach()


def test_every_step_happened_and_left_evidence(demo: dict[str, Any]) -> None:
    assert len(demo["steps"]) == STEPS
    for step in demo["steps"]:
        assert step["done"], step
        assert step["evidence"], step


def test_what_is_recorded_reaches_a_subscriber_of_the_teams_bus(cloud: LocalCloud) -> None:
    events, sqs, bus = cloud.client("events"), cloud.client("sqs"), "labcycle-growth"
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="subscriber", EventBusName=bus, EventPattern=json.dumps({"source": ["labcycle.custody"]}))
    events.put_targets(Rule="subscriber", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    member = cloud.environment(cloud.assume("labcycle-growth-scientist-1", "scientist-1"))
    create = f"{cloud.outputs('labcycle-growth-tracking')['TrackingUrl']}/api/2.0/mlflow/registered-models/create"
    answer = call("POST", create, member, json.dumps({"name": "heard of"}).encode())
    assert answer.status == 200, answer.text
    message = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert message, "nothing came over the bus"
    detail = json.loads(message[0]["Body"])["detail"]
    assert (detail["team"], detail["subject"], detail["action"]) == ("growth", "model/heard of", "created")
    assert (detail["who"]["member"], detail["event_id"]) == ("scientist-1", detail["hash"])
    events.remove_targets(Rule="subscriber", EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name="subscriber", EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


def test_a_stock_mlflow_session_works_with_two_variables(cloud: LocalCloud, tmp_path: Path) -> None:
    outputs = cloud.outputs("labcycle-growth-tracking")
    script = tmp_path / "session.py"
    script.write_text(SESSION)
    environment = cloud.environment(cloud.assume("labcycle-growth-scientist-1", "scientist-1"))
    done = subprocess.run(
        [sys.executable, script, tmp_path / "hello.txt"],
        cwd=tmp_path,
        env={**environment, "MLFLOW_TRACKING_URI": outputs["TrackingUrl"], "MLFLOW_TRACKING_AUTH": "labcycle"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["parent"] and said["children"]
    assert said["runs"] == 0  # the parent has the param, the child the metric: no run has both
    assert said["artifacts"] == ["notes/hello.txt"]
    assert said["found"] == ["by hand"]
    assert said["aliases"] == {"champion": 1} or said["aliases"] == {"champion": "1"}
    assert said["prediction"] == [1] and said["c"] == 0.7


def test_destroying_the_sandbox_leaves_only_what_it_lists(cloud: LocalCloud) -> None:
    """Runs last in this file: it takes the sandbox team away."""
    before = cloud.outputs("labcycle-growth-foundation")["RetainedByDesign"]
    retained = before + cloud.outputs("labcycle-growth-tracking")["RetainedByDesign"]
    cloud.destroy(ROOT / ".labcycle" / "cdk.out", ["labcycle-growth/*"])
    stacks = cloud.client("cloudformation").list_stacks()["StackSummaries"]
    assert not [s for s in stacks if "growth" in s["StackName"] and s["StackStatus"] != "DELETE_COMPLETE"]
    left = [b["Name"] for b in cloud.client("s3").list_buckets()["Buckets"] if "-growth-" in b["Name"]]
    assert left and all(name in retained for name in left), (left, retained)
    assert not [t for t in cloud.client("dynamodb").list_tables()["TableNames"] if "growth" in t]
    assert not [r for r in cloud.client("iam").list_roles()["Roles"] if r["RoleName"].startswith("labcycle-growth")]
    assert not [
        f
        for f in cloud.client("lambda").list_functions()["Functions"]
        if f["FunctionName"].startswith("labcycle-growth")
    ]
    kms = cloud.client("kms")
    states = {
        key["KeyId"]: kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in kms.list_keys()["Keys"]
    }
    assert "PendingDeletion" in states.values()
    for key, state in states.items():
        if state == "PendingDeletion":
            assert key in retained or "key" in retained
    assert [t for t in cloud.client("dynamodb").list_tables()["TableNames"] if "fraud" in t], (
        "the other team is untouched"
    )


def test_nothing_is_left_when_it_goes_down(demo: dict[str, Any], cloud: LocalCloud) -> None:
    group = cloud.pid
    assert living(group), "the server leads its process group"
    subprocess.run([sys.executable, "-m", "labcycle.cli", "local", "down"], cwd=ROOT, check=True, capture_output=True)
    assert not living(group)


def living(group: int) -> list[str]:
    """Processes of a group, but for the dead whom nobody has buried yet."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, _, process_group = rest.split()[:3]
        if int(process_group) == group and state != "Z":
            found.append(name)
    return found
