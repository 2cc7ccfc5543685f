"""Monitoring: what judging drift costs, beside Evidently on the same rows in the same run, and how often each is right.

    python -m benchmarks.monitoring

Twenty normal features and a prediction. The evaluation reads 1,000 documents of profiles as the ledger has them, in a process that
imports nothing else, merges and compares them; Evidently gets the million rows that they count as a data frame, and makes a report
of their population stability index with its preset, what its documentation begins with; its metrics of single columns, without the
pictures, stand beside it. What it takes to import, and to make frames, counts for neither. The profiles are made as a model server makes
them, through `Capture` with a clock of its own, on Lambda, whose sandboxes are taken as the requests need them; the table that they
are written to is in memory, and counts write units as DynamoDB charges them.

The table below the figures draws windows and references of the same size, from the same seeds for all. A false alarm is a window of
twenty features without a shift of which any is named; found is a feature that was shifted. Evidently decides by its defaults:
with more than 1,000 rows of reference by the Wasserstein distance, 0.1 or more standard deviations, else by the Kolmogorov-Smirnov
test, p-value 0.05 or less. Of a million rows it gets the first 100,000.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, by_turns, in_process, report

if TYPE_CHECKING:
    from labcycle_lambdas.model_server.capture import Capture

FEATURES, DOCUMENTS, ROWS_OF_A_DOCUMENT, REFERENCE_ROWS = 20, 1_000, 1_000, 100_000
FITTED_ROWS = 1_000_000
DOLLARS_A_MILLION_WRITES = 0.625  # us-east-1, on demand, https://aws.amazon.com/dynamodb/pricing/on-demand/
REQUEST_SECONDS = 0.01  # of a sandbox
PREDICTIONS = {1: 6_000, 10: 20_000, 1_000: 200_000}  # at so many requests a second
SHIFTS = (0.0, 0.05, 0.1, 0.2, 0.5)  # in standard deviations
TRIALS = {500: 200, 5_000: 100, 100_000: 10, 1_000_000: 4}  # windows of so many rows
SAMPLE = 100_000
OURS = {"psi": 0.2, "wasserstein": 0.1}  # the thresholds without a word in the team file
NAMES = [f"feature_{number}" for number in range(FEATURES)]
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "DO_NOT_TRACK": "1",  # Evidently tells of its use otherwise
}


# What is drawn.


def rows_of(seed: int, rows: int) -> Any:
    import numpy as np

    return np.random.default_rng(seed).normal(size=(rows, FEATURES))


def reference_doc(rows: Any) -> dict[str, Any]:
    from labcycle.client import reference

    return reference.fit(dict(zip(NAMES, rows.T, strict=True)), predictions=(rows[:, 0] > 0).astype(int))


def profiles(folder: Path) -> dict[str, Any]:
    """The documents of a million rows, as the text of the ledger's items, and the CPU of their making."""
    from labcycle_lambdas.ledger.table import to_json
    from labcycle_lambdas.profiles import Profile, Reference

    made = reference_doc(rows_of(1, REFERENCE_ROWS))
    (folder / "reference.json").write_text(json.dumps(made))
    fixed, seconds = Reference.from_doc(made), 0.0
    with (folder / "profiles.jsonl").open("w") as out:
        for number in range(DOCUMENTS):
            rows = rows_of(1_000 + number, ROWS_OF_A_DOCUMENT)
            listed, answers = rows.tolist(), (rows[:, 0] > 0).astype(int).tolist()
            begin = time.process_time()
            profile = Profile(fixed)
            profile.add(NAMES, listed, answers)
            text = to_json({"profile": profile.to_doc()})
            seconds += time.process_time() - begin
            out.write(text + "\n")
    return {"seconds": seconds}


# What is measured, each in a process of its own.

