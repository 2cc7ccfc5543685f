"""Run a past run again, on this machine, as a new tracked run; and say whether its metrics came out the same.

A recipe reads its params and data from files and writes its metrics to one (docs/decisions/002): it is run without the
caller's credentials. Code of a commit logs by itself: it is started with MLFLOW_RUN_ID of the new run.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labcycle.client import record
from labcycle.client.uncommitted import short
from labcycle.errors import LabcycleError
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.cannot_reproduce import CannotReproduce
from labcycle.lineage.code import RECIPE, Code, restore
from labcycle.lineage.interpreter import Interpreter, fresh, reused
from labcycle.lineage.libraries import lock_of
from labcycle.lineage.recipe_variables import recipe_variables
from labcycle.lineage.runs_client import REPRODUCES, Run, RunsClient
from labcycle.lineage.training_data import fetch
from labcycle.lineage.verdict import SYSTEM, Tolerance, compared, judge

VERDICT, REPRODUCED, NOT_REPRODUCED, FAILED = "lineage.verdict", "reproduced", "not reproduced", "could not run"
REPORT, OUTPUT = "reproduction.json", "output.log"
_TRAINING_ROOT = "LABCYCLE_TRAINING_ROOT"
_LAST_LINES = 20
_SHOWN_DIFFERENCES = 50


@dataclass(frozen=True)
class Wanted:
    """What was asked for: see `labcycle runs reproduce`."""

    tolerance: Tolerance = field(default_factory=Tolerance)
    repository: Path | None = None
    data: Path | None = None
    reuse_environment: bool = False
    command: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reproduction:
    client: RunsClient
    artifacts: Artifacts
    say: Callable[[str], object]

    def __call__(self, run_id: str, wanted: Wanted, folder: Path) -> dict[str, Any]:
        """The report: `reproduced`, `metrics`, the new `run_id`, and what was made again how. It is on the new run, too.

        Parameters
        ----------
        folder
            Where it is done: a new folder, made where there is such a run.

        Raises
        ------
        CannotReproduce
            If it could not run; where the new run was there already, its verdict says so.
        ApiError, ArtifactError
            If ledger or artifacts cannot be read or written. The verdict says so here, too.
        """
        source = self.client.run(run_id)
        _comparable(source, wanted.tolerance)
        _make(folder)
        self.say(f"reproducing {source.name} ({run_id})")
        code = restore(source, self.artifacts, folder, repository=wanted.repository, command=wanted.command or None)
        self.say(f"code: {'its recipe' if code.recipe else 'commit ' + source.tags[record.COMMIT]}")
        notes, root = list(code.notes), folder / "training"
        if code.recipe:
            inputs = self.client.completeness(run_id)["inputs"]
            notes += fetch(source, inputs, self.artifacts, wanted.data, root / "input" / "data" / "training")
        elif wanted.data is not None:
            raise CannotReproduce("--data is for recipes: code of a commit reads its data by itself.")
        lock = lock_of(self.client, self.artifacts, source)
        if wanted.reuse_environment:
            python = reused(lock)
            self.say(
                f"libraries: those installed here, {len(python.different)} of them at other versions than recorded"
            )
        else:
            python = fresh(source, lock, folder / "environment", self.say)
        notes += python.notes
        return self._run(source, code, python, wanted.tolerance, root, notes)

    def _run(
        self, source: Run, code: Code, python: Interpreter, tolerance: Tolerance, root: Path, notes: list[str]
    ) -> dict[str, Any]:
        kept = {key: source.tags[key] for key in (record.COMMIT, record.UNCOMMITTED) if source.tags.get(key)}
        tags = {
            REPRODUCES: source.run_id,
            "mlflow.source.name": " ".join(code.command),
            **({} if code.recipe else kept),
        }
        made = self.client.create(source.experiment_id, tags, name=f"reproduces {source.name}"[:250])
        try:
            self.say(f"running {' '.join(code.command)} as run {made}, a process on this machine")
            metrics = (
                self._recipe(source, code, python, root, made) if code.recipe else self._script(code, python, made)
            )
            judged = judge(source.metrics, metrics, tolerance)
            report = {
                "reproduces": source.run_id,
                "run_id": made,
                "reproduced": all(metric["same"] for metric in judged),
                "tolerance": tolerance.document(),
                "metrics": judged,
                "code": {"origin": code.origin, "command": code.command},
                "environment": {
                    "reused": python.reused,
                    "different": [
                        {"package": name, "recorded": was, "here": here}
                        for name, (was, here) in list(python.different.items())[:_SHOWN_DIFFERENCES]
                    ],
                },
                "ran": "as a process on this machine",
                "notes": notes,
            }
            self._end(made, report)
        except KeyboardInterrupt:
            self._give_up(made, "KILLED")
            raise
        except (LabcycleError, OSError) as error:
            self._give_up(made, "FAILED")
            if isinstance(error, OSError):
                raise CannotReproduce(f"run {made} ended half way: {error}") from error
            raise
        return report

    def _end(self, made: str, report: dict[str, Any]) -> None:
        uri = self.client.run(made).artifact_uri
        self.artifacts.write(uri, f"{record.FOLDER}/{REPORT}", json.dumps(report, indent=2).encode())
        self.client.log(made, tags={VERDICT: REPRODUCED if report["reproduced"] else NOT_REPRODUCED})
        self.client.set_status(made, "FINISHED")

    def _give_up(self, made: str, status: str) -> None:
        try:
            self.client.log(made, tags={VERDICT: FAILED})
            self.client.set_status(made, status)
        except LabcycleError as error:
            self.say(f"run {made} does not say that it ended: {error}")

    def _recipe(self, source: Run, code: Code, python: Interpreter, root: Path, made: str) -> dict[str, float]:
        recipe = {path.relative_to(code.folder): path.read_bytes() for path in code.folder.rglob("*") if path.is_file()}
        (root / "input" / "config").mkdir(parents=True)
        (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(source.params))
        home = root.parent / "home"
        home.mkdir()
        self._start(code, python, {**recipe_variables(os.environ, home), _TRAINING_ROOT: str(root)}, made)
        try:
            said = json.loads((root / "output" / "data" / "metrics.json").read_text())
            metrics = {str(key): float(value) for key, value in said.items()}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise CannotReproduce(f"the recipe ended without a usable output/data/metrics.json: {error}") from None
        self.client.log(made, params=source.params, metrics=metrics)
        self.client.log_datasets(made, source.datasets)
        uri = self.client.run(made).artifact_uri
        for path, content in recipe.items():  # so that the new run can be run again by itself
            self.artifacts.write(uri, f"{RECIPE}/{path.as_posix()}", content)
        return metrics

    def _script(self, code: Code, python: Interpreter, made: str) -> dict[str, float]:
        mlflow = {"MLFLOW_RUN_ID": made, "MLFLOW_TRACKING_URI": self.client.address}
        self._start(code, python, {**os.environ, **mlflow}, made)
        metrics = self.client.run(made).metrics
        if not metrics:
            raise CannotReproduce(
                f"the command ended well, but logged no metric to run {made}. It has to log with mlflow.start_run() without "
                f"a run of its own: MLFLOW_RUN_ID names the one to log to."
            )
        return metrics

    def _start(self, code: Code, python: Interpreter, variables: dict[str, str], made: str) -> None:
        command = [python.path if word == "python" and i == 0 else word for i, word in enumerate(code.command)]
        try:
            done = subprocess.run(
                command,
                check=False,
                cwd=code.folder,
                env=python.variables(variables),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise CannotReproduce(f"{code.command[0]} cannot be started: {error}") from None
        uri = self.client.run(made).artifact_uri
        self.artifacts.write(uri, f"{record.FOLDER}/{OUTPUT}", done.stdout)
        if done.returncode:
            last = "\n".join(done.stdout.decode(errors="replace").strip().splitlines()[-_LAST_LINES:])
            raise CannotReproduce(f"{' '.join(code.command)} ended with exit code {done.returncode}:\n{last}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise CannotReproduce(f"the folder {folder} is there already. Name a new one: --folder PATH.") from None
    except OSError as error:
        raise CannotReproduce(
            f"the folder {folder} cannot be made: {error.strerror}. Name a new one, where you may write: --folder PATH."
        ) from None


def _comparable(run: Run, tolerance: Tolerance) -> None:
    metrics = sorted(compared(run.metrics))
    if not metrics:
        raise CannotReproduce(
            f"run {run.run_id} has no metric (those below {SYSTEM} do not count): there is nothing to compare a second run with."
        )
    if unknown := sorted(tolerance.metrics.keys() - set(metrics)):
        raise CannotReproduce(
            f"--tolerance {unknown[0]}=...: run {run.run_id} has no such metric; allowed are {short(metrics)}."
        )
