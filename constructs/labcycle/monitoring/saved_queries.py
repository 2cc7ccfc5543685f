"""Saved queries of CloudWatch Logs Insights: what data scientists ask the logs of a model, ready to be run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import aws_logs as logs
from constructs import Construct

from labcycle.config import names

Log = Literal["access", "server", "evaluator"]
_PREDICTIONS = 'routeKey = "POST /invocations"'


@dataclass(frozen=True)
class SavedQuery:
    """`log` is that of the API, of what runs the model, or of what evaluates it; `shows` is for docs/monitoring-views.md."""

    name: str
    log: Log
    shows: str
    text: str


QUERIES = (
    SavedQuery(
        "failed predictions",
        "access",
        "Requests for predictions that ended with 5xx, the newest first. Take a `requestId` to `causes of failures`.",
        "fields @timestamp, requestId, status, caller, latencyMs, error, integrationError\n"
        f"| filter {_PREDICTIONS} and status like /^5/\n"
        "| sort @timestamp desc\n"
        "| limit 100",
    ),
    SavedQuery(
        "causes of failures",
        "server",
        "What the server of the model says of what went wrong: the trace of a failed prediction, a version that it refused to load or that "
        "failed while it was tried, what could not be counted.",
        "fields @timestamp, message, request_id, version, error, why, trace\n"
        '| filter level = "ERROR"\n'
        "| sort @timestamp desc\n"
        "| limit 100",
    ),
    SavedQuery(
        "failures by version",
        "server",
        "The same by version and hour. Requests of each version are no lines of a log: `labcycle models trial` and `shadow` count them.",
        'filter level = "ERROR" and ispresent(version)\n'
        "| stats count(*) as failures by version, message, bin(1h)\n"
        "| limit 1000",
    ),
    SavedQuery(
        "slowest answers",
        "access",
        "The 50 predictions that took longest, and how much of that was the model: the rest is the API's.",
        "fields @timestamp, requestId, latencyMs, integrationLatencyMs, status, caller, responseLength\n"
        f"| filter {_PREDICTIONS}\n"
        "| sort latencyMs desc\n"
        "| limit 50",
    ),
    SavedQuery(
        "rejected inputs",
        "access",
        "Who sends what is refused (4xx): inputs that do not fit, missing rights, too many requests.",
        f"filter {_PREDICTIONS} and status like /^4/\n"
        "| stats count(*) as requests, latest(@timestamp) as last by status, caller, error\n"
        "| sort requests desc\n"
        "| limit 100",
    ),
    SavedQuery(
        "verdicts",
        "evaluator",
        "What each evaluation found of each subject, with the figure and its limit, and which version it judged.",
        "fields @timestamp, version, rows, drift.verdict, drift.value, drift.limit, performance.verdict, performance.value, business.verdict, "
        "business.value, freshness.verdict\n"
        '| filter message = "evaluated"\n'
        "| sort @timestamp desc\n"
        "| limit 500",
    ),
)


class SavedQueries(Construct):
    """The queries of `QUERIES` whose logs a model has. They cost nothing until they are run: 0.005 USD a GB that they read.

    Parameters
    ----------
    team, model
        Names of the team and of the registered model; the queries stand in folders of these names.
    groups
        The log groups of each kind of log; a query of a kind that is not here, or that has none, is left out.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        groups: Mapping[Log, Sequence[logs.ILogGroup]],
    ) -> None:
        super().__init__(scope, construct_id)
        self.queries: dict[str, logs.CfnQueryDefinition] = {}
        for query in QUERIES:
            if found := groups.get(query.log):
                self.queries[query.name] = logs.CfnQueryDefinition(
                    self,
                    query.name.title().replace(" ", ""),
                    name=names.saved_query(team, model, query.name),
                    query_string=query.text,
                    log_group_names=[group.log_group_name for group in found],
                )