_EVALUATION = """
import json, resource, sys, time
from labcycle_lambdas.profiles import Profile, Reference, compare, moved
with open(sys.argv[1] + "/reference.json") as file:
    reference = json.load(file)
with open(sys.argv[1] + "/profiles.jsonl") as file:
    texts = file.read().splitlines()
begin = time.process_time()
fixed = Reference.from_doc(reference)
merged = Profile.of(fixed, (json.loads(text)["profile"] for text in texts))
found = compare(fixed, merged)
named = moved(found, method="psi", threshold=0.2, minimum_rows=500)
seconds = time.process_time() - begin
assert merged.rows == 1_000_000 and not named and "numpy" not in sys.modules, merged.rows
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps({"seconds": seconds, "peak_mb": peak_mb, "psi": {one.name: one.psi for one in found}}))
"""


def in_evidently(folder: Path) -> dict[str, Any]:
    """Seconds of its report of the index of each feature, and of its metrics of single columns."""
    import numpy as np
    import pandas as pd

    evidently = _evidently()
    reference = pd.DataFrame(rows_of(1, REFERENCE_ROWS), columns=NAMES)
    live = pd.DataFrame(
        np.concatenate([rows_of(1_000 + number, ROWS_OF_A_DOCUMENT) for number in range(DOCUMENTS)]), columns=NAMES
    )

    def seconds(metrics: list[Any]) -> float:
        begin = time.process_time()
        said = evidently.Report(metrics).run(live, reference).dict()
        assert len(said["metrics"]) >= FEATURES, said
        return time.process_time() - begin

    whole = seconds([evidently.presets.DataDriftPreset(method="psi")])
    single = seconds([evidently.metrics.ValueDrift(column=name, method="psi") for name in NAMES])
    return {"seconds": whole, "single": single}


def _evidently() -> Any:
    import pandas.core.dtypes.common

    # pandas 3 took away a name that Evidently imports for tests of column types, none of which is asked for here.
    if not hasattr(pandas.core.dtypes.common, "infer_dtype_from_object"):
        pandas.core.dtypes.common.infer_dtype_from_object = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import evidently
        import evidently.metrics
        import evidently.presets
    return evidently


def fitting(folder: Path) -> dict[str, Any]:
    import numpy  # noqa: F401 - what it takes to import is not the fit's

    frame = dict(zip(NAMES, rows_of(2, FITTED_ROWS).T.copy(), strict=True))
    from labcycle.client import reference

    begin = time.process_time()
    made = reference.fit(frame)
    seconds = time.process_time() - begin
    assert {sum(column["counts"]) for column in made["columns"]} == {FITTED_ROWS}
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


class Sandboxes:
    """Lambda's, with a clock that the requests set; a request takes the first sandbox that is free."""

    def __init__(self, reference: dict[str, Any]) -> None:
        import boto3

        from labcycle_lambdas.ledger.profiles import Profiles
        from labcycle_lambdas.ledger.table import Table
        from tests.unit.tracking.dynamodb import MemoryDynamoDB

        self.store = MemoryDynamoDB()
        self.store_seconds = 0.0
        client = boto3.client("dynamodb")
        client.meta.events.register_first("before-send", self._answer)
        self._profiles = Profiles(Table(client, "ledger"))
        self._deployed: Any = SimpleNamespace(
            generation=1, deployed=SimpleNamespace(version=3, reference=reference), live=None
        )
        self._captures: list[Capture] = []
        self._free_at: list[float] = []
        self._at = 0.0

    def ask(self, at: float, row: list[float], answer: int) -> None:
        from labcycle_lambdas.model_server.prediction_log import Answered

        self._at = at
        free = next((number for number, until in enumerate(self._free_at) if until <= at), None)
        if free is None:
            free = len(self._captures)
            self._captures.append(self._capture(free))
            self._free_at.append(0.0)
        self._free_at[free] = at + REQUEST_SECONDS
        capture = self._captures[free]
        capture.ask()
        capture.count(self._deployed, Answered("", [answer], NAMES, [row]))
        capture.write_due()

    def __len__(self) -> int:
        return len(self._captures)

    def _capture(self, number: int) -> Capture:
        from labcycle_lambdas.model_server.capture import Capture

        start = datetime(2026, 3, 1, tzinfo=UTC)
        return Capture(
            self._profiles,
            "tumour",
            f"{number:032x}",
            monotonic=lambda: self._at,
            now=lambda: start + timedelta(seconds=self._at),
        )

    def _answer(self, request: Any, **_: Any) -> Any:
        begin = time.process_time()
        try:
            return self.store.answer(request)
        finally:
            self.store_seconds += time.process_time() - begin


