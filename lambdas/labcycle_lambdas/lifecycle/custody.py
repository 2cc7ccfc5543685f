"""What happened: the chains of custody."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle.call import Call


def history(call: Call) -> dict[str, Any]:
    """The whole chain of one model."""
    model = call.path["model"]
    custody, subject = Custody(call.table), f"model/{model}"
    events = custody.events(subject)
    if not events:
        Registry(call.table).model(model)
    problems = custody.verify(subject)
    return {"events": [asdict(event) for event in events], "verified": not problems, "problems": problems}
