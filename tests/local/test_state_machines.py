"""State machines in the dialect of the reaction, and training jobs that really run."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import Proving, until
from tests.local.proving_app import ACCOUNT, REGION

BUCKET = "proving-working"
TRAIN = """
import json, os, pathlib, sys
root = pathlib.Path(os.environ["LABCYCLE_TRAINING_ROOT"])
hyper = json.loads((root / "input/config/hyperparameters.json").read_text())
rows = [p.read_text() for p in sorted((root / "input/data/training").glob("*.csv"))]
print("rows", rows)
if hyper["fail"] == "yes":
    (root / "output/failure").write_text("no label has two classes")
    sys.exit(3)
if hyper["fail"] == "long":
    import time; time.sleep(600)
(root / "model/sub").mkdir()
(root / "model/sub/weights").write_text(str(len(rows)))
secrets = [k for k in os.environ if k.startswith(("PYTEST", "MINISTACK", "AWS_PROFILE"))]
(root / "output/data/metrics.json").write_text(json.dumps({"leaked": secrets, "file": __file__}))
"""


@pytest.fixture(scope="module")
def recipe(proving: Proving) -> None:
    s3 = proving.cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="recipe/train.py", Body=TRAIN.encode())
    s3.put_object(Bucket=BUCKET, Key="data/1.csv", Body=b"a,target\n1,0\n")


def run(proving: Proving, asked: dict[str, Any], seconds: float = 40) -> dict[str, Any]:
    client = proving.cloud.client("stepfunctions")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:proving-machine"
    arn = client.start_execution(stateMachineArn=machine, input=json.dumps(asked))["executionArn"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = client.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    found = until(ended, seconds=seconds)
    assert found, "the execution did not end"
    return dict(found)


def unpacked(proving: Proving, key: str) -> dict[str, bytes]:
    body = proving.cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}  # type: ignore[union-attr]


def test_a_function_error_is_caught_by_its_class(proving: Proving) -> None:
    found = run(proving, {})
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"caught": "Flaky"})


def test_a_training_job_runs_and_leaves_model_and_output(proving: Proving, recipe: None) -> None:
    found = run(proving, {"job": "proving-good", "fail": "no"})
    assert found["status"] == "SUCCEEDED", found
    assert json.loads(found["output"]) == f"s3://{BUCKET}/out/proving-good/output/model.tar.gz"
    assert unpacked(proving, "out/proving-good/output/model.tar.gz") == {"sub/weights": b"1"}
    metrics = json.loads(unpacked(proving, "out/proving-good/output/output.tar.gz")["metrics.json"])
    assert metrics["leaked"] == []
    assert metrics["file"].endswith("/input/data/recipe/train.py")
    job = proving.cloud.client("sagemaker").describe_training_job(TrainingJobName="proving-good")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert proving.cloud.logs("/aws/sagemaker/TrainingJobs", containing="a,target")


def test_a_failed_job_gives_the_reason_of_the_container(proving: Proving, recipe: None) -> None:
    found = run(proving, {"job": "proving-bad", "fail": "yes"})
    assert json.loads(found["output"]) == "AlgorithmError: no label has two classes, exit code: 3"
    job = proving.cloud.client("sagemaker").describe_training_job(TrainingJobName="proving-bad")
    assert job["TrainingJobStatus"] == "Failed"


def test_a_job_can_be_stopped(proving: Proving, recipe: None) -> None:
    sagemaker = proving.cloud.client("sagemaker")
    client = proving.cloud.client("stepfunctions")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:proving-machine"
    client.start_execution(stateMachineArn=machine, input=json.dumps({"job": "proving-long", "fail": "long"}))
    until(
        lambda: (
            proving.cloud.logs("/aws/sagemaker/TrainingJobs", containing="rows")
            and "proving-long" in str(sagemaker.list_training_jobs())
        )
    )
    until(lambda: sagemaker.describe_training_job(TrainingJobName="proving-long")["SecondaryStatus"] == "Training")
    sagemaker.stop_training_job(TrainingJobName="proving-long")

    def stopped() -> bool:
        return bool(sagemaker.describe_training_job(TrainingJobName="proving-long")["TrainingJobStatus"] == "Stopped")

    assert until(stopped)


def test_a_name_is_used_once_and_an_unknown_job_is_not_found(proving: Proving, recipe: None) -> None:
    sagemaker = proving.cloud.client("sagemaker")
    with pytest.raises(ClientError, match=r"Could not find"):
        sagemaker.describe_training_job(TrainingJobName="proving-never")
    with pytest.raises(ClientError, match="not found"):
        sagemaker.stop_training_job(TrainingJobName="proving-never")


def test_a_wait_for_a_token_ends_by_the_token_by_time_or_by_the_error_of_the_function(proving: Proving) -> None:
    late = run(proving, {"token_seconds": 1, "do": "nothing"})
    assert (late["status"], json.loads(late["output"])) == ("SUCCEEDED", {"caught": "time"})
    broken = run(proving, {"token_seconds": 600, "do": "raise"})
    assert (broken["status"], json.loads(broken["output"])) == ("SUCCEEDED", {"caught": "Flaky"})
    client = proving.cloud.client("stepfunctions")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:proving-machine"
    asked = json.dumps({"token_seconds": 600, "do": "say"})
    arn = client.start_execution(stateMachineArn=machine, input=asked)["executionArn"]
    said = until(lambda: proving.cloud.logs("/proving/prover", containing="said "))
    token = str(said[-1]).partition("said ")[2].partition(" end")[0]
    client.send_task_success(taskToken=token, output='{"decision": "approve"}')
    ended = until(lambda: client.describe_execution(executionArn=arn)["status"] == "SUCCEEDED")
    assert ended and json.loads(client.describe_execution(executionArn=arn)["output"]) == {"decision": "approve"}
    with pytest.raises(ClientError, match="TaskDoesNotExist"):
        client.send_task_success(taskToken=token, output="{}")


def test_the_machines_role_is_enforced(proving: Proving) -> None:
    found = run(proving, {"forbidden": True})
    assert found["status"] == "FAILED"
    assert found["error"] == "SNS.AuthorizationErrorException"
    assert "sns:Publish" in found["cause"]
    other = run(proving, {"job": "not-the-prefix", "fail": "no"})
    history = proving.cloud.client("stepfunctions").get_execution_history(executionArn=other["executionArn"])["events"]
    (failure,) = [e["taskFailedEventDetails"] for e in history if e["type"] == "TaskFailed"]
    assert failure["error"] == "SageMaker.AccessDeniedException"
    assert "sagemaker:CreateTrainingJob" in failure["cause"]