def capturing(folder: Path) -> dict[str, Any]:
    """CPU of a row, its writes included, and write units of a million predictions at each rate of requests."""
    import numpy as np

    doc = json.loads((folder / "reference.json").read_text())
    said: dict[str, Any] = {"rates": {}}
    for rate, predictions in PREDICTIONS.items():
        random = np.random.default_rng(rate)
        times = np.cumsum(random.exponential(1 / rate, predictions)).tolist()
        pool = rows_of(rate, 2_000).tolist()
        sandboxes = Sandboxes(doc)
        begin = time.process_time()
        for number, at in enumerate(times):
            sandboxes.ask(at, pool[number % len(pool)], number & 1)
        seconds = time.process_time() - begin - sandboxes.store_seconds
        items = [json.loads(item["doc"]["S"])["profile"] for item in sandboxes.store.items()]
        counted = sum(item["rows"] for item in items)
        assert predictions - 200 * len(sandboxes) <= counted <= predictions, counted
        said["rates"][rate] = {
            "milliseconds": seconds / predictions * 1e3,
            "units": sandboxes.store.write_units / predictions * 1e6,
            "writes": len(sandboxes.store.calls) / predictions * 1e6,
            "sandboxes": len(sandboxes),
        }
    return said


# How often each is right.


def rates(folder: Path) -> dict[str, Any]:
    """For each size and shift: the share of windows that each of our methods and Evidently's defaults name."""
    _evidently()
    import pandas as pd
    from evidently.legacy.calculations.stattests.ks_stattest import _ks_stat_test
    from evidently.legacy.calculations.stattests.registry import _get_default_stattest
    from evidently.legacy.calculations.stattests.wasserstein_distance_norm import _wasserstein_distance_norm
    from evidently.legacy.core import ColumnType

    judges = {"ks": (_ks_stat_test, 0.05), "wasserstein": (_wasserstein_distance_norm, 0.1)}

    def theirs(reference: Any, live: Any) -> bool:
        trained, seen = (pd.Series(side[:SAMPLE]) for side in (reference, live))
        default = _get_default_stattest(trained, seen, ColumnType.Numerical)
        judge, threshold = judges[default.name]
        assert default.default_threshold == threshold, default
        return bool(judge(trained, seen, ColumnType.Numerical, threshold)[1])

    named: Counter[tuple[int, float, str]] = Counter()
    for size, trials in TRIALS.items():
        for trial in range(trials):
            trained, seen = (rows_of(seed * 10_000 + trial, size) for seed in (1, 2))
            window = Window(trained, seen)
            for shift in SHIFTS:
                moved_to = seen[:, 0] + shift
                window.count(0, moved_to)
                for method, threshold in OURS.items():
                    found = window.named(method, threshold)
                    named[size, shift, method] += NAMES[0] in found if shift else bool(found)
                sides = [(trained[:, 0], moved_to)] if shift else zip(trained.T, seen.T, strict=True)
                named[size, shift, "evidently"] += any(theirs(*side) for side in sides)
    return {
        "lines": [
            {"rows": size, "shift": shift, "windows": trials}
            | {judge: named[size, shift, judge] / trials for judge in (*OURS, "evidently")}
            for size, trials in TRIALS.items()
            for shift in SHIFTS
        ]
    }


