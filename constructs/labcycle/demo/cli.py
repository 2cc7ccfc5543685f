"""`labcycle demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labcycle.errors import LabcycleError
from labcycle.local.settings import DEFAULT_ACCOUNT, DEFAULT_PORT, DEFAULT_REGION


def register(app: typer.Typer) -> None:
    """Add the command `demo`."""

    @app.command()
    def demo(
        port: Annotated[int, typer.Option(help="Port of the local cloud on 127.0.0.1.")] = DEFAULT_PORT,
        keep: Annotated[bool, typer.Option("--keep", help="Leave the cloud up, and say how to look around.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print the steps as one JSON document.")] = False,
        loop: Annotated[
            bool,
            typer.Option(
                "--loop",
                help="Instead: a model that is watched each minute and reacts by itself; a quarter of an hour.",
            ),
        ] = False,
    ) -> None:
        """Deploy two teams to the embedded local cloud and run one whole life cycle on real data."""
        if not Path("cdk.json").is_file():
            raise LabcycleError("there is no cdk.json here: run `labcycle demo` in a checkout of labcycle")
        from labcycle.demo import closed_loop, life_cycle
        from labcycle.demo.checklist import Checklist
        from labcycle.local.cloud import LocalCloud

        checklist = Checklist((closed_loop if loop else life_cycle).STEPS, as_json=as_json)
        with checklist.step("start the embedded local cloud") as step:
            cloud = LocalCloud.start(DEFAULT_ACCOUNT, DEFAULT_REGION, port)
            step.saw(f"{cloud.endpoint}, process {cloud.pid}")
        try:
            story = closed_loop.ClosedLoop if loop else life_cycle.LifeCycle
            story(cloud, Path(".labcycle/cdk.out"), checklist).run()
        finally:
            if keep:
                cloud.keep()
            else:
                cloud.stop()
            checklist.close()
            if keep and not as_json:
                typer.echo(cloud.how_to_look_around())
