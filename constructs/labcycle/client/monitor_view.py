"""How models fare, as people read it on a terminal. Times are UTC, to the minute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from labcycle.client.model_view import minute
from labcycle.client.tables import table

TEAM_HEADINGS = ("model", "live", "verdict", "since", "drift", "rows", "requests / day", "reaction")
_COLUMN_HEADINGS = ("column", "figure", "in training", "now", "missing", "then", "rows")
_FINDING_HEADINGS = ("model", "rule", "evidence")
_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"  # nothing was judged
_WIDTH = 24  # evaluations in a picture
_TONES = {
    **dict.fromkeys(("stable", "good"), "green"),
    **dict.fromkeys(("drifting", "failing"), "yellow"),
    **dict.fromkeys(("drifted", "failed"), "red"),
}
FAILED = ("drifted", "failed")


def spark(values: Sequence[float | None], most: float | None = None) -> str:
    """A bar a value, from 0 to `most` (absent: the largest); a dot where there is none."""
    known = [value for value in values if value is not None]
    top = max([*known, most or 0.0], default=0.0)
    return "".join(_NOTHING if value is None else _bar(value, top) for value in values)


def worst(subjects: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The subject to look at first; None where nothing was judged yet."""
    order = ["failed", "drifted", "failing", "drifting", "not_enough_data"]
    known = [one for one in subjects if one["verdict"] in order]
    return min(known, key=lambda one: order.index(one["verdict"]), default=subjects[0] if subjects else None)


def team(said: Mapping[str, Any]) -> RenderableType:
    """All models of a team, a row each."""
    made = table(said["team"], TEAM_HEADINGS, [])
    for model in said["models"]:
        made.add_row(*_row(model))
    return made


def model(said: Mapping[str, Any]) -> RenderableType:
    """All of one model; what matters most stands at the top."""
    owner = said["business_owner"] or "nobody is named as business owner"
    return Group(Text.assemble((said["model"], "bold"), "  ", (owner, "dim")), *_lines(said))


def check(said: Mapping[str, Any]) -> RenderableType:
    """Each column with both histograms, the one that moved most first."""
    whole = "" if said["whole"] else ", which is all that can be read at once"
    title = f"{said['model']}, version {said['version']}: {said['rows']:,} rows since {minute(said['since'])}{whole}"
    made = table(title, _COLUMN_HEADINGS, [])
    for column in said["columns"]:
        training, live = _shares(column["reference"]), _shares(column["live"])
        top = max([*training, *live], default=0.0)
        made.add_row(
            Text(column["name"]),
            Text(f"{column['figure']:.3f}", "red" if column["moved"] else ""),
            Text(spark(training, top), "dim"),
            Text(spark(live, top)),
            Text(f"{column['missing_fraction']:.1%}"),
            Text(f"{column['reference_missing_fraction']:.1%}", "dim"),
            Text(f"{column['rows']:,}"),
        )
    verdict = said["verdict"].replace("_", " ")
    return Group(made, Text.assemble((verdict, _TONES.get(said["verdict"], "")), f": {said['reason']}"))


def orphans(models: Sequence[Mapping[str, Any]]) -> RenderableType:
    rows = [
        (one["model"] if place == 0 else "", finding["rule"].replace("_", " "), finding["evidence"])
        for one in models
        for place, finding in enumerate(one["findings"])
    ]
    return table("models to look after", _FINDING_HEADINGS, rows)


def plan(said: Mapping[str, Any]) -> Iterator[str]:
    """What a reaction would do, a line each; what is not known is left out."""
    for name, value in said.items():
        if value not in (None, "", [], {}):
            yield f"{name.replace('_', ' '):<18} {_plain(value)}"


