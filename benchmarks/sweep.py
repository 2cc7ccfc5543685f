"""What the group of a sweep costs beside its scripts, and what 10,000 points come to: `python -m benchmarks.sweep`.

On the local cloud, with a team's own stacks: one lane runs a small script at many points, each a process and a run in the ledger, behind
the team's real API. The peer is the same script, bare, by the same Python, as often, in turns with the lane's machine otherwise idle. What a
run takes more is orchestration; it may be 0.3 seconds. Then 10,000 points are planned, submitted, and stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import boto3
from rich.console import Console
from rich.table import Table as Shown

from labcycle.config import names
from labcycle.lineage.runs_client import RunsClient
from labcycle.local.cloud import LocalCloud
from labcycle.sweeps import tags
from labcycle.sweeps.plan import SweepFile
from labcycle.sweeps.sweep import Sweeps
from tests.local.conftest import free_port
from tests.local.test_sweeps import ACCOUNT, REGION, TARGET_FILE, TEAM, TEAM_FILE
from tests.one_team import synthesized

POINTS, MANY = 40, 10_000
LIMIT_SECONDS = 0.3
SCRIPT = """
import json, os, time
time.sleep(0.2)
json.dump({"m": float(os.environ.get("PARAM_X", 0))}, open("metrics.json", "w"))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part in ("team", "cloud", "bare"):
            (root / part).mkdir()
        assembly = synthesized(root / "team", TEAM_FILE, TARGET_FILE)
        with LocalCloud.start(ACCOUNT, REGION, free_port(), folder=root / "cloud") as cloud:
            cloud.bootstrap()
            cloud.deploy(assembly.directory)
            os.environ |= cloud.environment(cloud.assume(names.member_role(TEAM, "ada"), "ada"))
            os.environ["MLFLOW_TRACKING_URI"] = cloud.outputs(f"labcycle-{TEAM}-tracking")["TrackingUrl"]
            _measure(root / "bare")


def _measure(folder: Path) -> None:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    bare = [_bare(script) for _ in range(POINTS)]
    sweeps, runs = Sweeps(), RunsClient()
    began = _begin(sweeps, _sweep(POINTS, 1), script)
    while not (found := sweeps.look(began)).ended:
        time.sleep(1)
    if found.done != POINTS:
        raise SystemExit(f"the sweep is {found.state}: {found.failures}")
    children = runs.search([runs.run(began).experiment_id], f"tags.`{tags.PARENT}` = '{began}'")
    starts = sorted(run.start_time for run in children)
    apart = [(later - earlier) / 1000 for earlier, later in pairwise(starts)]
    overhead = median(apart) - median(bare)

    many = _sweep(MANY, 100)
    clock = time.perf_counter()
    points = many.all_points()
    planned = time.perf_counter() - clock
    clock = time.perf_counter()
    large = _begin(sweeps, many, script)
    submitted = time.perf_counter() - clock
    sweeps.stop(large)
    bucket = names.bucket(TEAM, "artifacts", ACCOUNT, REGION)
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=names.sweep_prefix(large))["Contents"]
    sizes = {entry["Key"].removeprefix(names.sweep_prefix(large)): entry["Size"] for entry in listed}

    shown = Shown("figure", "measured")
    for name, value in (
        (f"the script bare, median of {POINTS}", f"{median(bare):.3f} s"),
        (f"a point of the sweep, median of {POINTS}", f"{median(apart):.3f} s"),
        ("orchestration a run", f"{overhead:.3f} of {LIMIT_SECONDS} s"),
        ("ratio to the bare script", f"{median(apart) / median(bare):.2f}"),
        (f"{len(points):,} points: planned", f"{planned:.2f} s"),
        ("snapshot, manifest and job submitted", f"{submitted:.2f} s"),
        ("manifest", f"{sizes['manifest.json'] / 1e6:.2f} MB"),
        ("submission", f"{sizes['submissions/1.json'] / 1e3:.0f} KB"),
    ):
        shown.add_row(name, value)
    Console().print(shown)
    if overhead > LIMIT_SECONDS:
        raise SystemExit(f"orchestration takes {overhead:.3f} s a run; allowed {LIMIT_SECONDS}")


def _bare(script: Path) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, str(script), "--x", "1"], cwd=script.parent, check=True)
    return time.perf_counter() - began


def _begin(sweeps: Sweeps, sweep: SweepFile, script: Path) -> str:
    return sweeps.begin(sweep, "benchmark", script)


def _sweep(points: int, concurrency: int) -> SweepFile:
    return SweepFile.model_validate(
        {
            "experiment": "benchmark",
            "script": "script.py",
            "parameters": {"x": {"low": 0.0, "high": 1.0}, "rate": {"low": 1e-5, "high": 1.0, "scale": "log"}},
            "method": "latin_hypercube",
            "points": points,
            "concurrency": concurrency,
            "metric": "m",
            "mode": "max",
        }
    )


if __name__ == "__main__":
    main()
