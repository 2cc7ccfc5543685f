"""The door for tokens, with an issuer on this machine: who is let in, and what they may do."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labcycle.client.api import ApiError, LifecycleClient
from labcycle.local.cloud import LocalCloud
from labcycle.local.tokens import LocalIssuer
from tests.local import tracking_app
from tests.local.calling import Answer, send
from tests.local.conftest import free_port, until
from tests.local.tracking_app import ACCOUNT, ISSUER, REGION

SESSIONS = Path(__file__).parent / "sessions"
ADA, BOB, STRANGER = "subject-of-ada", "subject-of-bob", "subject-of-nobody"


@dataclass(frozen=True)
class Door:
    cloud: LocalCloud
    issuer: LocalIssuer
    url: str
    signed_url: str

    def token(self, subject: str, **claims: Any) -> str:
        return self.issuer.token(subject, ISSUER.audience, **claims)

    def post(self, path: str, body: Mapping[str, Any], token: str | None, scheme: str = "Bearer ") -> Answer:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": scheme + token} if token is not None else {}
        )
        return send("POST", f"{self.url}/api/2.0/mlflow/{path}", headers, json.dumps(body).encode())

    def search(self, token: str | None, scheme: str = "Bearer ") -> int:
        return self.post("experiments/search", {"max_results": 5}, token, scheme).status


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    assembly = tracking_app.build(tmp_path_factory.mktemp("assembly"))
    folder = tmp_path_factory.mktemp("cloud")
    with (
        LocalIssuer(ISSUER.url) as issuer,
        LocalCloud.start(ACCOUNT, REGION, free_port(), folder=folder) as cloud,
    ):
        cloud.play_issuer(ISSUER.url, issuer.address)
        cloud.bootstrap()
        outputs = cloud.deploy(assembly, ["tracking"]).outputs["tracking"]
        yield Door(cloud, issuer, outputs["Url"], outputs["SignedUrl"])


def test_a_token_of_the_issuer_opens_the_door_and_nothing_else_does(door: Door) -> None:
    good = door.token(ADA)
    assert door.search(good) == door.search(good, scheme="") == 200
    head, _, signature = good.split(".")
    refused = {
        "none": None,
        "garbage": "garbage",
        "forged": ".".join([head, door.token(BOB).split(".")[1], signature]),
        "of another key": LocalIssuer(ISSUER.url).token(ADA, ISSUER.audience),
        "of another issuer": door.token(ADA, iss="https://login.example.com"),
        "ended": door.token(ADA, seconds=-1),
        "for another audience": door.issuer.token(ADA, "sts.amazonaws.com"),
    }
    assert {what: door.search(token) for what, token in refused.items()} == dict.fromkeys(refused, 401)
    answer = door.post("experiments/search", {}, "garbage")
    assert json.loads(answer.body) == {"message": "Unauthorized"}
    assert (
        send("POST", f"{door.signed_url}/api/2.0/mlflow/experiments/search", {"Authorization": f"Bearer {good}"}).status
        == 403
    )


def test_a_stranger_with_a_good_token_may_log_and_not_register(door: Door) -> None:
    token = door.token(STRANGER)
    made = door.post("experiments/create", {"name": "of a stranger"}, token)
    assert made.status == 200
    experiment = json.loads(made.body)["experiment_id"]
    run = door.post("runs/create", {"experiment_id": experiment, "user_id": "ada"}, token)
    assert json.loads(run.body)["run"]["info"]["user_id"] == f"{ISSUER.url}/{STRANGER}"
    for path, body in (
        ("registered-models/create", {"name": "theirs"}),
        ("experiments/delete", {"experiment_id": experiment}),
    ):
        answer = door.post(path, body, token)
        assert (answer.status, json.loads(answer.body)["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_member_may_what_the_persona_may(door: Door) -> None:
    answer = door.post("experiments/create", {"name": "bob's"}, door.token(BOB))
    assert answer.status == 403
    assert json.loads(answer.body)["message"] == "bob has not the right to log, which this takes. Who has it: ada."


def test_the_access_log_tells_who_came(door: Door) -> None:
    door.search(door.token(ADA))
    lines = until(lambda: door.cloud.logs("/aws/vendedlogs/labcycle/lab/tracking", containing=ADA))
    line = json.loads(lines[-1])
    assert (line["issuer"], line["subject"], line["status"]) == (ISSUER.url, ADA, "200")


def session(door: Door, name: str) -> dict[str, Any]:
    """What a session of the stock client says in the end: ada's, who has no credentials of AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLFLOW_", "LABCYCLE_"))}
    environment = {
        **kept,
        "MLFLOW_TRACKING_URI": door.url,
        "MLFLOW_TRACKING_TOKEN": door.token(ADA),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    command = [sys.executable, str(SESSIONS / f"{name}.py")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


def test_two_hundred_megabytes_go_around_the_function(door: Door) -> None:
    told = session(door, "large_artifact")
    assert told["artifact_uri"].startswith("mlflow-artifacts:/")
    assert told["same"]
    assert told["largest"]["s3"] == [10 * 1024**2, 100 * 1024**2]
    assert max(told["largest"]["api"]) < 50_000, "the addresses of the parts"


def test_a_session_of_the_stock_client_over_a_token_and_its_promotion(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of AWS is known to the client: artifacts go by addresses that the API gives out."""
    told = session(door, "autologging")
    assert told.pop("artifact_uri").startswith("mlflow-artifacts:/")
    assert told == {
        "version": "1",
        "alike": True,
        "user": "ada",
        "inputs": ["baseline"],
        "children": ["0.1", "1.0"],
        "scores": [True, True],
        "settings": {"seed": 7},
    }
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    issue = "import sys; print(sys.argv[1])"
    for subject, allowed in ((ADA, False), (BOB, True)):
        command = shlex.join([sys.executable, "-c", issue, door.token(subject)])
        monkeypatch.setenv("LABCYCLE_TOKEN_COMMAND", command)
        client = LifecycleClient(door.url)
        if allowed:
            assert client.deployment("card-fraud")["deployment"]["live"] is None
        else:
            with pytest.raises(ApiError, match=r"ada has not the right to promote, .* Who has it: bob"):
                client.promote("card-fraud", 1)
