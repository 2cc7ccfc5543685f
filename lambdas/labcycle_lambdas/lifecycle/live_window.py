"""What a version saw in a stretch of time, out of the profiles of its servers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.profiles import Method, Profile, Reference, compare, moved

MOST_PROFILES = 20_000  # a server writes one a minute at most


@dataclass(frozen=True)
class LiveWindow:
    """Rows counted from `since` on; `whole` is False where there are more profiles than were read, and `since` is later then."""

    profile: Profile
    since: datetime
    whole: bool


def live_window(
    table: Table, model: str, version: int, reference: Reference, since: datetime, until: datetime
) -> LiveWindow:
    """All that was counted against `reference` in windows that began from `since` to `until`, as far as it can be read. Raises `Throttled`."""
    docs: list[dict[str, Any]] = []
    begins, whole = since, True
    for stored in Profiles(table).newest_first(model, version):
        if stored.window_start < since:
            break
        if stored.window_start > until:
            continue
        if len(docs) == MOST_PROFILES:
            whole = False
            break
        docs.append(stored.doc)
        begins = stored.window_start
    return LiveWindow(Profile.of(reference, docs), since if whole else begins, whole)


def deployed(table: Table, model: str, version: int) -> Deployed | None:
    """The version as it was promoted; None where the deployment record does not know it any more. Raises `Throttled`."""
    deployments = Deployments(table)
    record = deployments.current(model)
    known = [record.live, record.canary.deployed if record.canary else None]
    for one in known:
        if one and one.version == version:
            return one
    before = next((one for one in record.previous if one.version == version), None)
    return deployments.whole(model, before) if before else None


def columns(
    reference: Reference, profile: Profile, *, method: Method, threshold: float, minimum_rows: int
) -> list[dict[str, Any]]:
    """Each column with the figures of its comparison, `figure` the one that `method` judges by, whether it counts as `moved`, and both
    histograms as counts; what has the highest figure comes first."""
    compared = compare(reference, profile)
    counted = {one.name for one in moved(compared, method=method, threshold=threshold, minimum_rows=minimum_rows)}
    found = [
        {
            **one.to_doc(),
            "figure": one.figure(method),
            "moved": one.name in counted,
            "labels": column.bins.labels(),
            "reference": list(column.counts),
            "live": list(counts),
        }
        for one, column, counts in zip(compared, reference.columns, profile.counts, strict=True)
    ]
    return sorted(found, key=lambda column: -column["figure"])
