"""The stack of a model on Fargate is deployed; its server, with what the task definition tells it, answers from the team's ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from labcycle.config import names
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from tests.cloud.serving.test_life_cycle import LARGE, MODEL, SMALL
from tests.cloud.team import COLUMNS, Team
from tests.unit.model_server.test_process import PATIENCE_SECONDS, Process


@pytest.fixture
def process(fraud: Team, tmp_path: Path) -> Iterator[Process]:
    """What a task of the deployed service runs."""
    ecs = fraud.place.client("ecs")
    cluster, name = (fraud.output(names.model_stack(MODEL), key) for key in ("ServerCluster", "ServerService"))
    [service] = ecs.describe_services(cluster=cluster, services=[name])["services"]
    task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    [container] = task["containerDefinitions"]
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    told = {one["name"]: one["value"] for one in container["environment"]}
    made = Process(f"http://127.0.0.1:{port}", tmp_path / "log", told, fraud.place.region)
    try:
        yield made.wait()
    finally:
        if made.popen.poll() is None:
            made.popen.kill()
            made.popen.wait()
        server.stop()


def test_it_serves_what_is_promoted_and_tells_the_monitor(fraud: Team, process: Process) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[2.0, 12], [-2.0, 12]]}}
    assert process.ask("POST", "/invocations", body)[0] == 404
    first, second = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    assert reviewer.promote(MODEL, first)["notes"] == []
    status, headers, said = process.ask("POST", "/invocations", body)
    assert (status, said, headers["x-labcycle-model-version"]) == (200, {"predictions": [1, 0]}, str(first))
    reviewer.promote(MODEL, second)
    assert process.end() == 0, process.log()
    table = Table(fraud.place.client("dynamodb"), fraud.table)
    written = Profiles(table).read(MODEL, first, datetime.now(UTC) - timedelta(hours=1))
    assert [one.doc["rows"] for one in written] == [2]


def test_a_shadow_runs_in_its_process_and_has_no_answer(fraud: Team, process: Process) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[2.0, 12], [-2.0, 12]]}}
    first, second = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    reviewer.promote(MODEL, first)
    shadow = f"/labcycle/1.0/models/{MODEL}/shadow"
    begun = reviewer.call("POST", shadow, body={"version": str(second)})
    assert begun.status == 200, str(begun)
    assert begun.json()["deployment"]["shadow"]["in_process"] is True
    until = time.monotonic() + PATIENCE_SECONDS
    assert process.ask("POST", "/invocations", body)[2] == {"predictions": [1, 0]}
    while reviewer.call("GET", shadow).json()["requests"]["seen"] < 1 and time.monotonic() < until:
        time.sleep(0.1)
    assert process.end() == 0, process.log()
    said = reviewer.call("GET", shadow).json()
    assert (said["requests"]["offered"], said["requests"]["seen"], said["requests"]["failed"]) == (1, 1, 0)
    assert (said["agreement"]["rows"], said["agreement"]["same"]) == (2, 0)


def test_the_service_is_as_the_team_file_says(fraud: Team) -> None:
    [target] = fraud.place.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 4)
    parameter = names.model_server_memory_parameter("fraud", MODEL)
    assert fraud.place.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"] == "3072"
