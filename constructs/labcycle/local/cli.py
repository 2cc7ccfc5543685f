"""`labcycle local`: up, status, down, deploy, destroy, notices, api."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from labcycle.local import process
from labcycle.local.cloud import LocalCloud
from labcycle.local.settings import DEFAULT_ACCOUNT, DEFAULT_PORT, DEFAULT_REGION

app = typer.Typer(name="local", help="The embedded local cloud.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Assembly = Annotated[Path, typer.Option("--app", help="Cloud assembly, as `cdk synth` writes it.")]
Selectors = Annotated[list[str] | None, typer.Argument(help="Stacks, as the CDK CLI takes them. Absent: all.")]


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = DEFAULT_PORT,
    account: Annotated[str, typer.Option(help="Account number that it plays.")] = DEFAULT_ACCOUNT,
    region: Annotated[str, typer.Option(help="Region that it plays.")] = DEFAULT_REGION,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay; end it with Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the local cloud and bootstrap it. It runs until `labcycle local down`."""
    cloud = LocalCloud.start(account, region, port)
    try:
        cloud.bootstrap()
        _say(cloud.status() if as_json else cloud.how_to_look_around(), as_json)
        if not foreground:
            cloud.keep()
            return
        while cloud.running():
            time.sleep(0.5)
    except KeyboardInterrupt:
        typer.echo("ending the local cloud", err=True)
        cloud.stop()
    except BaseException:
        cloud.stop()
        raise


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say whether a local cloud of this folder runs, and what is deployed in it. Exits 1 if none runs."""
    running = process.find(process.default_folder())
    if running is None:
        _say({"running": False} if as_json else "No local cloud of this folder runs.", as_json)
        raise typer.Exit(1)
    cloud = LocalCloud.attach()
    told: dict[str, Any] = {"running": True, **cloud.status(), "stacks": list(cloud.all_outputs())}
    text = f"{cloud.endpoint}: account {cloud.account}, region {cloud.region}, process {cloud.pid}, {len(told['stacks'])} stacks"
    _say(told if as_json else text, as_json)


@app.command()
def down(as_json: AsJson = False) -> None:
    """End the local cloud of this folder, with every process that it started. Everything in it is gone."""
    ended = process.stop(process.default_folder())
    text = "The local cloud has ended." if ended else "No local cloud of this folder ran."
    _say({"ended": ended} if as_json else text, as_json)


@app.command()
def deploy(selectors: Selectors = None, assembly: Assembly = Path("cdk.out"), as_json: AsJson = False) -> None:
    """Deploy a cloud assembly with the pinned CDK CLI, and say how real what it holds is."""
    report = LocalCloud.attach().deploy(assembly, selectors or ["**"])
    _say(report.as_json() if as_json else "\n".join(report.lines()), as_json)


@app.command()
def destroy(selectors: Selectors = None, assembly: Assembly = Path("cdk.out"), as_json: AsJson = False) -> None:
    """Destroy stacks with the pinned CDK CLI, and say what is retained by design."""
    retained = LocalCloud.attach().destroy(assembly, selectors or ["**"])
    _say({"retained": retained} if as_json else "\n".join(["Destroyed.", *retained]), as_json)


@app.command()
def notices(as_json: AsJson = False) -> None:
    """Show the e-mail notices that topics sent."""
    found = LocalCloud.attach().notices()
    text = "\n\n".join(f"{n['time']} to {n['address']}\n{n['subject']}\n{n['text']}" for n in found)
    _say(found if as_json else text or "No notice has arrived.", as_json)


@app.command()
def api(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 for any that is free.", min=0, max=65535)] = 5000,
    as_json: AsJson = False,
) -> None:
    """Serve the tracking and life cycle API of one team from memory, without a local cloud. It ends with Ctrl-C."""
    from labcycle.local.api import MEMBER, RESET, TEAM, LocalApi

    with LocalApi(port) as served:
        variables = served.environment()
        lines = [
            f"Team {TEAM}'s API is at {served.address}, its S3 at {served.endpoint}. In another shell:",
            "",
            *(f"export {name}={value}" for name, value in variables.items()),
            "",
            f"Nothing is kept: all is gone when this ends (Ctrl-C), and POST {RESET} empties it.",
            "A signed request must be signed right, with the credentials above, which are worth nothing elsewhere.",
            f"An unsigned one is taken for the member {MEMBER}'s: MLFLOW_TRACKING_URI alone is enough.",
        ]
        told = {"address": served.address, "endpoint": served.endpoint, "environment": variables}
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which nohup and the like switch off
        _say(told if as_json else "\n".join(lines), as_json)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            typer.echo("ending the local API", err=True)


def _say(content: object, as_json: bool) -> None:
    typer.echo(json.dumps(content, indent=2, default=str) if as_json else content)
