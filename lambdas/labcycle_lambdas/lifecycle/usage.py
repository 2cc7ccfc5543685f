"""What the servers of a model use of what they run on, out of what they wrote: facts, on which advice about another size is built."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.ledger.usage import StoredUsage, Usage
from labcycle_lambdas.lifecycle.call import Call

DAYS, MOST_DAYS = 7, 92
MOST_WINDOWS = 20_000  # a server writes one a quarter of an hour
_LEAST_SECONDS = 60.0  # of servers together
SLOT_SECONDS = 900  # servers begin their windows at times of their own; in which slot they began is near enough


@dataclass
class _Slot:
    """What all servers did in windows that began at about the same time."""

    servers: set[str] = field(default_factory=set)
    cpu_seconds: float = 0.0
    server_seconds: float = 0.0

    @property
    def a_server(self) -> float:
        """Processors that a server used in the mean; 0 where it was there too briefly to say."""
        return self.cpu_seconds / self.server_seconds if self.server_seconds >= _LEAST_SECONDS else 0.0


def usage(call: Call) -> dict[str, Any]:
    """What the servers of one model used in the last `days`, of the size that they have now."""
    model, days = call.path["model"], call.number("days", MOST_DAYS) or DAYS
    Registry(call.table).model(model)
    now = datetime.now(UTC)
    since = now - timedelta(days=days)
    found = list(islice(Usage(call.table).newest_first(model, since), MOST_WINDOWS + 1))
    read = found[:MOST_WINDOWS]
    runs_on = call.preflight.server_runs_on(model)
    return {
        "model": model,
        "days": days,
        "since": stamp(read[-1].window_start if len(found) > MOST_WINDOWS else since),
        "whole": len(found) <= MOST_WINDOWS,
        "runs_on": runs_on,
        "needed_mb": call.preflight.needed_mb(model),
        **summed(read, runs_on),
    }


def summed(windows: Iterable[StoredUsage], runs_on: Mapping[str, Any] | None) -> dict[str, Any]:
    """Figures of all windows of servers whose size is that of `runs_on`, and how many others there are."""
    all_of_them = list(windows)
    ours = [one for one in all_of_them if runs_on and one.used.runs_on.items() <= runs_on.items()]
    tally, slots = Tally(), defaultdict[int, _Slot](_Slot)
    for one in ours:
        tally.add(one.used.tally)
        slot = slots[int(one.window_start.timestamp()) // SLOT_SECONDS]
        slot.servers.add(one.sandbox_id)
        slot.cpu_seconds += one.used.cpu_ms / 1000
        slot.server_seconds += one.used.seconds
    first = min((one.window_start for one in ours), default=None)
    last = max((one.window_start + timedelta(seconds=one.used.seconds) for one in ours), default=None)
    starts = sum(one.used.began for one in ours)
    later = tally.requests - starts  # the first answer of a server is not among the times
    answered_ms, cpu_ms = (sum(getattr(one.used, name) for one in ours) for name in ("answered_ms", "cpu_ms"))
    return {
        "first_at": stamp(first) if first else None,
        "last_at": stamp(last) if last else None,
        "observed_seconds": round((last - first).total_seconds()) if first and last else 0,
        "requests": tally.requests,
        "failed": tally.failed,
        "starts": starts,
        "servers": len({one.sandbox_id for one in ours}),
        "most_servers_at_once": max((len(slot.servers) for slot in slots.values()), default=0),
        "p50_ms": tally.milliseconds(0.5),
        "p99_ms": tally.milliseconds(0.99),
        "mean_ms": round(answered_ms / later, 3) if later > 0 else None,
        "cpu_ms_a_request": round(cpu_ms / later, 3) if later > 0 else None,
        "peak_memory_mb": max((one.used.peak_mb for one in ours), default=0) or None,
        "busiest_processors": round(max((slot.cpu_seconds for slot in slots.values()), default=0.0) / SLOT_SECONDS, 4),
        "busiest_processors_a_server": round(max((slot.a_server for slot in slots.values()), default=0.0), 4),
        "windows_of_other_sizes": len(all_of_them) - len(ours),
    }
