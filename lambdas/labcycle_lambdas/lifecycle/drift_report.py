"""An evaluation of a model as one page that asks for nothing else: what moved, since when, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from labcycle_lambdas.ledger.judgement import judgements
from labcycle_lambdas.lifecycle.live_window import columns
from labcycle_lambdas.lifecycle.report_plots import Curve, Histogram, curve, histogram
from labcycle_lambdas.lifecycle.standing import Evaluation, figure, of, standing
from labcycle_lambdas.profiles import Profile, Reference

MOST_HISTOGRAMS = 12
MOST_COLUMNS = 200  # of the table
FIGURES = {
    "psi": "population stability index",
    "jensen_shannon": "Jensen-Shannon distance",
    "wasserstein": "Wasserstein distance in standard deviations of the training data",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov statistic",
}
VERDICTS = {
    "not_enough_data": "not judged",
    "stable": "no drift",
    "drifting": "over the limit, not yet for long enough",
    "drifted": "drift",
    "good": "good",
    "failing": "over the limit, not yet for long enough",
    "failed": "failed",
}
_BAD, _WARNED = {"drifted", "failed"}, {"drifting", "failing"}
_ENVIRONMENT = Environment(
    loader=PackageLoader("labcycle_templates", "lifecycle"),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "minute": lambda stamp: f"{stamp[:16].replace('T', ' ')} UTC",
    "whole": lambda number: f"{number:,}",
    "figure": lambda value: "-" if value is None else f"{value:.3f}",
    "percent": lambda share: f"{share * 100:.1f} %",
    "tone": lambda verdict: "bad" if verdict in _BAD else "warned" if verdict in _WARNED else "calm",
    "said": lambda verdict: VERDICTS.get(verdict, verdict),
}


@dataclass(frozen=True)
class _Moved:
    """A column that is shown with its histograms; `since` is "" where it does not reach the limit."""

    column: Mapping[str, Any]
    since: str
    plot: Histogram


def render(
    evaluation: Evaluation,
    reference: Reference | None,
    profile: Profile | None,
    history: Sequence[Evaluation],
    deployments: Sequence[Mapping[str, Any]],
) -> str:
    """The page.

    Parameters
    ----------
    evaluation
        As `ledger.evaluations` keeps it.
    reference, profile
        What its version was trained on, and what it saw in the evaluation's window. None: not to be had any more, and the page says so.
    history
        The evaluation and those before it, the newest first.
    deployments
        What was decided meanwhile: `at`, `action`, `version`.
    """
    method = str(evaluation.get("method", "psi"))
    limit = evaluation["threshold"]
    judged = {"method": method, "threshold": limit, "minimum_rows": evaluation["minimum_rows"]}
    found = columns(reference, profile, **judged) if reference and profile else []
    over = [column for column in found if column["moved"]]
    shown = (over or found[:1])[:MOST_HISTOGRAMS]
    return _ENVIRONMENT.get_template(
        "drift_report.html.j2"
    ).render(
        it=evaluation,
        standing=standing(history),
        coverage=evaluation.get("coverage"),  # neither was kept at first
        cohorts=evaluation.get("cohorts"),
        method=FIGURES.get(method, method),
        columns=found[:MOST_COLUMNS],
        left_out=max(0, len(found) - MOST_COLUMNS),
        over={column["name"] for column in over},
        moved=[
            _Moved(
                column,
                _since(column["name"], limit, history),
                histogram(
                    f"{column['name']}: now and in training", column["labels"], column["reference"], column["live"]
                ),
            )
            for column in shown
        ],
        not_shown=len(over) - len(shown) if over else 0,
        curves=_curves(history, deployments),
        decided=sorted(deployments, key=lambda one: one["at"]),
    )


def _since(column: str, limit: float, newest_first: Sequence[Evaluation]) -> str:
    """Since which evaluation of this version the column reaches the limit, those that could not judge it passed over."""
    since = ""
    for evaluation in newest_first:
        value = evaluation["features"].get(column)
        if evaluation["version"] != newest_first[0]["version"] or (value is not None and value < limit):
            break
        since = evaluation["evaluated_at"] if value is not None else since
    return since


def _curves(newest_first: Sequence[Evaluation], deployments: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """A curve a subject that was judged more than once."""
    marks = [(datetime.fromisoformat(one["at"]), *_named(one)) for one in deployments]
    found = []
    for judgement in judgements(newest_first[0]) if newest_first else ():
        points = []
        for evaluation in reversed(newest_first):
            then = of(judgement.subject, evaluation)
            points.append((datetime.fromisoformat(evaluation["evaluated_at"]), figure(then) if then else None))
        if sum(value is not None for _, value in points) > 1:
            limit = judgement.figures.get("limit")
            found.append(curve(judgement.subject, points, float(limit) if limit is not None else None, marks))
    return found


def _named(decided: Mapping[str, Any]) -> tuple[str, str]:
    """A name for a small place, and the whole of it."""
    what, version = decided["action"].replace("_", " "), decided["version"]
    told = f"{decided['at'][:16].replace('T', ' ')}: {what}"
    if version is None:
        return what, told
    return f"v{version}" if what == "promoted" else what, f"{told} version {version}"