class Window:
    """Live rows beside a reference; they are counted by numpy, as `Profile.add` does."""

    def __init__(self, trained: Any, seen: Any) -> None:
        from labcycle_lambdas.profiles import Profile, Reference

        self._profile = Profile(Reference.from_doc(reference_doc(trained)))
        for at in range(FEATURES):
            self.count(at, seen[:, at])
        self._profile.counts[FEATURES] = list(self._profile.reference.columns[FEATURES].counts)

    def count(self, at: int, values: Any) -> None:
        import numpy as np

        from labcycle_lambdas.profiles.bins import NumericBins

        bins = self._profile.reference.columns[at].bins
        assert isinstance(bins, NumericBins)
        places = np.searchsorted(bins.edges, values, side="right")
        self._profile.counts[at] = np.bincount(places, minlength=bins.size).tolist()

    def named(self, method: Any, threshold: float) -> set[str]:
        from labcycle_lambdas.profiles import compare, moved

        compared = compare(self._profile.reference, self._profile)
        return {one.name for one in moved(compared, method=method, threshold=threshold, minimum_rows=500)}


# The tables.


def measure(folder: Path) -> Iterator[Figure]:
    def task(name: str) -> dict[str, Any]:
        return in_process("-m", "benchmarks.monitoring", "--task", name, str(folder), environment=ENVIRONMENT)

    making = task("profiles")["seconds"]
    found: list[dict[str, Any]] = []
    peer: list[dict[str, Any]] = []

    def evaluation() -> float:
        found.append(in_process("-c", _EVALUATION, str(folder), environment=ENVIRONMENT))
        return float(found[-1]["seconds"])

    def evidently() -> float:
        peer.append(task("evidently"))
        return float(peer[-1]["seconds"])

    mine, theirs = by_turns(evaluation, evidently)
    yield Figure(f"evaluation of {DOCUMENTS:,} profiles, CPU", mine * 1e3, "ms", 60)
    yield Figure("evaluation, peak memory", max(one["peak_mb"] for one in found), "MB", 60)
    single = statistics.median(one["single"] for one in peer)
    yield Figure(
        "evaluation, Evidently's report", mine * 1e3, "ms", 1 / 500, theirs * 1e3,
        note=f"  (its metrics of single columns {single:.2g} s)",
    )  # fmt: skip
    yield Figure("and making the profiles", mine + making, "s", 1 / 2, theirs)
    fitted = [task("fitting") for _ in range(3)]
    yield Figure(
        f"fit of {FITTED_ROWS:,} rows, CPU", statistics.median(one["seconds"] for one in fitted), "s", 1.0,
        note=f"  (peak {fitted[0]['peak_mb']:.0f} MB, of which the frame {FITTED_ROWS * FEATURES * 8 / 1e6:.0f})",
    )  # fmt: skip
    captured = task("capturing")["rates"]
    yield Figure(
        "capture of a row with its writes, CPU", max(one["milliseconds"] for one in captured.values()), "ms", 0.15
    )
    for rate, one in captured.items():
        dollars = one["units"] / 1e6 * DOLLARS_A_MILLION_WRITES
        most = 0.05 if rate == "10" else 0.1
        yield Figure(
            f"writes of a million predictions at {int(rate):,}/s", dollars, "USD", most,
            note=f"  ({one['units']:,.0f} units in {one['writes']:,.0f} writes; {one['sandboxes']} sandboxes)",
        )  # fmt: skip
    lines = task("rates")["lines"]
    quiet = [line for line in lines if not line["shift"]]
    yield Figure("false alarms, psi or Wasserstein", max(line[method] for line in quiet for method in OURS), "", 0.01)
    print(f"\n{'rows':>9}{'shift':>7}{'windows':>9}{'psi 0.2':>9}{'wasserstein 0.1':>17}{'Evidently':>11}")
    for line in lines:
        print(
            f"{line['rows']:>9,}{line['shift']:>7.2f}{line['windows']:>9}{line['psi']:>9.0%}{line['wasserstein']:>17.0%}"
            f"{line['evidently']:>11.0%}"
        )


def main(words: Sequence[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    asked = arguments.parse_args(words)
    if asked.task:
        name, folder = asked.task
        tasks = {
            "profiles": profiles,
            "evidently": in_evidently,
            "fitting": fitting,
            "capturing": capturing,
            "rates": rates,
        }
        print(json.dumps(tasks[name](Path(folder))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return report(measure(Path(folder)), "peer")


if __name__ == "__main__":
    sys.exit(main())
