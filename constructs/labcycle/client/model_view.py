"""Models as people read them. Times are UTC, to the minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from labcycle.client.tables import table

LIST_HEADINGS = ("model", "versions", "newest", "live")
PACE_HEADINGS = (
    "model",
    "versions / live",
    "median lead",
    "longest lead",
    "promoted / 30 d",
    "rolled back / 30 d",
    "share rolled back",
    "versions for one live",
)
_VERSION_HEADINGS = ("version", "registered", "by", "record", "run", "source")
_WIDE = 120  # columns of a screen from which there is room for where a version came from
_DECISION_HEADINGS = ("at", "action", "who", "detail")
_SHOWN_DECISIONS = 10
_INNER = {"uid", "location", "files_sha256", "run_sha256", "execution"}  # of an event: for programs
_VERDICTS = {"stable": "green", "drifting": "yellow", "drifted": "red"}


def list_row(model: Mapping[str, Any]) -> Sequence[str]:
    newest, live = model["newest"], model["live"]
    return (
        model["name"],
        str(model["versions"]),
        f"{newest['version']}, {minute(newest['registered_at'])}, {newest['registered_by']}" if newest else "none",
        f"{live['version']}, since {minute(live['promoted_at'])}, {live['promoted_by']}" if live else "none",
    )


def pace_row(name: str, figures: Mapping[str, Any]) -> Sequence[str]:
    share, iterations = figures["rolled_back_share"], figures["iterations_per_deployed_version"]
    return (
        name,
        f"{figures['registered']} / {len(figures['lead_times_seconds'])}",
        span(figures["median_lead_time_seconds"]),
        span(figures["longest_lead_time_seconds"]),
        f"{figures['deployments_per_30_days']:.1f}",
        f"{figures['rollbacks_per_30_days']:.1f}",
        "-" if share is None else f"{share:.0%}",
        "-" if iterations is None else f"{iterations:.1f}",
    )


def model(said: Mapping[str, Any], width: int) -> RenderableType:
    """All of one model, on a screen of so many columns; what matters most stands at the top."""
    lines: list[RenderableType] = [Text.assemble((said["model"], "bold"), "  ", (said["description"], "dim"))]
    lines += _standing(said)
    lines.append(_versions(said, width))
    if left_out := said["versions_left_out"]:
        lines.append(Text(f"and {left_out} older versions"))
    lines.append(_decisions(said))
    return Group(*lines)


def minute(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


def span(seconds: float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return "-"
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _standing(said: Mapping[str, Any]) -> list[RenderableType]:
    live, drift, traffic = said["live"], said["drift"], said["traffic"]
    if not live:
        return [_line("live", f"none; promote one: labcycle models promote {said['model']} VERSION", "yellow")]
    since = f"since {minute(live['promoted_at'])} by {live['promoted_by']}"
    lines: list[RenderableType] = [
        _line("live", f"version {live['version']} {since}, generation {said['generation']}", "green"),
        *_beside(said),
        _line("traffic", f"{_rows(traffic['last_24_hours'])} in 24 hours, {_rows(traffic['last_7_days'])} in 7 days"),
    ]
    if drift:
        moved = ", ".join(f"{column} {index:.2f}" for column, index in drift["features"].items())
        of = "" if drift["version"] == live["version"] else f" of version {drift['version']}"
        text = f"{drift['verdict']}{of} at {minute(drift['evaluated_at'])}, {drift['rows']:,} rows: {drift['reason']}"
        lines.append(_line("drift", f"{text} ({moved})" if moved else text, _VERDICTS.get(drift["verdict"], "")))
    else:
        lines.append(_line("drift", "was not evaluated yet"))
    previous = [
        f"{one['version']}" + ("" if one["registered"] else " (deleted from the registry)") for one in said["previous"]
    ]
    lines.append(_line("can return", ", ".join(previous) or "none: nothing was live before"))
    return [*lines, *(_line("note", note, "yellow") for note in said["notes"])]


def _beside(said: Mapping[str, Any]) -> list[RenderableType]:
    """What else stands in the deployment record: a pause, a version that is tried, a shadow."""
    lines: list[RenderableType] = []
    if pause := said["pause"]:
        reason = f": {pause['reason']}" if pause["reason"] else ""
        lines.append(_line("paused", f"since {minute(pause['at'])} by {pause['by']}{reason}", "red"))
    if canary := said["canary"]:
        since = f"since {minute(canary['promoted_at'])} by {canary['promoted_by']}"
        lines.append(_line("tried", f"version {canary['version']} with {canary['percent']} % {since}", "yellow"))
    if shadow := said.get("shadow"):
        since = f"since {minute(shadow['promoted_at'])} by {shadow['promoted_by']}"
        lines.append(_line("shadow", f"version {shadow['version']} of {shadow['percent']} % {since}"))
    return lines


def _rows(traffic: Mapping[str, Any]) -> str:
    least = "" if traffic["whole"] else f" since {minute(traffic['since'])}"
    return f"{traffic['rows']:,} rows{least}"


def _versions(said: Mapping[str, Any], width: int) -> RenderableType:
    live = said["live"]["version"] if said["live"] else None
    tried = said["canary"]["version"] if said["canary"] else None
    before = {one["version"] for one in said["previous"]}
    rows = []
    for version in said["versions"]:
        number = version["version"]
        state = (
            " live" if number == live else " tried" if number == tried else " can return" if number in before else ""
        )
        rows.append(
            (
                f"{number}{state}",
                minute(version["registered_at"]),
                version["registered_by"],
                _record(version["missing"]),
                version["run_id"] or "none",
                version["source"],
            )
        )
    shown = len(_VERSION_HEADINGS) if width >= _WIDE else len(_VERSION_HEADINGS) - 1
    return table("versions", _VERSION_HEADINGS[:shown], [row[:shown] for row in rows], one_line=True)


def _record(missing: Sequence[str] | None) -> str:
    if missing is None:
        return ""
    return f"lacks {', '.join(missing)}" if missing else "complete"


def _decisions(said: Mapping[str, Any]) -> RenderableType:
    events = said["decisions"]
    if not events:
        return Text("no decision in the last 14 days")
    rows = [
        (minute(event["at"]), event["action"], event["who"]["member"] or event["who"]["role"], _told(event["detail"]))
        for event in events[:_SHOWN_DECISIONS]
    ]
    return table("decided in the last 14 days", _DECISION_HEADINGS, rows, one_line=True)


def _told(detail: Mapping[str, Any]) -> str:
    told = {key: value for key, value in detail.items() if key not in _INNER and value not in (None, "", {}, [])}
    return ", ".join(f"{key} {str(value)[:16] if key.endswith('sha256') else value}" for key, value in told.items())


def _line(name: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"{name:<11} ", "dim"), (text, style))
