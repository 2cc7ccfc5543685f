"""The gate on ten teams with all their stacks, as a ratio to its aim of 10 s, and to the same tools run one by one.

    python -m benchmarks.check [--peer]

The teams are like the example team fraud, with names and members of their own; synthesizing them is not counted. The peer
runs each checker on each template in turn, in a process of its own as their command lines would; that takes minutes, so
it is measured on request.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aws_cdk import App

from infra.app import build, settings
from labcycle.check.template import templates_at

AIM_SECONDS, ROUNDS = 10.0, 3
INFRA = Path(__file__).parents[1] / "infra"
TEAMS = ("ads", "alpha", "churn", "credit", "logistics", "pricing", "search", "speech", "supply", "vision")
MEMBERS = (("ann", "bob", "cyd"), ("dora", "ed", "flo"), ("gus", "hal", "ida"))
ONE = """
import pickle, sys
from labcycle.check import checkers
from labcycle.check.estate import Estate
kind, template = pickle.load(sys.stdin.buffer)
found = list(getattr(checkers, kind)().check([template], Estate([template])))
"""


def ten_teams(folder: Path) -> Path:
    """An assembly of ten teams like fraud and their targets."""
    config = folder / "config"
    shutil.copytree(INFRA / "targets", config / "targets")
    (config / "teams").mkdir()
    text = (INFRA / "teams" / "fraud.yaml").read_text(encoding="utf-8")
    for n, team in enumerate(TEAMS):
        own = text.replace("card-fraud", f"{team}-model").replace("fraud", team).replace("cc-4410", f"cc-{1000 + n}")
        for word, name in zip(("scientist-1", "reviewer-1", "operator-1"), MEMBERS[n % len(MEMBERS)], strict=True):
            own = own.replace(word, f"{name}-{n}")
        (config / "teams" / f"{team}.yaml").write_text(own, encoding="utf-8")
    out = folder / "cdk.out"
    app = App(outdir=str(out), context=settings() | {"config": str(config)}, analytics_reporting=False)
    build(app)
    app.synth()
    return out


def gate(assembly: Path) -> float:
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "labcycle.cli", "check", str(assembly)], stdout=subprocess.DEVNULL, check=True
    )
    return time.monotonic() - start


def one_by_one(assembly: Path) -> float:
    import pickle

    from labcycle.check.checkers import all_checkers

    kinds = [type(checker).__name__ for checker in all_checkers()]
    start = time.monotonic()
    for template in templates_at(assembly):
        for kind in kinds:
            subprocess.run([sys.executable, "-c", ONE], input=pickle.dumps((kind, template)), check=True)
    return time.monotonic() - start


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--peer", action="store_true", help="measure the same tools one by one, too")
    asked = arguments.parse_args()
    os.environ["CDK_VALIDATION"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        assembly = ten_teams(Path(folder))
        templates = templates_at(assembly)
        resources = sum(len(template.body["Resources"]) for template in templates)
        seconds = min(gate(assembly) for _ in range(ROUNDS))
        print(f"{len(templates)} templates, {resources} resources; best of {ROUNDS} rounds")
        print(f"labcycle check   {seconds:6.1f} s   {seconds / AIM_SECONDS:.2f} of the aim of {AIM_SECONDS:.0f} s")
        if asked.peer:
            peer = one_by_one(assembly)
            print(f"one by one       {peer:6.1f} s   labcycle check takes {seconds / peer:.3f} of it")
    return 0 if seconds <= AIM_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
