"""The command `status`: how a team's tracking stands, as far as the caller may see it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from labcycle.client.api import LIFECYCLE, ApiError, TeamApi
from labcycle.client.signing import CannotSign, region_of
from labcycle.config import names

_LAST_HOUR = timedelta(hours=1)


@dataclass
class Status:
    """`hidden` says what the caller may not see, and why. `behind_seconds`: how long the oldest event waits for an anchor."""

    address: str
    reachable: bool = False
    problem: str = ""
    team: str = ""
    doors: dict[str, str] = field(default_factory=dict)
    last_anchor: dict[str, Any] | None = None
    behind_seconds: int | None = None
    alarms: dict[str, str] | None = None
    last_hour: dict[str, int] | None = None
    hidden: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        return self.reachable and not any(state == "ALARM" for state in (self.alarms or {}).values())


def register(app: typer.Typer) -> None:
    """Add the command to `app`. Errors are raised as `LabcycleError`."""

    @app.command()
    def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
        """Show whether the API answers, how old the last anchor is, alarms, errors. Exits 1 where something is wrong."""
        import boto3

        found = look(TeamApi(), boto3.Session(), datetime.now(UTC))
        if as_json:
            typer.echo(json.dumps({**asdict(found), "well": found.well}, indent=2))
        else:
            _print(found)
        if not found.well:
            raise typer.Exit(1)


def look(api: TeamApi, session: Any, now: datetime) -> Status:
    """Ask the API, then CloudWatch and Systems Manager with the caller's own rights."""
    made = Status(api.address)
    try:
        state = api.call("GET", f"{LIFECYCLE}/custody/state")
    except ApiError as error:
        made.problem = str(error)
        return made
    made.reachable, made.team, made.last_anchor = True, state["team"], state["last_anchor"]
    oldest = state["waiting"][0]["at"] if state["waiting"] else None
    made.behind_seconds = int((now - datetime.fromisoformat(oldest)).total_seconds()) if oldest else 0
    try:
        region = region_of(api.address)
    except CannotSign as error:
        made.hidden.append(f"the addresses, the alarms, errors and throttles: {error}")
        return made
    _look(made, "the addresses", lambda: _doors(made, session.client("ssm", region_name=region)))
    cloudwatch = session.client("cloudwatch", region_name=region)
    _look(made, "the alarms", lambda: _alarms(made, cloudwatch))
    _look(made, "errors and throttles", lambda: _last_hour(made, cloudwatch, now))
    return made


def _look(made: Status, what: str, do: Any) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        do()
    except (ClientError, BotoCoreError) as error:
        why = error.response["Error"].get("Code") if isinstance(error, ClientError) else type(error).__name__
        made.hidden.append(f"{what}: {why}")


def _doors(made: Status, ssm: Any) -> None:
    made.doors["IAM"] = ssm.get_parameter(Name=names.tracking_url_parameter(made.team))["Parameter"]["Value"]


def _alarms(made: Status, cloudwatch: Any) -> None:
    found: dict[str, str] = {}
    for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"labcycle-{made.team}-"):
        found |= {alarm["AlarmName"]: alarm["StateValue"] for alarm in page["MetricAlarms"]}
    made.alarms = found


def _last_hour(made: Status, cloudwatch: Any, now: datetime) -> None:
    api_id = (made.doors.get("IAM") or made.address).split("//")[1].partition(".")[0]
    metrics = {
        "requests": ("AWS/ApiGateway", "Count", {"ApiId": api_id}),
        "errors": ("AWS/ApiGateway", "5xx", {"ApiId": api_id}),
        "throttled": (names.metric_namespace(made.team), "Throttled", {"team": made.team}),
    }
    queries = [
        {
            "Id": identifier,
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": name,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                },
                "Period": 300,
                "Stat": "Sum",
            },
        }
        for identifier, (namespace, name, dimensions) in metrics.items()
    ]
    answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=now - _LAST_HOUR, EndTime=now)
    made.last_hour = {result["Id"]: int(sum(result["Values"])) for result in answer["MetricDataResults"]}


def _print(found: Status) -> None:
    if not found.reachable:
        typer.echo(f"API          does not answer: {found.problem}")
        return
    typer.echo(f"team         {found.team}")
    typer.echo(f"API          answers at {found.address}")
    for kind, address in found.doors.items():
        typer.echo(f"door         {kind}: {address}")
    last = found.last_anchor
    anchored = f"number {last['number']} of {last['at']}" if last else "none yet"
    waits = f", the oldest event waits {found.behind_seconds} s" if found.behind_seconds else ", nothing waits"
    typer.echo(f"last anchor  {anchored}{waits}")
    if found.alarms is not None:
        wrong = [name for name, state in found.alarms.items() if state == "ALARM"]
        typer.echo(f"alarms       {len(found.alarms)}, {len(wrong)} in ALARM{': ' + ', '.join(wrong) if wrong else ''}")
    if found.last_hour is not None:
        said = ", ".join(f"{value} {name}" for name, value in found.last_hour.items())
        typer.echo(f"last hour    {said}")
    for hidden in found.hidden:
        typer.echo(f"not shown    {hidden}")
