"""`labcycle models consumers` and `key`, with more and fewer rights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.core.botocore_stubber import MockRawResponse
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client.api import TeamApi
from labcycle.client.consumers import look, read_key
from labcycle.config import names
from labcycle.errors import LabcycleError

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
USED = [
    {"consumer": "bank", "period": "2026-W47", "requests": 900, "current_of": None},
    {"consumer": "bank", "period": "2026-W48", "requests": 7, "current_of": "week"},
]
MODEL = "card-fraud"
SHOP = "arn:aws:iam::210987654321:role/shop"


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["models", *words])


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, tuple[str, str]]]:
    """Ids of keys, and the keys, by consumer."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://abc.execute-api.eu-west-1.amazonaws.com")
    monkeypatch.setenv("COLUMNS", "200")

    def answer(
        self: TeamApi,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
    ) -> dict[str, Any]:
        assert (method, path.rpartition("/")[2]) == ("GET", "consumers")
        return {"team": "fraud", "model": path.split("/")[-2], "used": [dict(one) for one in USED]}

    monkeypatch.setattr(TeamApi, "call", answer)
    with mock_aws():
        gateway = boto3.client("apigateway", "eu-west-1")
        made = {name: gateway.create_api_key(name=name) for name in ("team", "shop", "bank", "partner")}
        told = {
            "team": [made["team"]["id"]],
            "consumers": [
                ["shop", SHOP, made["shop"]["id"], "plan1", 1000, "month", 0],
                ["bank", "arn:aws:iam::123456789012:role/bank", made["bank"]["id"], "plan2", 7, "week", 1],
                ["partner", "310987654321", made["partner"]["id"], "plan3"],
            ],
        }
        boto3.client("ssm", "eu-west-1").put_parameter(
            Name=names.consumers_parameter("fraud", MODEL), Value=json.dumps(told), Type="String"
        )
        yield {name: (one["id"], one["value"]) for name, one in made.items()}


@pytest.fixture
def aws_says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Answer an operation of every client with this document; its addresses are kept."""

    def say(operation: str, document: dict[str, Any], status: int = 200) -> list[str]:
        asked: list[str] = []

        def answered(request: Any, **_: Any) -> AWSResponse:
            asked.append(request.url)
            headers = HTTPHeaders.from_dict({"content-type": "application/json"})
            if status != 200:
                headers["x-amzn-errortype"] = document["code"]
            return AWSResponse(request.url, status, headers, MockRawResponse(json.dumps(document)))

        made = boto3.Session.client

        def client(self: boto3.Session, *arguments: Any, **more: Any) -> Any:
            found: Any = made(self, *arguments, **more)
            found.meta.events.register_first(f"before-send.{operation}", answered)
            return found

        monkeypatch.setattr(boto3.Session, "client", client)
        return asked

    return say


def test_what_each_used_is_told_by_who_counts_it(
    keys: dict[str, tuple[str, str]], aws_says: Callable[..., list[str]]
) -> None:
    asked = aws_says(
        "api-gateway.GetUsage",
        {"usagePlanId": "plan1", "values": {keys["shop"][0]: [[10, 990], [0, 990], [240, 750]]}},
    )
    shop, bank, partner = look(MODEL, NOW)
    assert (shop.used, shop.requests, shop.per, shop.hard, shop.is_over) == (250, 1000, "month", False, False)
    assert (bank.used, bank.requests, bank.hard, bank.is_over) == (7, 7, True, True)
    assert (partner.used, partner.requests, partner.is_over) == (None, None, False)
    (address,) = asked
    assert "endDate=2026-11-27" in address and keys["shop"][0] in address


def test_nobody_asked_yet(
    keys: dict[str, tuple[str, str]], aws_says: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_says("api-gateway.GetUsage", {"usagePlanId": "plan1", "values": {}})
    monkeypatch.setattr(f"{__name__}.USED", USED[:1])
    shop, bank, _ = look(MODEL, NOW)
    assert (shop.used, bank.used) == (0, 0)


def test_what_may_not_be_seen_is_said(keys: dict[str, tuple[str, str]], aws_says: Callable[..., list[str]]) -> None:
    aws_says("api-gateway.GetUsage", {"message": "no", "code": "AccessDeniedException"}, status=403)
    result = call("consumers", MODEL)
    assert result.exit_code == 0, result.output
    (shop,) = [line for line in result.stdout.splitlines() if "shop" in line]
    assert "1,000 a month" in shop and "not known" in shop
    assert "not known of shop: the usage of shop: your role may not read it" in result.stderr
    said = json.loads(call("consumers", MODEL, "--json").stdout)
    assert next((one["name"], one["used"], one["over"]) for one in said["consumers"]) == ("shop", None, False)
    assert keys["shop"][1] not in json.dumps(said) and keys["shop"][1] not in result.output


@pytest.mark.parametrize("consumer", ["shop", "bank", "team"])
def test_a_key_is_all_that_is_printed(keys: dict[str, tuple[str, str]], consumer: str) -> None:
    result = call("key", MODEL, consumer)
    assert (result.exit_code, result.stdout) == (0, f"{keys[consumer][1]}\n")


def test_without_a_name_it_is_the_teams_key(keys: dict[str, tuple[str, str]]) -> None:
    assert call("key", MODEL).stdout == f"{keys['team'][1]}\n"


def test_mistakes_are_told(keys: dict[str, tuple[str, str]], aws_says: Callable[..., list[str]]) -> None:
    with pytest.raises(LabcycleError, match=r"no consumer of card-fraud; it has team, shop, bank, partner"):
        read_key(MODEL, "shp")
    with pytest.raises(LabcycleError, match=r"other has no consumers: .* Name consumers under its api"):
        look("other", NOW)
    aws_says("api-gateway.GetApiKey", {"message": "no", "code": "AccessDeniedException"}, status=403)
    with pytest.raises(LabcycleError, match="the key of shop: your role may not read it"):
        read_key(MODEL, "shop")
