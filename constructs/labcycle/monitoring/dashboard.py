"""A CloudWatch dashboard of one model: how it runs, what is found of it, and which version was live meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from labcycle.config import names

_COLUMNS = 24  # of a row: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
_HEIGHT = 6
_EVALUATED = 'filter message = "evaluated"'
_FIGURES = {
    "drift": "Drift: the highest figure of all columns",
    "performance": "Performance",
    "business": "Business value",
}


@dataclass(frozen=True)
class Panel:
    """Lines that are drawn together; `unit` stands at their axis."""

    title: str
    unit: str
    metrics: Sequence[cloudwatch.IMetric]


class ModelDashboard(Construct):
    """The dashboard `labcycle-<team>-<model>` (3 USD a month; the first three of an account are free).

    Rows: what is in alarm, with the way to each alarm; operation, out of metrics that AWS publishes without a price; drift,
    performance and business side by side, out of the lines that the evaluator leaves in its log, so that no metric is paid for
    them; and below, on the same axis of time, which version was live: CloudWatch has no annotations that come by themselves,
    a step of that line is a deployment.

    Parameters
    ----------
    team, model
        Names of the team and of the registered model.
    operation
        Panels of the second row; they share its width.
    alarms
        All of the model.
    evaluations
        Log group of the evaluator. Absent: the rows of what it finds are left out.
    subjects
        What is evaluated of `drift`, `performance` and `business`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        operation: Sequence[Panel],
        alarms: Sequence[cloudwatch.IAlarm],
        evaluations: logs.ILogGroup | None = None,
        subjects: Sequence[str] = ("drift",),
    ) -> None:
        super().__init__(scope, construct_id)
        rows: list[list[cloudwatch.IWidget]] = [[_words(model)]]
        if alarms:
            status = cloudwatch.AlarmStatusWidget(alarms=list(alarms), title="Alarms", width=_COLUMNS, height=3)
            rows.append([status])
        if operation:
            rows.append([_graph(panel, _COLUMNS // len(operation)) for panel in operation])
        if evaluations:
            shown = [subject for subject in _FIGURES if subject in subjects]
            rows.append([_figures(subject, evaluations, _COLUMNS // len(shown)) for subject in shown])
            rows.append([_versions(evaluations)])
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=names.dashboard(team, model),
            default_interval=Duration.days(3),
            widgets=rows,
        )


def _words(model: str) -> cloudwatch.IWidget:
    return cloudwatch.TextWidget(
        markdown=(
            f"**{model}**  \nVerdicts and since when: `labcycle monitor status {model}` | what moved: `labcycle monitor report {model} --open` | "
            f"any window: `labcycle monitor check {model} --window 6` | act: `labcycle monitor react {model} --dry-run`"
        ),
        width=_COLUMNS,
        height=2,
    )


def _graph(panel: Panel, width: int) -> cloudwatch.IWidget:
    return cloudwatch.GraphWidget(
        title=panel.title,
        left=list(panel.metrics),
        left_y_axis=cloudwatch.YAxisProps(label=panel.unit, min=0, show_units=False),
        width=width,
        height=_HEIGHT,
    )


def _figures(subject: str, evaluations: logs.ILogGroup, width: int) -> cloudwatch.IWidget:
    return cloudwatch.LogQueryWidget(
        title=_FIGURES[subject],
        log_group_names=[evaluations.log_group_name],
        view=cloudwatch.LogQueryVisualizationType.LINE,
        query_lines=[
            f"{_EVALUATED} and ispresent({subject}.value)",
            f"stats max({subject}.value) as figure, max({subject}.limit) as limit_of_it by bin(1h)",
        ],
        width=width,
        height=_HEIGHT,
    )


def _versions(evaluations: logs.ILogGroup) -> cloudwatch.IWidget:
    return cloudwatch.LogQueryWidget(
        title="Live version: each step is a deployment",
        log_group_names=[evaluations.log_group_name],
        view=cloudwatch.LogQueryVisualizationType.LINE,
        query_lines=[f"{_EVALUATED} and ispresent(version)", "stats max(version) as live by bin(1h)"],
        width=_COLUMNS,
        height=4,
    )
