"""Self-contained pages: the card of a model as HTML and Markdown, and two runs compared as HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from labcycle.client.api import ApiError
from labcycle.lineage.comparison import number
from labcycle.lineage.plots import Plot, ordered, plot
from labcycle.lineage.runs_client import Run, RunsClient

MOST_PLOTS = 12
MOST_VERSIONS = 10
_NOTE = "mlflow.note.content"
_INNER = {"uid", "location"}  # of an event: for programs
_HTML = Environment(
    loader=PackageLoader("labcycle_templates", "lineage"),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_MARKDOWN = Environment(
    loader=PackageLoader("labcycle_templates", "lineage"),
    undefined=StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def when(milliseconds: int | None) -> str:
    """UTC, to the second; "" for none, and the number itself where it is no time, as nanoseconds are not."""
    if not milliseconds:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def figure(value: float | str | None) -> str:
    """A metric for people: six digits."""
    return "" if value is None else f"{value:.6g}" if isinstance(value, float | int) else str(value)


def member(who: Mapping[str, Any]) -> str:
    """Who an event names: the member, else the role."""
    return str(who.get("member") or who.get("role") or "")


def details(event: Mapping[str, Any]) -> str:
    """What an event says, digests shortened."""
    told = {key: value for key, value in event["detail"].items() if key not in _INNER and value not in (None, "")}
    return ", ".join(f"{key} {str(value)[:16] if key.endswith('sha256') else value}" for key, value in told.items())


def plain(value: object) -> str:
    """A text of somebody's, as one cell of a Markdown table: nothing in it is markup."""
    text = re.sub(r"([\\`*_{}\[\]<>#|~!])", r"\\\1", str(value))
    return re.sub(r"\s+", " ", text).strip().replace("\\<", "&lt;").replace("\\>", "&gt;")


for _environment in (_HTML, _MARKDOWN):
    _environment.filters |= {"when": when, "figure": figure, "member": member, "details": details, "plain": plain}


def card_html(explained: Mapping[str, Any], plots: list[Plot]) -> str:
    """The card of a model version as one HTML file that asks for nothing else."""
    return _HTML.get_template("card.html.j2").render(**_card(explained), plots=plots)


def card_markdown(explained: Mapping[str, Any]) -> str:
    return _MARKDOWN.get_template("card.md.j2").render(**_card(explained))


def comparison_html(compared: Mapping[str, Any], plots: list[Plot]) -> str:
    return _HTML.get_template("comparison.html.j2").render(compared=compared, plots=plots)


def card_plots(client: RunsClient, explained: Mapping[str, Any]) -> list[Plot]:
    """Histories of the metrics of the version's run, and each metric over the newest versions. Raises `ApiError`."""
    run = explained["run"]
    if run is None:
        return []
    found = histories(client, {run["name"]: run["run_id"]}, list(run["metrics"]))
    return [*found, *_over_versions(client, explained["model"], list(run["metrics"]))]


def comparison_plots(client: RunsClient, a: Run, b: Run) -> list[Plot]:
    """The histories of both runs. Raises `ApiError`."""
    names = {f"A {a.name}": a.run_id, f"B {b.name}": b.run_id}
    return histories(client, names, sorted(a.metrics.keys() | b.metrics.keys()))


def histories(client: RunsClient, runs: Mapping[str, str], metrics: list[str]) -> list[Plot]:
    """A plot a metric that has more than one point, a line a run (label to id). Raises `ApiError`."""
    found = []
    for key in metrics[:MOST_PLOTS]:
        series = {label: ordered(client.history(run_id, key)) for label, run_id in runs.items()}
        drawn = plot(key, series)
        if any(len(points) > 1 for points in series.values()) and not drawn.empty:
            found.append(drawn)
    return found


def _over_versions(client: RunsClient, model: str, metrics: list[str]) -> list[Plot]:
    versions = [v for v in client.versions(model, MOST_VERSIONS) if v.get("run_id")]
    if len(versions) < 2:
        return []
    runs = [_metrics(client, version["run_id"]) for version in versions]
    names = [f"v{version['version']}" for version in versions]
    found = []
    for key in metrics[:MOST_PLOTS]:
        points = [(float(i), run.get(key, float("nan"))) for i, run in enumerate(runs)]
        drawn = plot(f"{key}, by version", {key: points}, names)
        if sum(1 for _, value in points if number(value) == value) > 1 and not drawn.empty:
            found.append(drawn)
    return found


def _metrics(client: RunsClient, run_id: str) -> dict[str, float]:
    """None of a run that is not in this ledger."""
    try:
        return client.run(run_id).metrics
    except ApiError as error:
        if error.status == 404:
            return {}
        raise


def _card(explained: Mapping[str, Any]) -> dict[str, Any]:
    run = explained["run"]
    note = explained["version"]["description"] or (run["tags"].get(_NOTE, "") if run else "")
    return {"it": explained, "version": explained["version"], "run": run, "note": note}
