"""What the model server counted of those consumers whose quota is hard."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.quotas import Period, Quotas
from labcycle_lambdas.lifecycle.call import Call

_PERIODS = ("day", "week", "month")


def counted(call: Call) -> dict[str, Any]:
    """Requests of each consumer and period of the last weeks; none of a model that counts nobody's. `current_of` is the kind of
    period, for what is counted now."""
    model, now = call.path["model"], datetime.now(UTC)
    current = {Period.at(per, now).label: per for per in _PERIODS}
    return {
        "team": call.members.team,
        "model": model,
        "used": [{**asdict(used), "current_of": current.get(used.period)} for used in Quotas(call.table).used(model)],
    }
