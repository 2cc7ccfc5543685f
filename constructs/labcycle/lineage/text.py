"""What the commands print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labcycle.lineage.pages import details, figure, member, when

_COLOURS = {"found": "green", "partial": "yellow", "missing": "red"}
_SHOWN = 20


def print_parts(said: Mapping[str, Any]) -> None:
    console = _console()
    _parts(console, said["parts"])
    if said["complete"]:
        console.print("all six parts are recorded")
    for part in said["parts"]:
        if part["supply"]:
            console.print(f"{part['name']}: {part['supply']}", markup=False)


def print_ancestry(said: Mapping[str, Any]) -> None:
    console = _console()
    console.print(f"{said['name']} ({said['run_id']})", markup=False)
    _ancestry(console, said["ancestry"])
    if not said["ancestry"]:
        console.print("comes from no other run")


def print_explanation(it: Mapping[str, Any]) -> None:
    console, version, run = _console(), it["version"], it["run"]
    console.print(f"[bold]{escape(it['model'])}[/], version {version['version']}")
    console.print(f"deployment  {_deployment(it['deployment'])}", markup=False)
    aliases = f", aliases {', '.join(version['aliases'])}" if version["aliases"] else ""
    registered = f"registered {when(version['creation_timestamp'])} by {version['user_id'] or 'an unknown caller'}"
    console.print(f"version     {registered}{aliases}, from {version['source']}", markup=False)
    _files(console, it)
    if run is None:
        missing = (
            f"its run {version['run_id']} is not in this ledger" if version["run_id"] else "registered without a run"
        )
        console.print(f"run         {missing}: nothing says how it was built", markup=False)
    else:
        deleted = "" if run["lifecycle_stage"] == "active" else ", deleted"
        told = (
            f"{run['run_id']} ({run['name']}) by {run['user_id']}, {when(run['start_time'])}, {run['status']}{deleted}"
        )
        console.print(f"run         {told}", markup=False)
        metrics = [f"{key} {figure(value)}" for key, value in sorted(run["metrics"].items())]
        console.print(f"metrics     {_few(metrics)}", markup=False)
        params = [f"{key}={value}" for key, value in sorted(run["params"].items())]
        console.print(f"parameters  {_few(params)}", markup=False)
        for item in run["inputs"]:
            place = item["location"] or "its place is not recorded"
            context = f" ({item['context']})" if item["context"] else ""
            console.print(
                f"data        {item['name']}{context}, digest {item['digest'] or 'none'}, {place}", markup=False
            )
        _parts(console, run["parts"])
        if run["ancestry"]:
            console.print("ancestry")
            _ancestry(console, run["ancestry"])
    _events(console, it)


def print_comparison(said: Mapping[str, Any]) -> None:
    console = _console()
    for letter in ("a", "b"):
        run = said[letter]
        deleted = "" if run["lifecycle_stage"] == "active" else ", deleted"
        console.print(
            f"{letter.upper()}  {run['run_id']} ({run['name']}) by {run['user_id']}, {when(run['start_time'])}, "
            f"{run['status']}{deleted}",
            markup=False,
        )
    if said["metrics"]:
        rows = [[m["key"], figure(m["a"]), figure(m["b"]), figure(m["difference"])] for m in said["metrics"]]
        _table(console, "metrics", ("", "A", "B", "B - A"), rows)
    _pairs(console, "parameters", said["params"])
    code = said["code"]
    if code["same"]:
        console.print("code: the same commit, and the same changes in none")
    else:
        rows = [[key, *(code[key][side] or "not recorded" for side in "ab")] for key in ("commit", "uncommitted")]
        _table(console, "code" + "".join(f"; {line}" for line in code["unknown"]), ("", "A", "B"), rows)
    for line in (code["files"] or [])[:_SHOWN]:
        console.print(f"  {line}", markup=False)
    if len(code["files"] or []) > _SHOWN:
        console.print(f"  and {len(code['files']) - _SHOWN} more files")
    for title in ("data", "libraries", "environment", "tags"):
        _pairs(console, title, said[title])


def print_reproduction(report: Mapping[str, Any]) -> None:
    console = _console()
    rows = [
        [m["key"], figure(m["was"]), figure(m["now"]) or "not measured", "same" if m["same"] else "different"]
        for m in report["metrics"]
    ]
    _table(console, f"run {report['reproduces']} against {report['run_id']}", ("metric", "was", "now", ""), rows)
    if report["environment"]["different"]:
        packages = [
            f"{d['package']} {d['here']} (recorded {d['recorded']})" for d in report["environment"]["different"]
        ]
        console.print(f"other packages than recorded: {_few(packages, 5)}", markup=False)
    for note in report["notes"]:
        console.print(f"note: {note}", markup=False)
    tolerance = figure(report["tolerance"]["relative"])
    wrong = sum(1 for metric in report["metrics"] if not metric["same"])
    if report["reproduced"]:
        console.print(f"[bold green]reproduced[/]: all {len(rows)} metrics within {tolerance}")
    else:
        console.print(f"[bold red]not reproduced[/]: {wrong} of {len(rows)} metrics differ by more than {tolerance}")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _deployment(deployment: Mapping[str, Any]) -> str:
    other = f"version {deployment['live_version']} is live" if deployment["live_version"] else "no version is live"
    if deployment["live"]:
        return f"live since {deployment['since']}, promoted by {deployment['by']}"
    if deployment["since"]:
        return f"not live, promoted {deployment['since']} by {deployment['by']}; {other}"
    return f"never promoted; {other}"


def _files(console: Console, it: Mapping[str, Any]) -> None:
    files = it["files"]
    for file in files[:_SHOWN]:
        digest = f"SHA-256 {file['sha256'][:16]}" if file["sha256"] else "no digest"
        console.print(f"file        {file['path']}, {file['size']} bytes, {digest}", markup=False)
    more = len(files) - _SHOWN + it["files_left_out"]
    if more > 0:
        console.print(f"            and {more} more files")


def _parts(console: Console, parts: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title="six parts", title_justify="left")
    for heading in ("part", "recorded", "what"):
        table.add_column(heading, overflow="fold")
    for part in parts:
        said = [*part["evidence"], *(f"not recorded: {line}" for line in part["lacking"])]
        colour = _COLOURS[part["state"]]
        table.add_row(part["name"], f"[{colour}]{part['state']}[/]", escape("\n".join(said)))
    console.print(table)


def _ancestry(console: Console, ancestry: Sequence[Mapping[str, Any]]) -> None:
    for depth, ancestor in enumerate(ancestry, 1):
        name = "not in this ledger" if ancestor["name"] is None else ancestor["name"]
        deleted = ", deleted" if ancestor["lifecycle_stage"] == "deleted" else ""
        by = f", {ancestor['user_id']}, {when(ancestor['start_time'])}" if ancestor["name"] is not None else ""
        console.print(f"{'  ' * depth}{ancestor['relation']} {ancestor['run_id']} ({name}{by}{deleted})", markup=False)


def _events(console: Console, it: Mapping[str, Any]) -> None:
    rows = [[event["at"], member(event["who"]), event["action"], details(event)] for event in it["events"]]
    _table(console, "who did what", ("when", "who", "what", "detail"), rows)
    if it["events_left_out"]:
        console.print(f"{it['events_left_out']} older events are left out")
    if it["verified"]:
        console.print("the chain of hashes is whole")
    for problem in it["problems"]:
        console.print(f"broken: {problem}", markup=False)


def _pairs(console: Console, title: str, part: Mapping[str, Any]) -> None:
    unknown = "".join(f"; {line}" for line in part.get("unknown", []))
    if unknown and not part["different"] and not part["same"]:
        console.print(f"{title}: not known{unknown}", markup=False)
        return
    if not part["different"]:
        console.print(f"{title}: nothing differs, {part['same']} the same{unknown}", markup=False)
        return
    rows = [
        [pair["key"], *("none" if pair[side] is None else pair[side] for side in "ab")] for pair in part["different"]
    ]
    _table(console, f"{title}: {len(rows)} differ, {part['same']} the same{unknown}", ("", "A", "B"), rows)


def _table(console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=escape(title), title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)


def _few(lines: Sequence[str], most: int = _SHOWN) -> str:
    more = f", and {len(lines) - most} more" if len(lines) > most else ""
    return ", ".join(lines[:most]) + more or "none"
