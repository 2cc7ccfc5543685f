"""What the model server counted of those consumers whose quota is hard."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from labcycle_lambdas.ledger.quotas import Quotas
from labcycle_lambdas.lifecycle.call import Call


def counted(call: Call) -> dict[str, Any]:
    """Requests of each consumer and period of the last weeks; none of a model that counts nobody's."""
    model = call.path["model"]
    return {
        "team": call.members.team,
        "model": model,
        "used": [asdict(used) for used in Quotas(call.table).used(model)],
    }
