"""What is verified: everything that was read, before it is judged. It is also what `labcycle export` writes.

A line of an export is one JSON document: `{"kind": "event" | "head" | "registration" | "anchor" | "state", ...}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from labcycle.errors import LabcycleError

Doc = dict[str, Any]


@dataclass
class Chain:
    """`events`: `{"seq": number by its key, "event": document or None}` as they are kept. `head`: None where there is none.

    `registrations`: by the number of a `registered` event, what is kept of it now. `known`: the last number that marks and
    anchors knew when the chain was read after them; None where it was read before them, as a rule.
    """

    events: list[Doc] = field(default_factory=list)
    head: Doc | None = None
    registrations: dict[int, Doc] = field(default_factory=dict)
    known: int | None = None


@dataclass(frozen=True)
class AnchorObject:
    """An object of the bucket: the first version that was written under its key.

    `versions` counts the versions of the key, `hidden` says that a delete marker lies on it.
    """

    key: str
    content: str
    versions: int = 1
    hidden: bool = False


@dataclass
class Material:
    """`whole`: all subjects were read, not some. `anchors` is None where they could not be read, for the reason `why_not`.

    `waiting` holds, by (subject, number), the hash of each event that no anchor holds yet; `last_anchor` is what the ledger
    says of it. `unreadable` names the lists of which an entry cannot be read.
    """

    team: str = ""
    whole: bool = True
    chains: dict[str, Chain] = field(default_factory=dict)
    anchors: list[AnchorObject] | None = None
    why_not: str = ""
    waiting: dict[tuple[str, int], str] = field(default_factory=dict)
    last_anchor: Doc | None = None
    unreadable: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """One JSON document a line."""
        for subject, chain in sorted(self.chains.items()):
            for entry in chain.events:
                yield _line("event", subject=subject, **entry)
            for seq, kept in sorted(chain.registrations.items()):
                yield _line("registration", subject=subject, seq=seq, kept=kept)
            yield _line("head", subject=subject, head=chain.head, known=chain.known)
        for anchor in self.anchors or ():
            yield _line(
                "anchor", key=anchor.key, content=anchor.content, versions=anchor.versions, hidden=anchor.hidden
            )
        yield _line(
            "state",
            team=self.team,
            whole=self.whole,
            waiting=[[*event, digest] for event, digest in sorted(self.waiting.items())],
            last_anchor=self.last_anchor,
            unreadable=self.unreadable,
            anchors_read=self.anchors is not None,
            why_not=self.why_not,
        )

    @classmethod
    def from_lines(cls, lines: Iterable[str], name: str) -> Material:
        """Raises `LabcycleError`, which names the line, where `name` is no export."""
        anchors: list[AnchorObject] = []
        made, ended = cls(), False
        for number, line in enumerate(lines, 1):
            try:
                doc = json.loads(line)
                kind = doc.pop("kind")
                if kind == "state":
                    made.team, made.whole, made.why_not = doc["team"], doc["whole"], doc["why_not"]
                    made.waiting = {(subject, seq): digest for subject, seq, digest in doc["waiting"]}
                    made.last_anchor, made.unreadable, ended = doc["last_anchor"], doc["unreadable"], True
                    made.anchors = anchors if doc["anchors_read"] else None
                elif kind == "anchor":
                    anchors.append(AnchorObject(**doc))
                else:
                    chain = made.chains.setdefault(doc["subject"], Chain())
                    if kind == "event":
                        chain.events.append({"seq": doc["seq"], "event": doc["event"]})
                    elif kind == "registration":
                        chain.registrations[doc["seq"]] = doc["kept"]
                    elif kind == "head":
                        chain.head, chain.known = doc["head"], doc["known"]
                    else:
                        raise ValueError(kind)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise LabcycleError(
                    f"{name}:{number}: this is no line of an export of labcycle. Make one with `labcycle export`"
                ) from None
        if not ended:
            raise LabcycleError(
                f"{name}: the export is cut off: its last line, of kind state, is missing. Export again"
            )
        return made


def _line(kind: str, **fields: Any) -> str:
    return json.dumps({"kind": kind, **fields}, ensure_ascii=False)
