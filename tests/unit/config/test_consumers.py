"""Consumers in a team file: what is refused, where, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labcycle.config import ApiDelivery, ConfigError, Consumer, check_together, load_target, load_team
from labcycle.config.rules import api_rules
from tests.synth.assembly import ROOT

SHOP = "arn:aws:iam::210987654321:role/shop"
API = "      - {form: api, runtime: lambda, memory_mb: 2048}\n"


def broken(*consumers: dict[str, Any]) -> list[tuple[Any, str]]:
    return [(one.path, one.message) for one in api_rules({"form": "api", "consumers": list(consumers)})]


@pytest.mark.parametrize(
    "principal",
    [
        "210987654321",
        SHOP,
        "arn:aws-cn:iam::210987654321:role/a/b/c_d+e=f,g.h@i-j",
        f"arn:aws:iam::210987654321:role/{'r' * 64}",
    ],
)
def test_principals(principal: str) -> None:
    assert Consumer(name="shop", principal=principal).principal == principal


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        "2109876543",
        "arn:aws:iam::210987654321:root",
        "arn:aws:iam::210987654321:user/shop",
        "arn:aws:iam::210987654321:role/*",
        "arn:aws:iam::210987654321:role/",
        "arn:aws:iam::*:role/shop",
        "arn:aws:sts::210987654321:assumed-role/shop/session",
        f"arn:aws:iam::210987654321:role/{'r' * 65}",
        f"arn:aws:iam::210987654321:role/shop{chr(10)}",
    ],
)
def test_no_principals(principal: str) -> None:
    with pytest.raises(ValueError, match="principal"):
        Consumer(name="shop", principal=principal)


def test_a_consumer_is_one_principal_with_a_name_of_its_own() -> None:
    one = {"name": "shop", "principal": SHOP}
    assert broken(one, {"name": "bank", "principal": "210987654321"}) == []
    ((path, message),) = broken(one, {**one, "principal": "310987654321"})
    assert (path, "the name of consumers[0] already" in message) == (("consumers", 1, "name"), True)
    # Sessions of both are told apart by nothing.
    ((path, message),) = broken(one, {"name": "other", "principal": "arn:aws:iam::210987654321:role/apps/shop"})
    assert (path, "which is consumers[0] already" in message) == (("consumers", 1, "principal"), True)
    ((path, message),) = broken({**one, "name": "team"})
    assert (path, "key of the team's own members" in message) == (("consumers", 0, "name"), True)


def test_hard_needs_a_quota() -> None:
    one = {"name": "shop", "principal": SHOP, "hard": True}
    assert broken({**one, "quota": {"requests": 1, "per": "day"}}) == []
    ((path, message),) = broken(one)
    assert (path, "got hard: true without a quota" in message) == (("consumers", 0, "hard"), True)


def test_together_they_fit_what_aws_keeps_them_in() -> None:
    many = [{"name": f"c{n}", "principal": f"arn:aws:iam::2109876543{n:02}:role/{'r' * 64}"} for n in range(20)]
    ((path, message),) = broken(*many)
    assert (path, "allowed 2,500 together" in message) == (("consumers",), True)
    assert broken(*many[:15]) == []


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The example team with a consumer, and its target."""
    team, target = tmp_path / "fraud.yaml", tmp_path / "eu-production.yaml"
    text = (ROOT / "infra" / "teams" / "fraud.yaml").read_text()
    assert API in text
    api = API.rstrip("}\n") + f", consumers: [{{name: shop, principal: {SHOP}}}]}}\n"
    team.write_text(text.replace(API, api))
    target.write_text((ROOT / "infra" / "targets" / "eu-production.yaml").read_text())
    return team, target


def test_the_target_must_say_how_rest_apis_write_logs(files: tuple[Path, Path]) -> None:
    team, target = files
    with pytest.raises(ConfigError) as told:
        check_together(load_team(team), load_target(target))
    (problem,) = told.value.problems
    assert problem.path == "models[0].deliver[0].consumers"
    assert "Set api_gateway_logs: made in the target" in problem.message
    for how in ("made", "there"):
        target.write_text(f"{target.read_text().partition('api_gateway_logs')[0]}api_gateway_logs: {how}\n")
        check_together(load_team(team), load_target(target))


def test_the_targets_own_account_is_too_much(files: tuple[Path, Path]) -> None:
    team, target = files
    target.write_text(f"{target.read_text()}api_gateway_logs: made\n")
    own = load_target(target).account
    team.write_text(team.read_text().replace(SHOP, f'"{own}"'))
    with pytest.raises(ConfigError) as told:
        check_together(load_team(team), load_target(target))
    (problem,) = told.value.problems
    assert problem.path == "models[0].deliver[0].consumers[0].principal"
    assert "the target's own account" in problem.message


def test_without_consumers_there_is_nothing_to_say() -> None:
    assert ApiDelivery(form="api", runtime="lambda").consumers == ()
