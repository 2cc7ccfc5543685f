"""A report as a mail: subject, HTML and plain text. Neither asks for anything that is not in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from labcycle_lambdas.report.content import Content
from labcycle_lambdas.report.plots import lying, lying_pairs, standing

_VERDICTS = {
    "not_enough_data": "not enough data to judge",
    "stable": "no drift",
    "drifting": "above the threshold, not yet for long enough to count as drift",
    "drifted": "drift",
}
_FIGURES = {
    "psi": "Population stability index",
    "jensen_shannon": "Jensen-Shannon distance",
    "wasserstein": "Wasserstein distance in standard deviations",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov statistic",
}


@dataclass(frozen=True)
class Page:
    subject: str
    html: str
    text: str


def render(content: Content) -> Page:
    """The mail that says `content`."""
    days = content.period.days
    span = _day(days[0]) if len(days) == 1 else f"{_day(days[0])} to {_day(days[-1])}"
    values = {
        "it": content,
        "span": span,
        "summary": _summary(content),
        "verdict": _VERDICTS.get(content.evaluation.verdict, content.evaluation.verdict) if content.evaluation else "",
        "rows_plot": standing("Rows a day", [(f"{day:%d %b}", rows) for day, rows in content.rows]),
        "predictions_plot": lying_pairs(
            "Share of predictions", [(share.label, share.now, share.training) for share in content.predictions]
        ),
        "figure": _FIGURES[content.method],
        "features_plot": lying(
            _FIGURES[content.method], [(feature.name, feature.index) for feature in content.features], content.threshold
        ),
    }
    html, text = (
        _environment(escape).get_template(name).render(**values)
        for name, escape in (("report.html.j2", True), ("report.txt.j2", False))
    )
    return Page(f"{content.model}: what it did, {span}", html, text)


def _environment(escape: bool) -> Environment:
    made = Environment(
        loader=PackageLoader("labcycle_templates", "report"),
        undefined=StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"day": _day, "moment": _moment, "whole": lambda number: f"{number:,}", "line": _line}
    return made


def _summary(content: Content) -> str:
    """The report in a sentence or two."""
    if content.live is None:
        return "Nothing is live: this model answers nobody."
    live = f"Version {content.live.version} is live" + (
        ", and paused: it gives no predictions." if content.paused else "."
    )
    if not content.total_rows:
        return f"{live} Nobody asked it anything in this period."
    asked = f"{live} The model answered {content.total_rows:,} row{'s' if content.total_rows > 1 else ''}."
    if content.cannot_compare:
        return asked
    if content.compared_rows < content.minimum_rows:
        return f"{asked} That is too few to tell whether its data have changed."
    if content.moved:
        return f"{asked} Its data have changed since training: {', '.join(content.moved)}. Its answers may be worse."
    return f"{asked} Its data are like those of its training."


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"


def _line(text: str) -> str:
    """A name of somebody's in one line, so that it cannot pass for another one of ours."""
    return " ".join(text.split())


def _moment(at: datetime) -> str:
    return f"{_day(at)}, {at:%H:%M %Z}"
