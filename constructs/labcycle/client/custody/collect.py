"""Read what is to be verified: chains, evidence and marks from the API, anchors from their bucket.

The order matters, since the ledger goes on meanwhile: an event is in its chain before it waits no longer, and in an anchor
before that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

from labcycle.client.api import LIFECYCLE, ApiError, TeamApi
from labcycle.client.custody.anchors import Unreadable
from labcycle.client.custody.material import AnchorObject, Chain, Material

AT_ONCE = 8


def collect(api: TeamApi, read: Callable[[str], list[AnchorObject]], subjects: Sequence[str] = ()) -> Material:
    """The material of `subjects`, of all where none is named. `read` reads the anchors of a team. Raises `ApiError`."""
    made = Material(whole=not subjects)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        named = list(subjects or _subjects(api, made))
        made.chains = dict(zip(named, pool.map(lambda subject: _chain(api, subject), named), strict=True))
    _state(api, made)
    try:
        made.anchors = read(made.team)
    except Unreadable as error:
        made.why_not = str(error)
    for subject, seq in _behind(made, subjects).items():
        made.chains[subject] = _chain(api, subject)
        made.chains[subject].known = seq
    return made


def _subjects(api: TeamApi, made: Material) -> Iterable[str]:
    after: str | None = ""
    while after is not None:
        page = api.call("GET", f"{LIFECYCLE}/custody/subjects", query={"after": after})
        yield from dict.fromkeys(page["subjects"])
        after = page["next"]
        if page["broken"]:
            made.unreadable.append("list of subjects")


def _chain(api: TeamApi, subject: str) -> Chain:
    made, after = Chain(), 0
    while True:
        page = api.call("GET", f"{LIFECYCLE}/custody/events", query={"subject": subject, "after": str(after)})
        made.events += page["events"]
        if page["next"] is None:
            made.head = page["head"]
            break
        after = page["next"]
    for entry in made.events:
        event = entry["event"]
        if isinstance(event, dict) and event.get("action") == "registered" and isinstance(event.get("detail"), dict):
            query = {"subject": subject, "seq": str(entry["seq"])}
            try:
                made.registrations[entry["seq"]] = api.call("GET", f"{LIFECYCLE}/custody/registration", query=query)
            except ApiError as error:
                if error.status != 404:
                    raise
    return made


def _state(api: TeamApi, made: Material) -> None:
    after: str | None = ""
    while after is not None:
        page = api.call("GET", f"{LIFECYCLE}/custody/state", query={"after": after})
        made.team, made.last_anchor = page["team"], page["last_anchor"]
        made.waiting |= {(mark["subject"], mark["seq"]): mark["hash"] for mark in page["waiting"]}
        after = page["next"]
        if page["broken"]:
            made.unreadable.append("list of events that wait to be anchored")


def _behind(made: Material, wanted: Sequence[str]) -> dict[str, int]:
    """Subjects of which a mark or an anchor knows a later event than was read, and its number: they went on meanwhile, or
    it is missing."""
    last = {
        subject: max((entry["seq"] for entry in found.events if isinstance(entry["seq"], int)), default=0)
        for subject, found in made.chains.items()
    }
    known = chain(made.waiting, *(_heads(anchor.content) for anchor in made.anchors or ()))
    behind: dict[str, int] = {}
    for subject, seq in known:
        if seq > last.get(subject, 0) and (not wanted or subject in wanted):
            behind[subject] = max(seq, behind.get(subject, 0))
    return behind


def known_subjects(made: Material) -> set[str]:
    """The subjects that have a head, a mark or a place in an anchor."""
    heads = {subject for subject, found in made.chains.items() if found.head is not None}
    return heads | {subject for subject, _ in chain(made.waiting, *(_heads(a.content) for a in made.anchors or ()))}


def _heads(content: str) -> list[tuple[str, int]]:
    try:
        heads: dict[str, Any] = json.loads(content)["heads"]
        return [(subject, int(head["seq"])) for subject, head in heads.items()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []  # it is for the verification to say so
