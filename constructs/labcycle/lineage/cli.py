"""`labcycle explain` and `labcycle runs`: parts, ancestry, compare, derive, reproduce."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from labcycle.errors import LabcycleError
from labcycle.lineage import pages, text
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.comparison import compare as compare_runs
from labcycle.lineage.derivation import changes_of
from labcycle.lineage.derivation import derive as derive_run
from labcycle.lineage.reproduction import Reproduction, Wanted
from labcycle.lineage.runs_client import RunsClient
from labcycle.lineage.verdict import Tolerance

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run.")]
Html = Annotated[Path | None, typer.Option(help="Write a page to this file, too; it asks for nothing else.")]

runs = typer.Typer(name="runs", help="What runs are made of, how they differ, and whether they can be run again.")


def register(app: typer.Typer) -> None:
    """Add the command `explain` and the group `runs`."""
    app.add_typer(runs, name="runs", no_args_is_help=True)

    @app.command()
    def explain(
        model: Annotated[
            str,
            typer.Argument(help="MODEL, MODEL@ALIAS or MODEL/VERSION. Without either, what is live, else the newest."),
        ],
        html: Html = None,
        markdown: Annotated[Path | None, typer.Option(help="Write a model card in Markdown to this file, too.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show how a version of a model was built: what is live, its run and six parts, its data, who did what when.

        Exits 1 where the chain of custody is broken.
        """
        client = RunsClient()
        name, version, alias = parse(model)
        said = client.explanation(name, version=version, alias=alias)
        if html:
            _write(html, pages.card_html(said, pages.card_plots(client, said)))
        if markdown:
            _write(markdown, pages.card_markdown(said))
        _print_json(said) if as_json else text.print_explanation(said)
        if not said["verified"]:
            raise typer.Exit(1)


@runs.command()
def parts(run: RunId, as_json: AsJson = False) -> None:
    """Show which of the six parts of a run are recorded, and how to supply the others. Exits 1 where one is not."""
    said = RunsClient().completeness(run)
    _print_json(said) if as_json else text.print_parts(said)
    if not said["complete"]:
        raise typer.Exit(1)


@runs.command()
def ancestry(run: RunId, as_json: AsJson = False) -> None:
    """Show the runs that a run comes from."""
    said = RunsClient().ancestry(run)
    _print_json(said) if as_json else text.print_ancestry(said)


@runs.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Id of a run.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Id of another run.")],
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two runs: params, metrics, code, data, libraries, environment, tags."""
    client = RunsClient()
    left, right = client.run(a), client.run(b)
    said = compare_runs(client, Artifacts(client), left, right, Path.cwd())
    if html:
        _write(html, pages.comparison_html(said, pages.comparison_plots(client, left, right)))
    _print_json(said) if as_json else text.print_comparison(said)


@runs.command()
def derive(
    run: RunId,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A param that is to be another one.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the new run. Absent: a random one.")] = "",
    as_json: AsJson = False,
) -> None:
    """Prepare a new run that comes from another one, with its params; go on with mlflow.start_run(run_id=...)."""
    made = derive_run(RunsClient(), run, changes_of(settings or []), name=name)
    if as_json:
        return _print_json({"run_id": made, "derived_from": run})
    typer.echo(made)
    typer.echo(f"go on with: mlflow.start_run(run_id='{made}'), or MLFLOW_RUN_ID={made} python train.py", err=True)


@runs.command()
def reproduce(
    run: RunId,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND...]", help="How to start it. Absent: its recipe, or as it was started."),
    ] = None,
    repository: Annotated[
        Path | None, typer.Option(help="A git checkout that has the run's commit. Absent: the current one.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="CSV file, or folder of them, for a recipe. Absent: where the run's data lies.")
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER or METRIC=NUMBER", help="Relative; default 1e-6. METRIC=inf takes any value."),
    ] = None,
    reuse_environment: Annotated[
        bool, typer.Option("--reuse-environment", help="Run with the packages installed here, and tell what differs.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="A new folder to do it in, which is kept. Absent: one that is removed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a past run again, as a process on this machine and a new tracked run, and compare the metrics.

    Exits 0 where it was reproduced, 1 where it was not, 2 where it could not run. It runs the code of that run.
    """
    wanted = Wanted(Tolerance.of(tolerance or []), repository, data, reuse_environment, command or [])
    client = RunsClient()
    reproduction = Reproduction(client, Artifacts(client), lambda line: typer.echo(line, err=True))
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="labcycle-reproduce-") as place:
            report = reproduction(run, wanted, Path(place) / "run")
    else:
        report = reproduction(run, wanted, folder.absolute())
    _print_json(report) if as_json else text.print_reproduction(report)
    if not report["reproduced"]:
        raise typer.Exit(1)


def parse(model: str) -> tuple[str, str, str]:
    """Name, version and alias of `MODEL`, `MODEL@ALIAS`, `MODEL/VERSION`, with or without `models:/`; "" for none."""
    model = model.removeprefix("models:/")
    name, at, alias = model.rpartition("@")
    if at and name and alias:
        return name, "", alias
    name, slash, version = model.rpartition("/")
    if slash and name and version:
        return name, version, ""
    return model, "", ""


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise LabcycleError(f"{path} cannot be written: {error.strerror}") from None
    typer.echo(f"wrote {path}", err=True)


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, indent=2))
