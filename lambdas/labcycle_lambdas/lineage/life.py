"""What happened to a model, under all the names that it had."""

from __future__ import annotations

from collections.abc import Sequence

from labcycle_lambdas.ledger.custody import Custody, Event


def life(custody: Custody, model: str) -> tuple[list[Event], list[str]]:
    """The events of the model that has this name now, oldest first, and what is wrong with the chains of its names.

    A chain is verified as a whole, also where the name was another model's before or after.
    """
    chains: dict[str, list[Event]] = {}
    found: list[Event] = []
    problems: list[str] = []
    name: str | None = model
    while name is not None:
        if name not in chains:
            chains[name] = custody.events(f"model/{name}")
            problems += custody.verify(f"model/{name}")
        chain = chains[name]
        if found:  # it left this name for the next one; what came behind that is told, or another model's
            chain = chain[: _through(chain, "renamed", uid=found[0].detail.get("uid"))]
        start = _through(chain[:-1] if found else chain, "renamed", "model_deleted")
        chains[name], mine = chain[:start], chain[start:]
        if not mine or mine[0].action not in ("created", "renamed_from"):
            problems.append(f"model/{name}: no event tells how the model came to this name")
        found = mine + found
        name = mine[0].detail.get("old_name") if mine and mine[0].action == "renamed_from" else None
    return found, problems


def _through(chain: Sequence[Event], *actions: str, uid: str | None = None) -> int:
    """How many events there are up to the last one of these actions."""
    ends = [n for n, e in enumerate(chain, 1) if e.action in actions and uid in (None, e.detail.get("uid"))]
    return ends[-1] if ends else 0
