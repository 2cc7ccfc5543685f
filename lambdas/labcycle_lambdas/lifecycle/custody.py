"""What happened: the chains of custody, in pages that an answer of Lambda holds. Who asks judges them; see docs/custody.md."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any, TypeVar

from labcycle_lambdas.ledger.anchors import Anchors
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.registrations import Registrations
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.mlflow_error import invalid

MOST_EVENTS, MOST_BYTES = 1_000, 3_000_000  # of a page; an answer holds 6 MB
MOST_SUBJECTS = 5_000
_LOOKS = 5
T = TypeVar("T")


def history(call: Call) -> dict[str, Any]:
    """The whole chain of one model."""
    model = call.path["model"]
    custody, subject = Custody(call.table), f"model/{model}"
    events = custody.events(subject)
    if not events:
        Registry(call.table).model(model)
    problems = custody.verify(subject)
    return {"events": [asdict(event) for event in events], "verified": not problems, "problems": problems}


def subjects(call: Call) -> dict[str, Any]:
    """The subjects that have a chain; `next` asks for the following ones."""
    found, broken = _readable(Custody(call.table).subjects(call.asked("after") or ""))
    following = found[MOST_SUBJECTS - 1][0] if len(found) > MOST_SUBJECTS else None
    return {"subjects": [subject for _, subject in found[:MOST_SUBJECTS]], "next": following, "broken": broken}


def events(call: Call) -> dict[str, Any]:
    """The events of one subject behind number `after`, as they are kept; with the last of them, the head of the chain."""
    custody, subject, after = Custody(call.table), _subject(call), _number(call, "after")
    found: list[dict[str, Any]] = []
    size = 0
    for _ in range(_LOOKS):
        for document in custody.documents(subject, after):
            if len(found) == MOST_EVENTS or size > MOST_BYTES:
                return {"events": found, "next": after, "head": None}
            found.append(document)
            size += len(json.dumps(document))
            after = document["seq"] if isinstance(document["seq"], int) else after
        head = custody.head(subject)
        if not head or head.get("seq") == after:
            break  # else the chain grew in between, or its head is wrong: look again
    return {"events": found, "next": None, "head": head}


def registration(call: Call) -> dict[str, Any]:
    """What is kept of the registration that event `seq` of a subject tells."""
    wanted = max(1, _number(call, "seq"))
    behind = islice(Custody(call.table).documents(_subject(call), wanted - 1), _LOOKS)
    event = next((document["event"] for document in behind if document["seq"] == wanted), None)
    if not isinstance(event, dict) or not isinstance(event.get("detail"), dict):
        raise NotFound(f"No event {wanted} of {_subject(call)}")
    return Registrations(call.table).kept(event["detail"])


def state(call: Call) -> dict[str, Any]:
    """The last anchor, and the events behind the mark `after` that wait to be anchored."""
    anchors = Anchors(call.table)
    lasts, broken = _readable(anchors.last() for _ in range(1))
    last = lasts[0] if lasts else None
    found, also_broken = _readable(anchors.waiting(call.asked("after") or None))
    waiting = found[:MOST_SUBJECTS]
    return {
        "team": call.members.team,
        "last_anchor": asdict(last) if last else None,
        "waiting": [{"subject": w.subject, "seq": w.seq, "at": w.at, "hash": w.hash} for w in waiting],
        "next": waiting[-1].item.sk if len(found) > MOST_SUBJECTS else None,
        "broken": broken or also_broken,
    }


def _readable(entries: Iterator[T]) -> tuple[list[T], bool]:
    """The entries of a page and one more, as far as they can be read; and whether one cannot: somebody changed it."""
    found: list[T] = []
    try:
        found.extend(islice(entries, MOST_SUBJECTS + 1))
    except (ValueError, LookupError, TypeError, zlib.error):
        return found, True
    return found, False


def _subject(call: Call) -> str:
    subject = call.asked("subject")
    if not subject:
        raise invalid("Missing value for required parameter 'subject'.")
    return subject


def _number(call: Call, name: str) -> int:
    text = call.asked(name) or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise invalid(f"Parameter '{name}' must be a number of at most 12 digits, got {text[:60]!r}.")
    return int(text)
