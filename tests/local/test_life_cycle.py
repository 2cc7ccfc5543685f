"""Up, deploy, update, destroy, down; and that nothing stays behind, whatever ends first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labcycle.local import process
from labcycle.local.cloud import LocalCloud
from labcycle.local.report import UnknownTypesError
from labcycle.local.settings import START_ID
from tests.local import proving_app
from tests.local.calling import call
from tests.local.conftest import free_port, until
from tests.local.proving_app import ACCOUNT, REGION

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "labcycle.cli", "local"]
STARTER = """
import sys, time
from pathlib import Path
from labcycle.local.cloud import LocalCloud
cloud = LocalCloud.start(port=int(sys.argv[1]), folder=Path(sys.argv[2]))
print(cloud.pid, flush=True)
time.sleep(600)
"""


def hear_ctrl_c() -> None:
    """In a child about to start: tests that run in a shell's background inherit that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def gone(folder: Path, start_id: str) -> bool:
    return bool(until(lambda: not process.processes_of(start_id)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_its_starter(tmp_path: Path, number: signal.Signals) -> None:
    arguments = [sys.executable, "-c", STARTER, str(free_port()), str(tmp_path)]
    starter = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
    )
    assert starter.stdout is not None and starter.stdout.readline()
    running = process.find(tmp_path)
    assert running is not None
    starter.send_signal(number)
    starter.wait(timeout=60)
    assert gone(tmp_path, running.settings.start_id)
    assert process.find(tmp_path) is None


def test_a_second_one_in_the_folder_is_refused_and_a_kept_one_outlives_its_starter(tmp_path: Path) -> None:
    script = STARTER.replace("time.sleep(600)", "cloud.keep()")
    arguments = [sys.executable, "-c", script, str(free_port()), str(tmp_path)]
    subprocess.run(arguments, check=True, capture_output=True)
    cloud = LocalCloud.attach(tmp_path)
    try:
        assert cloud.status()["start_id"] == cloud.settings.start_id
        with pytest.raises(process.LocalCloudError, match="already runs"):
            LocalCloud.start(port=free_port(), folder=tmp_path)
        assert cloud.running()
    finally:
        cloud.stop()
    assert gone(tmp_path, cloud.settings.start_id)


@pytest.mark.parametrize("then", ["down", "up"])
def test_after_a_crash_of_the_server_nothing_of_it_stays(tmp_path: Path, then: str) -> None:
    cloud = LocalCloud.start(ACCOUNT, REGION, free_port(), folder=tmp_path)
    start_id = cloud.settings.start_id
    busy = subprocess.Popen(  # as a training job that the server started would be
        [sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, START_ID: start_id}
    )
    try:
        os.kill(cloud.pid, signal.SIGKILL)
        cloud._started.process.wait()  # type: ignore[union-attr]
        assert process.find(tmp_path) is None
        if then == "up":
            with LocalCloud.start(ACCOUNT, REGION, free_port(), folder=tmp_path) as another:
                assert another.status()["start_id"] != start_id
        else:
            assert process.stop(tmp_path)
        assert busy.wait(timeout=10) == -signal.SIGKILL
        assert gone(tmp_path, start_id)
        assert not (tmp_path / "run").exists()
    finally:
        busy.kill()
        busy.wait()


def test_deploy_update_destroy_and_down(tmp_path: Path) -> None:
    first = proving_app.build(tmp_path / "first")
    second = proving_app.build(tmp_path / "second", version="2", threshold=7.0)
    folder = tmp_path / "cloud"
    with LocalCloud.start(ACCOUNT, REGION, free_port(), folder=folder) as cloud:
        cloud.bootstrap()
        url = cloud.deploy(first, ["proving/*"]).outputs["proving-web"]["Url"]
        ada = cloud.assume("proving-caller", "ada")
        assert json.loads(call(ada, REGION, f"{url}/items/x").body)["version"] == "1"

        assert cloud.deploy(second, ["proving/*"]).outputs["proving-web"]["Url"] == url
        assert json.loads(call(ada, REGION, f"{url}/items/x").body)["version"] == "2"
        (alarm,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=["proving-alarm"])["MetricAlarms"]
        assert alarm["Threshold"] == 7.0

        cloud.client("s3").put_object(Bucket="proving-bucket", Key="kept", Body=b"x")
        retained = cloud.destroy(second, ["proving/*"])
        assert retained == ["The bucket proving-bucket and the table proving-protected."]
        assert list(cloud.all_outputs()) == ["CDKToolkit"]
        assert cloud.client("lambda").list_functions()["Functions"] == []
        assert cloud.client("dynamodb").list_tables()["TableNames"] == ["proving-protected"]
        assert cloud.client("sns").list_topics()["Topics"] == []
        assert cloud.client("apigatewayv2").get_apis()["Items"] == []
        assert {b["Name"] for b in cloud.client("s3").list_buckets()["Buckets"] if "cdk-" not in b["Name"]} == {
            "proving-bucket"
        }
        kms = cloud.client("kms")
        states = [kms.describe_key(KeyId=k["KeyId"])["KeyMetadata"]["KeyState"] for k in kms.list_keys()["Keys"]]
        assert states.count("PendingDeletion") == 2
        assert call(ada, REGION, f"{url}/items/x").status == 404
    assert gone(folder, cloud.settings.start_id)
    assert not (folder / "run").exists()


def test_a_bucket_with_objects_is_not_destroyed(tmp_path: Path) -> None:
    import aws_cdk as cdk
    from aws_cdk import aws_s3 as s3

    from labcycle.local.cdk_cli import CdkError

    app = cdk.App(outdir=str(tmp_path / "app"), analytics_reporting=False)
    stack = cdk.Stack(app, "full", env=cdk.Environment(account=ACCOUNT, region=REGION))
    s3.Bucket(stack, "Bucket", bucket_name="full", removal_policy=cdk.RemovalPolicy.DESTROY)
    app.synth()
    with LocalCloud.start(ACCOUNT, REGION, free_port(), folder=tmp_path / "cloud") as cloud:
        cloud.bootstrap()
        cloud.deploy(tmp_path / "app", ["full"])
        cloud.client("s3").put_object(Bucket="full", Key="a", Body=b"x")
        with pytest.raises(CdkError, match="full"):
            cloud.destroy(tmp_path / "app", ["full"])
        assert [b for b in cloud.client("s3").list_buckets()["Buckets"] if b["Name"] == "full"]


def test_an_unlisted_type_fails_before_and_on_the_server(tmp_path: Path) -> None:
    """Also where somebody deploys with the CLI alone, past our own check."""
    import aws_cdk as cdk

    app = cdk.App(outdir=str(tmp_path / "app"), analytics_reporting=False)
    stack = cdk.Stack(app, "odd", env=cdk.Environment(account=ACCOUNT, region=REGION))
    cdk.CfnResource(
        stack, "Odd", type="AWS::AppSync::GraphQLApi", properties={"Name": "x", "AuthenticationType": "AWS_IAM"}
    )
    app.synth()
    with LocalCloud.start(ACCOUNT, REGION, free_port(), folder=tmp_path / "cloud") as cloud:
        with pytest.raises(UnknownTypesError, match="AWS::AppSync::GraphQLApi in odd"):
            cloud.deploy(tmp_path / "app", ["odd"])
        template = json.loads((tmp_path / "app" / "odd.template.json").read_text())
        client = cloud.client("cloudformation")
        with pytest.raises(
            client.exceptions.ClientError, match=r"Unrecognized resource types: \[AWS::AppSync::GraphQLApi\]"
        ):
            client.create_stack(StackName="odd", TemplateBody=json.dumps({"Resources": template["Resources"]}))


def test_the_command_line(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run("status").returncode == 1
    port = free_port()
    up = run("up", "--port", str(port), "--account", ACCOUNT, "--region", REGION, "--json")
    try:
        assert up.returncode == 0, up.stderr
        assert json.loads(up.stdout)["account"] == ACCOUNT
        again = run("up", "--port", str(port))
        assert again.returncode == 2 and "already runs" in again.stderr and "Traceback" not in again.stderr
        status = json.loads(run("status", "--json").stdout)
        assert (status["running"], status["region"], status["stacks"]) == (True, REGION, ["CDKToolkit"])
        assert json.loads(run("notices", "--json").stdout) == []
        nothing = run("deploy", "--app", "nowhere")
        assert nothing.returncode == 2 and "no cloud assembly" in nothing.stderr
    finally:
        down = run("down", "--json")
    assert json.loads(down.stdout) == {"ended": True}
    assert json.loads(run("down", "--json").stdout) == {"ended": False}


def test_ctrl_c_in_the_foreground_ends_everything(tmp_path: Path) -> None:
    arguments = [*COMMAND, "up", "--foreground", "--json", "--port", str(free_port())]
    owner = subprocess.Popen(
        arguments,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
    )
    assert owner.stdout is not None
    while "clock_ahead" not in owner.stdout.readline():
        assert owner.poll() is None
    running = process.find(tmp_path / ".labcycle")
    assert running is not None
    owner.send_signal(signal.SIGINT)
    owner.wait(timeout=20)
    assert gone(tmp_path, running.settings.start_id)
