"""The commands `promote`, `promotion`, `rollback`, `review`, `trial`, `shadow`, `pause`, `resume`, `deployment` and `history` of the group `labcycle models`.

Each prints tables for people, or with --json the API's own answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from labcycle.client.api import LifecycleClient
from labcycle.client.promotion_view import follow, progress
from labcycle.client.shadow_view import show
from labcycle.client.sides import print_sides
from labcycle.client.tables import print_json, print_table
from labcycle.errors import LabcycleError

ModelName = Annotated[str, typer.Argument(help="Name of the registered model.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Watch = Annotated[bool, typer.Option("--watch", help="Follow it until it has ended, or Ctrl-C, which does not end it.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the chain of custody.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`. Errors are raised as `LabcycleError`."""

    @app.command()
    def promote(
        model: ModelName,
        version: Annotated[str, typer.Argument(help="Version of the model, a number.")],
        percent: Annotated[
            int | None,
            typer.Option(min=1, max=99, help="Try it with this share of the requests, beside the live version."),
        ] = None,
        new_inputs: Annotated[
            bool, typer.Option("--new-inputs", help="Also where it refuses what consumers of the live version send.")
        ] = False,
        now: Annotated[
            bool, typer.Option("--now", help="Without the steps of the model's policy: all requests at once.")
        ] = False,
        watch: Watch = False,
        reason: Reason = "",
        as_json: AsJson = False,
    ) -> None:
        """Make a version of a model the live one, in steps where the model's policy has some; or try it with a share of the requests.

        With --watch it ends when the promotion has, and exits 1 where the version is not live then.
        """
        client = LifecycleClient()
        said = client.promote(model, version, percent=percent, new_inputs=new_inputs, now=now, reason=reason)
        for note in said["notes"]:
            Console(stderr=True).print(f"note: {note}", markup=False, highlight=False)
        begun = said.get("promotion")
        if begun and watch:
            return follow(client, model, begun, as_json=as_json)
        if as_json:
            return print_json(said)
        if not begun:
            return _print_change(model, said)
        typer.echo(f"{model}: {progress(begun)}")
        typer.echo(
            f"watch it: labcycle models promotion {model} --watch; take it back: labcycle models rollback {model}"
        )

    @app.command()
    def promotion(model: ModelName, watch: Watch = False, as_json: AsJson = False) -> None:
        """Show how far a promotion in steps is, or how the last one ended. Exits 1 where its version did not go live."""
        client = LifecycleClient()
        said = client.promotion(model)["promotion"]
        if said and watch:
            return follow(client, model, said, as_json=as_json)
        if as_json:
            print_json({"promotion": said})
        else:
            typer.echo(f"{model}: {progress(said) if said else 'no version was promoted in steps'}")
        if said and said["outcome"] not in ("", "live"):
            raise typer.Exit(1)

    @app.command()
    def rollback(model: ModelName, reason: Reason = "", as_json: AsJson = False) -> None:
        """Take back a promotion that is under way, or the version that is tried; else make the version before the live one live again."""
        said = LifecycleClient().roll_back(model, reason=reason)
        if as_json:
            return print_json(said)
        _print_change(model, said)

    @app.command()
    def review(
        model: ModelName,
        reason: Annotated[str, typer.Argument(help="Why; --reject needs it.")] = "",
        approve: Annotated[bool | None, typer.Option("--approve/--reject", help="Whether it goes live.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Say whether the version goes live that a retraining made, and that waits for its review."""
        if approve is None:
            raise LabcycleError("Give --approve or --reject.")
        if not approve and not reason:
            raise LabcycleError(f"Say why it is rejected: labcycle models review {model} --reject REASON.")
        said = LifecycleClient().review(model, approve=approve, reason=reason)
        if as_json:
            return print_json(said)
        what = "approved, its promotion begins" if approve else "rejected, it does not go live"
        typer.echo(f"{model}: {what} (reaction {said['execution']})")

    @app.command()
    def trial(model: ModelName, as_json: AsJson = False) -> None:
        """Show how a version does that is tried beside the live one. Exits 1 where it is bad."""
        said = LifecycleClient().trial(model)
        if as_json:
            print_json(said)
        else:
            _print_trial(model, said)
        if said["verdict"] == "bad":
            raise typer.Exit(1)

    @app.command()
    def shadow(
        model: ModelName,
        version: Annotated[str | None, typer.Argument(help="Version that begins; absent: show how it does.")] = None,
        percent: Annotated[
            int, typer.Option(min=1, max=100, help="Share of the live version's requests that it is shown.")
        ] = 100,
        off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
        watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
        reason: Reason = "",
        as_json: AsJson = False,
    ) -> None:
        """Compare a version with the live one: it scores the same requests, answers none, and slows none."""
        client = LifecycleClient()
        if off and (version or watch):
            raise LabcycleError("Give either a version, or --watch, or --off, not two of them.")
        if off or version:
            said = (
                client.end_shadow(model, reason=reason)
                if version is None
                else client.begin_shadow(model, version, percent=percent, reason=reason)
            )
            for note in said.get("notes", []):
                Console(stderr=True).print(f"note: {note}", markup=False, highlight=False)
            if not watch:
                return print_json(said) if as_json else _print_shadowed(model, said)
        show(client, model, watch=watch, as_json=as_json)

    @app.command()
    def pause(
        model: ModelName,
        answer: Annotated[
            str | None,
            typer.Option(
                help="What it answers for each row, in JSON, such as 0 or '{\"approve\": false}'; else an error."
            ),
        ] = None,
        reason: Reason = "",
        as_json: AsJson = False,
    ) -> None:
        """Stop a model from predicting, within seconds and without a deployment."""
        said = LifecycleClient().pause(model, answer=_answer(answer), reason=reason)
        if as_json:
            return print_json(said)
        _print_pause(model, said)

    @app.command()
    def resume(model: ModelName, reason: Reason = "", as_json: AsJson = False) -> None:
        """Let a paused model predict again."""
        said = LifecycleClient().resume(model, reason=reason)
        if as_json:
            return print_json(said)
        _print_pause(model, said)

    @app.command()
    def deployment(model: ModelName, as_json: AsJson = False) -> None:
        """Show which version of a model is live, and which were before."""
        said = LifecycleClient().deployment(model)
        if as_json:
            return print_json(said)
        _print_deployment(model, said["deployment"])
        if begun := said.get("promotion"):
            typer.echo(f"being promoted: {progress(begun)}")

    @app.command()
    def history(model: ModelName, as_json: AsJson = False) -> None:
        """Show what happened to a model, and whether the record of it is whole. Exits 1 where it is not."""
        said = LifecycleClient().history(model)
        if as_json:
            print_json(said)
        else:
            _print_history(model, said)
        if not said["verified"]:
            raise typer.Exit(1)


def _answer(text: str | None) -> object:
    if text is None:
        return None
    try:
        answer: object = json.loads(text)
    except ValueError:
        raise LabcycleError(
            f"--answer is no JSON: {text[:100]}. Write a text in quotes within quotes: '\"no\"'."
        ) from None
    return answer


def _print_change(model: str, said: Mapping[str, Any]) -> None:
    deployment = said["deployment"]
    what = f"version {deployment['live']['version']} is live"
    if canary := deployment.get("canary"):
        what = f"version {canary['deployed']['version']} answers {canary['percent']} % of the requests, {what}"
    if said["changed"]:
        typer.echo(f"{model}: {what} (generation {deployment['generation']})")
    else:
        typer.echo(f"{model}: {what} already, nothing was changed")


def _print_shadowed(model: str, said: Mapping[str, Any]) -> None:
    shadow = said["deployment"]["shadow"]
    what = "no version is the shadow"
    if shadow:
        share = "all requests" if shadow["percent"] == 100 else f"{shadow['percent']} % of the requests"
        what = f"version {shadow['deployed']['version']} is shown {share}, and answers none"
    typer.echo(f"{model}: {what}{'' if said['changed'] else '; nothing was changed'}")


def _print_pause(model: str, said: Mapping[str, Any]) -> None:
    pause = said["deployment"]["pause"]
    what = f"paused, it answers {_shown(pause)}" if pause else "it predicts"
    typer.echo(f"{model}: {what}{'' if said['changed'] else '; nothing was changed'}")


def _shown(pause: Mapping[str, Any]) -> str:
    return "with an error" if pause["answer"] is None else json.dumps(pause["answer"])


def _print_trial(model: str, said: Mapping[str, Any]) -> None:
    if not said["sides"]:
        typer.echo(f"{model}: no version is tried; try one: labcycle models promote {model} VERSION --percent 10")
        return
    print_sides(f"{model}, {said['percent']} % to the canary since {said['since']}", said["sides"])
    for reason in said["reasons"]:
        typer.echo(f"{said['verdict'].replace('_', ' ')}: {reason}")


def _print_deployment(model: str, deployment: Mapping[str, Any]) -> None:
    live, canary, pause = deployment["live"], deployment.get("canary"), deployment.get("pause")
    if not live:
        typer.echo(f"{model}: no version is live; promote one: labcycle models promote {model} VERSION")
        return
    sides = [("live", live), *(("previous", entry) for entry in deployment["previous"])]
    if canary:
        sides.insert(1, (f"canary, {canary['percent']} %", canary["deployed"]))
    rows = [
        (
            str(entry["version"]),
            state,
            entry["promoted_at"],
            entry["promoted_by"],
            entry["model_file"]["sha256"][:16],
            entry["source_run"] or "",
        )
        for state, entry in sides
    ]
    headings = ("version", "state", "promoted", "by", "SHA-256", "run")
    print_table(f"{model}, generation {deployment['generation']}", headings, rows)
    if shadow := deployment.get("shadow"):
        typer.echo(f"its shadow is version {shadow['deployed']['version']}: labcycle models shadow {model}")
    if pause:
        why = f": {pause['reason']}" if pause["reason"] else ""
        typer.echo(f"paused since {pause['at']} by {pause['by']}{why}; it answers {_shown(pause)}")
    if live["reference"] is None:
        typer.echo("no drift check: the version came without a profile reference")


def _print_history(model: str, said: Mapping[str, Any]) -> None:
    rows = []
    for event in said["events"]:
        who = event["who"]["member"] or event["who"]["role"]
        detail = ", ".join(
            f"{key} (see --json)" if isinstance(value, dict) else f"{key} {value}"
            for key, value in event["detail"].items()
            if value not in (None, "", {})
        )
        rows.append((str(event["seq"]), event["at"], event["action"], who, detail))
    print_table(model, ("#", "at", "action", "who", "detail"), rows)
    if not said["events"]:
        typer.echo("no event tells of it under this name")
    elif said["verified"]:
        typer.echo("the chain of hashes is whole")
    for problem in said["problems"]:
        typer.echo(f"broken: {problem}", err=True)
