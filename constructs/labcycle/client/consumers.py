"""The commands `consumers` and `key` of the group `labcycle models`: who asks the API of a model, how much, and by which key.

Limits and ids of keys are read from the parameter that the model's stack wrote, what a consumer used from API Gateway, or from
the ledger where its quota is hard. A key itself is only ever asked of API Gateway, with the caller's own rights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from labcycle.client.api import LifecycleClient
from labcycle.client.decisions import AsJson, ModelName
from labcycle.client.own_rights import OwnRights
from labcycle.client.signing import region_of
from labcycle.client.tables import print_json, print_table
from labcycle.config import names
from labcycle.config.rules import TEAM_KEY
from labcycle.errors import LabcycleError

_WHOLE_DAYS = {"day": 0, "week": 7, "month": 31}  # that are looked at for the last one on which something was asked


@dataclass(frozen=True)
class ConsumerView:
    """`used`: requests of this period, None where it is not known, with `problem`; or where there is no quota."""

    name: str
    principal: str
    key_id: str
    requests: int | None = None
    per: str | None = None
    hard: bool = False
    used: int | None = None
    problem: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it is answered with 429 until the period ends."""
        return self.requests is not None and self.used is not None and self.used >= self.requests


def register(app: typer.Typer) -> None:
    """Add the commands to `app`. Errors are raised as `LabcycleError`."""

    @app.command()
    def consumers(model: ModelName, as_json: AsJson = False) -> None:
        """Show who may ask the API of a model, with which quota, and how much of it is used."""
        found = look(model, datetime.now(UTC))
        if as_json:
            return print_json({"model": model, "consumers": [{**asdict(one), "over": one.is_over} for one in found]})
        headings = ("consumer", "principal", "quota", "counted", "used", "")
        print_table(model, headings, [_row(one) for one in found])
        for one in found:
            if one.problem:
                typer.echo(f"not known of {one.name}: {one.problem}", err=True)

    @app.command()
    def key(
        model: ModelName,
        consumer: Annotated[
            str, typer.Argument(help=f"Name of a consumer; {TEAM_KEY} for the team's own key.")
        ] = TEAM_KEY,
    ) -> None:
        """Print the key that a consumer of a model sends as x-api-key, and nothing else."""
        typer.echo(read_key(model, consumer))


def look(model: str, now: datetime) -> list[ConsumerView]:
    """Every consumer, with what it used of its quota in the period that `now` is in.

    Raises
    ------
    LabcycleError
        If the model has no consumers, or may not be looked at.
    """
    place = _Place(model)
    return [_looked(place, entry, now) for entry in place.told()["consumers"]]


def read_key(model: str, consumer: str) -> str:
    """The key of a consumer. Raises `LabcycleError`."""
    place = _Place(model)
    told = place.told()
    ids: dict[str, str] = {TEAM_KEY: told["team"][0]} | {entry[0]: entry[2] for entry in told["consumers"]}
    if consumer not in ids:
        raise LabcycleError(
            f"{consumer}: no consumer of {model}; it has {', '.join(ids)}. Name one of them, or add it to the team file"
        )
    value: str = place.aws.ask(
        f"the key of {consumer}",
        lambda: place.aws.client("apigateway").get_api_key(apiKey=ids[consumer], includeValue=True),
    )["value"]
    return value


class _Place:
    """Where a model's consumers are told: team and region of the API that is asked for the counts."""

    def __init__(self, model: str) -> None:
        self.model = model
        api = LifecycleClient()
        said = api.consumers(model)
        self.team: str = said["team"]
        self.counted = {(one["consumer"], one["current_of"]): int(one["requests"]) for one in said["used"]}
        self.aws = OwnRights(region_of(api.address), f"Operators may, and members who invoke models the key {TEAM_KEY}")

    def told(self) -> dict[str, Any]:
        """The parameter of the model's stack."""
        said = self.aws.parameter(
            names.consumers_parameter(self.team, self.model),
            f"the consumers of {self.model}",
            f"{self.model} has no consumers: nobody needs a key, members sign and that is all. Name consumers under its api in the team "
            "file, and deploy",
        )
        found: dict[str, Any] = json.loads(said)
        return found


def _looked(place: _Place, entry: list[Any], now: datetime) -> ConsumerView:
    name, principal, key_id, plan_id, *quota = entry
    if not quota:
        return ConsumerView(name, principal, key_id)
    requests, per, hard = quota
    used, problem = None, ""
    if hard:
        used = place.counted.get((name, per), 0)
    else:
        try:
            used = _used_of_plan(place, name, key_id, plan_id, requests, per, now)
        except LabcycleError as error:
            problem = str(error)
    return ConsumerView(name, principal, key_id, requests, per, bool(hard), used, problem)


def _used_of_plan(place: _Place, name: str, key_id: str, plan_id: str, requests: int, per: str, now: datetime) -> int:
    """By what API Gateway says that remains, since it alone knows when its periods begin."""
    first = now - timedelta(days=_WHOLE_DAYS[per])
    said: Mapping[str, Any] = place.aws.ask(
        f"the usage of {name}",
        lambda: place.aws.client("apigateway").get_usage(
            usagePlanId=plan_id, keyId=key_id, startDate=f"{first:%Y-%m-%d}", endDate=f"{now:%Y-%m-%d}"
        ),
    )
    days = said.get("items", {}).get(key_id, [])  # [used, remaining] a day: none where nothing was asked
    return requests - int(days[-1][1]) if days else 0


def _row(one: ConsumerView) -> tuple[str, ...]:
    if one.requests is None:
        return one.name, one.principal, "none", "", "", ""
    share = "" if one.used is None else f"{one.used:,} ({one.used / one.requests:.0%})"
    counted = "exactly" if one.hard else "by API Gateway"
    return (
        one.name,
        one.principal,
        f"{one.requests:,} a {one.per}",
        counted,
        share or "not known",
        "over: answered with 429" if one.is_over else "",
    )
