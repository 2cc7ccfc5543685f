"""The doors for tokens of a whole team: a subject of one issuer is a member, of another it is not; teams stay apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra.app import settings
from labcycle.config import Target, names
from labcycle.config import Team as TeamFile
from labcycle.local.tokens import LocalIssuer
from labcycle.platform import TargetPlatform, TeamPlatform
from tests.cloud.harness import Answer, cloud
from tests.cloud.harness.http_api import HttpApi
from tests.cloud.harness.place import Place

PLACE = Place("123456789012", "eu-west-1")
COMPANY, PARTNER = LocalIssuer("https://login.example.com/t"), LocalIssuer("https://partner.example.com")
ISSUERS = {COMPANY.url: COMPANY.keys, PARTNER.url: PARTNER.keys}
AUDIENCE = "labcycle"
_TARGET: dict[str, Any] = {
    "target": "here",
    "account": PLACE.account,
    "region": PLACE.region,
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "here", "egress": "none"},
    "sign_in": {"oidc_provider": "login.example.com/t"},
}


def _team(name: str) -> dict[str, Any]:
    return {
        "team": name,
        "owner": "owner@example.com",
        "cost_centre": "cc-1",
        "target": "here",
        "stage": "sandbox",
        "members": [
            {"name": "ada", "principal": {"oidc_subject": f"ada-of-{name}"}, "roles": ["data_scientist"]},
            {
                "name": "bob",
                "principal": {"iam_user": f"bob-of-{name}"},
                "roles": ["reviewer"],
                "tokens": [{"issuer": "partner", "subject": f"ada-of-{name}"}],
            },
        ],
        "tracking": {
            "issuers": [
                {"name": "company", "url": COMPANY.url, "audience": AUDIENCE},
                {"name": "partner", "url": PARTNER.url, "audience": AUDIENCE},
            ]
        },
    }


@dataclass(frozen=True)
class Doors:
    outputs: Mapping[str, Mapping[str, str]]

    def post(self, team: str, door: str, token: str, path: str, body: Mapping[str, Any]) -> Answer:
        address = self.outputs[f"{names.team_stage(team)}-tracking"][names.token_url_output(door)]
        api = HttpApi(address, PLACE.account, ISSUERS)
        return api.call("POST", path, body=dict(body), headers={"authorization": f"Bearer {token}"})

    def creates(self, team: str, door: str, token: str, name: str) -> int:
        return self.post(team, door, token, "/api/2.0/mlflow/registered-models/create", {"name": name}).status


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    app = App(context=settings(), outdir=str(tmp_path_factory.mktemp("assembly")), analytics_reporting=False)
    target = Target.model_validate(_TARGET)
    TargetPlatform(app, target=target)
    for name in ("ours", "theirs"):
        TeamPlatform(app, team=TeamFile.model_validate(_team(name)), target=target)
    directory = Path(app.synth().directory)
    with cloud() as made:
        made.deploy(directory, PLACE, lambda name: name.startswith("labcycle-target-"))
        made.deploy(directory, PLACE, lambda name: not name.startswith("labcycle-target-"))
        yield Doors(made.outputs)


def test_a_member_registers_and_whoever_else_holds_a_token_does_not(doors: Doors) -> None:
    ada = COMPANY.token("ada-of-ours", AUDIENCE)
    assert doors.creates("ours", "company", ada, "churn") == 200
    assert doors.creates("ours", "company", COMPANY.token("somebody", AUDIENCE), "another") == 403
    assert doors.creates("ours", "company", COMPANY.token("ada-of-ours", "another audience"), "another") == 401
    assert doors.creates("ours", "company", "garbage", "another") == 401


def test_a_door_takes_the_tokens_of_its_own_issuer(doors: Doors) -> None:
    assert doors.creates("ours", "partner", COMPANY.token("ada-of-ours", AUDIENCE), "another") == 401


def test_the_same_subject_of_another_issuer_is_another_member(doors: Doors) -> None:
    answer = doors.post(
        "ours", "partner", PARTNER.token("ada-of-ours", AUDIENCE), "/api/2.0/mlflow/experiments/create", {"name": "e"}
    )
    assert answer.status == 403
    assert answer.json()["message"] == "bob has not the right to log, which this takes. Who has it: ada."


def test_a_member_of_one_team_is_a_stranger_to_another(doors: Doors) -> None:
    ada = COMPANY.token("ada-of-ours", AUDIENCE)
    assert doors.creates("theirs", "company", ada, "theirs") == 403
    path, body = "/api/2.0/mlflow/registered-models/get-latest-versions", {"name": "churn"}
    assert doors.post("ours", "company", ada, path, body).status == 200
    assert doors.post("theirs", "company", ada, path, body).status == 404


def test_who_came_with_a_token_is_in_the_chain_of_custody(doors: Doors) -> None:
    """Recorded as member, issuer and subject, where a role has member, role and session."""
    ada = COMPANY.token("ada-of-ours", AUDIENCE)
    assert doors.creates("ours", "company", ada, "early") == 200
    rename = {"name": "early", "new_name": "late"}
    assert doors.post("ours", "company", ada, "/api/2.0/mlflow/registered-models/rename", rename).status == 200
    api = HttpApi(doors.outputs["labcycle-ours-tracking"]["TrackingUrlCompany"], PLACE.account, ISSUERS)
    chain = api.call("GET", "/labcycle/1.0/models/early/custody", headers={"Authorization": f"Bearer {ada}"})
    renamed = [event["who"] for event in chain.json()["events"] if event["action"] == "renamed"]
    assert renamed == [{"member": "ada", "role": COMPANY.url, "session": "ada-of-ours"}]