def _lines(said: Mapping[str, Any]) -> Iterator[Text]:
    live = said["live"]
    if not live:
        yield _line("live", f"none; promote one: labcycle models promote {said['model']} VERSION", "yellow")
    else:
        yield _line(
            "live", f"version {live['version']} since {minute(live['promoted_at'])} by {live['promoted_by']}", "green"
        )
    if not said["subjects"]:
        yield _line("judged", f"never; judge now: labcycle monitor check {said['model']}")
    for one in said["subjects"]:
        since = f"since {minute(one['since'])}" if one["since_whole"] else f"since before {minute(one['since'])}"
        yield _line(one["subject"], f"{one['verdict'].replace('_', ' ')} {since}", _TONES.get(one["verdict"], ""))
        yield _line("", one["reason"], "dim")
        if picture := _picture(said, one):
            yield _line("", picture)
    yield from _evaluation(said["evaluation"], said["next_evaluation_at"])
    if requests := said["requests"]:
        yield _line("last day", f"{_requests(requests)}; {_times(requests)}")
    yield from _reaction(said["reaction"])


def _evaluation(last: Mapping[str, Any] | None, following: str | None) -> Iterator[Text]:
    if not last:
        return
    after = f", the next one at {minute(following)}" if following else ""
    yield _line("evaluated", f"{minute(last['evaluated_at'])}, {last['rows']:,} rows{after}")
    if coverage := last["coverage"]:
        yield _line("coverage", f"{coverage['share']:.1%} of the requests", "" if coverage["share"] >= 0.95 else "red")


def _reaction(reaction: Mapping[str, Any]) -> Iterator[Text]:
    if reaction["under_way"]:
        yield _line(
            "reaction", f"{reaction['under_way']} is under way, until {minute(reaction['until'])} at most", "yellow"
        )
    for what, until in reaction["cool_downs"].items():
        yield _line("cools down", f"no {what.replace('_', ' ')} begins before {minute(until)}")
    for policy in reaction["policies"]:
        when = f" ({policy['schedule']}, {policy['time_zone']})" if policy.get("schedule") else ""
        yield _line("reacts", f"on {', '.join(policy['on'])}: {policy['do'].replace('_', ' ')}{when}")


def _row(said: Mapping[str, Any]) -> Sequence[Text]:
    live, first, last = said["live"], worst(said["subjects"]), said["evaluation"]
    reaction = said["reaction"]
    what = "under way" if reaction["under_way"] else "cools down" if reaction["cool_downs"] else ""
    verdict = f"{first['subject']} {first['verdict'].replace('_', ' ')}" if first else "never judged"
    return (
        Text(said["model"]),
        Text(f"version {live['version']}" if live else "none"),
        Text(verdict, _TONES.get(first["verdict"], "") if first else ""),
        Text(minute(first["since"]) if first else ""),
        Text(_trend(said, "drift")),
        Text(f"{last['rows']:,}" if last else ""),
        Text(_requests(said["requests"]) if said["requests"] else ""),
        Text(what),
    )


def _picture(said: Mapping[str, Any], subject: Mapping[str, Any]) -> str:
    """The figures of the last evaluations, and the last one beside its limit; "" where none was judged."""
    drawn = _trend(said, subject["subject"])
    if not drawn.strip(_NOTHING):
        return ""
    value, limit = (subject["figures"].get(name) for name in ("value", "limit"))
    return f"{drawn}  {value:.3f} of {limit:g}" if value is not None and limit is not None else drawn


def _trend(said: Mapping[str, Any], subject: str) -> str:
    values = [one["figures"].get(subject) for one in said["trend"][-_WIDTH:]]
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    # From 0, unless all values are far from it for how much they differ.
    floor = 0.0 if 0 <= low <= 2 * (high - low) or low == high >= 0 else low - (high - low) / 4
    return spark([None if value is None else value - floor for value in values])


def _requests(requests: Mapping[str, Any]) -> str:
    more = "" if requests["whole"] else "at least "
    failed = f", {requests['failed']:,} failed" if requests["failed"] else ""
    return f"{more}{requests['requests']:,}{failed}"


def _times(requests: Mapping[str, Any]) -> str:
    if requests["p99_ms"] is None:
        return "no time is known"
    return f"half within {requests['p50_ms']:g} ms, 99 of 100 within {requests['p99_ms']:g} ms"


def _shares(counts: Sequence[int]) -> list[float]:
    rows = sum(counts) or 1
    return [count / rows for count in counts]


def _bar(value: float, top: float) -> str:
    return _BARS[min(len(_BARS) - 1, max(0, round(value / top * (len(_BARS) - 1))))] if top > 0 else _BARS[0]


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value)
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _line(name: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"{name:<12} ", "dim"), (text, style))
