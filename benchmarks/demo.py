"""The demo from end to end, as ratios to its aims: 90 s in all, 30 s of it for the deploy, 1.5 GB at the peak.

    python -m benchmarks.demo

Memory is the proportional set size of the whole process tree (server, workers, CDK CLI), sampled every 0.2 s; Linux only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

AIM_SECONDS, AIM_DEPLOY_SECONDS, AIM_BYTES = 90.0, 30.0, 1.5e9


def with_descendants(roots: set[int]) -> set[int]:
    """`roots` and the process ids of all that descend from them."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def proportional_bytes(pids: set[int]) -> int:
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def main() -> int:
    peak = 0
    ended = threading.Event()
    start = time.monotonic()
    demo = subprocess.Popen([sys.executable, "-m", "labcycle.cli", "demo", "--json"], stdout=subprocess.PIPE, text=True)
    seen = {demo.pid}  # a server that leaves its parent's tree is still ours

    def sample() -> None:
        nonlocal peak, seen
        while not ended.wait(0.2):
            seen = with_descendants(seen)
            peak = max(peak, proportional_bytes(seen))

    sampler = threading.Thread(target=sample)
    sampler.start()
    said, _ = demo.communicate()
    seconds = time.monotonic() - start
    ended.set()
    sampler.join()
    steps = json.loads(said)["steps"]
    deploy = next(step["seconds"] for step in steps if step["title"].startswith("deploy"))
    print(f"{'figure':<16}{'seen':>10}{'aim':>10}{'ratio':>8}")
    for figure, value, aim in (
        ("whole demo, s", seconds, AIM_SECONDS),
        ("deploy, s", deploy, AIM_DEPLOY_SECONDS),
        ("peak memory, GB", peak / 1e9, AIM_BYTES / 1e9),
    ):
        print(f"{figure:<16}{value:>10.2f}{aim:>10.2f}{value / aim:>8.2f}")
    for step in steps:
        print(f"  {step['seconds']:>7.1f} s  {step['title']}")
    return demo.returncode


if __name__ == "__main__":
    sys.exit(main())
