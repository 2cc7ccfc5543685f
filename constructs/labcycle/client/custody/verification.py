"""Judge the material: every hash is computed here, from what was read.

It shares no code with what writes the chains, so that a mistake there does not hide itself; docs/custody.md says what is
hashed and how.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labcycle.client.custody.material import AnchorObject, Chain, Doc, Material

GENESIS = "0" * 64
_EVENT_FIELDS = {"subject", "seq", "at", "action", "who", "detail", "previous", "hash"}
_GROWING = ("params", "metrics", "tags", "inputs", "model_inputs")  # of a run: what was there stays, more may come
_FIXED = ("run_id", "experiment_id", "user_id", "start_time")


@dataclass(frozen=True)
class Finding:
    """Something wrong, at an event of a subject, or at an anchor."""

    subject: str | None
    event: int | str | None
    anchor: int | None
    problem: str

    def __str__(self) -> str:
        where = self.subject or ("ledger" if self.anchor is None else "anchors")
        if self.event is not None:
            where += f", event {self.event}"
        if self.anchor is not None:
            where += f", anchor {self.anchor}"
        return f"{where}: {self.problem}"


@dataclass(frozen=True)
class Verdict:
    """`whole`: nothing is wrong. `anchors` is None where they were not compared; `notes` say what else was left out."""

    whole: bool
    subjects: int
    events: int
    anchors: int | None
    anchored_until: str | None
    findings: list[Finding]
    notes: list[str]

    def to_doc(self) -> Doc:
        return asdict(self)


def verify(material: Material) -> Verdict:
    """Every change, gap, wrong order and removal that shows in the material."""
    findings: list[Finding] = []
    hashes = {}
    for subject, chain in sorted(material.chains.items()):
        found, hashes[subject] = _chain(subject, chain)
        findings += found
        findings += _registrations(subject, chain)
    findings += [
        Finding(None, None, None, f"an entry of the {what} was changed: it cannot be read")
        for what in material.unreadable
    ]
    findings += _marks(hashes, material)
    notes, at = [], None
    if material.anchors is None:
        notes.append(f"The anchors were not compared: {material.why_not or 'they were not read'}.")
    else:
        found, anchors = _anchors(material.anchors, material)
        findings += found
        findings += _against(anchors, hashes, material)
        at = anchors[-1]["at"] if anchors else None
    return Verdict(
        whole=not findings,
        subjects=len(material.chains),
        events=sum(len(chain.events) for chain in material.chains.values()),
        anchors=None if material.anchors is None else len(material.anchors),
        anchored_until=at,
        findings=findings,
        notes=notes,
    )


def sha256(document: object) -> str:
    """Of the canonical JSON: sorted keys, no blanks, UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _chain(subject: str, chain: Chain) -> tuple[list[Finding], dict[int, str]]:
    """What is wrong with a chain by itself, and the hash of each event by its number."""
    findings: list[Finding] = []
    hashes: dict[int, str] = {}
    previous, expected = GENESIS, 1

    def wrong(seq: int | str, problem: str) -> None:
        findings.append(Finding(subject, seq, None, problem))

    for entry in chain.events:
        seq, event = entry["seq"], entry["event"]
        if not isinstance(seq, int):
            wrong(seq, "this is no event: somebody put it there")
            continue
        for missing in range(expected, seq):
            wrong(missing, "it is missing")
        if not isinstance(event, dict) or set(event) != _EVENT_FIELDS:
            wrong(seq, "it was changed after it was written: it is no event any more")
            previous, expected = "", seq + 1
            continue
        said = {key: value for key, value in event.items() if key != "hash"}
        if event["seq"] != seq or event["subject"] != subject:
            wrong(seq, f"it stands in the wrong place: it says that it is event {event['seq']} of {event['subject']}")
        elif sha256(said) != event["hash"]:
            wrong(seq, "it was changed after it was written")
        if seq == expected and previous and event["previous"] != previous:
            wrong(seq, "it does not follow from the event before it: one of the two was written anew")
        previous, expected = str(event["hash"]), seq + 1
        hashes[seq] = previous
    head = chain.head
    if head is None and not chain.events:
        findings.append(Finding(subject, None, None, "the whole chain is missing"))
    elif head is None:
        wrong(expected - 1, "the head of the chain is missing")
    elif head.get("seq") != expected - 1 or (previous and head.get("hash") != previous):
        wrong(expected - 1, f"it is not the last event that the head of the chain names ({head.get('seq')})")
    return findings, hashes


def _registrations(subject: str, chain: Chain) -> Iterator[Finding]:
    """What a `registered` event fixed, against what is kept now."""
    for entry in chain.events:
        event = entry["event"]
        if not isinstance(event, dict) or event.get("action") != "registered":
            continue
        detail, kept = event.get("detail"), chain.registrations.get(entry["seq"])
        if not isinstance(detail, dict) or "files_sha256" not in detail:
            continue
        if kept is None:
            yield Finding(subject, entry["seq"], None, "what was registered cannot be read")
            continue
        for problem in _differences(detail, kept):
            yield Finding(subject, entry["seq"], None, f"version {detail.get('version')}: {problem}")


def _differences(detail: Mapping[str, Any], kept: Mapping[str, Any]) -> Iterator[str]:
    version = kept["version"]
    if version is None:
        yield "its record is gone, or cannot be read"
    else:
        for name in ("source", "location", "run_id", "model_id"):
            if version.get(name) != detail.get(name):
                yield f"{name} of its record is not what was registered"
    if kept["files"] is None or sha256(kept["files"]) != detail["files_sha256"]:
        yield "the list of its files was changed after it was registered"
    if digest := detail.get("run_sha256"):
        yield from _run(digest, kept)


def _run(digest: str, kept: Mapping[str, Any]) -> Iterator[str]:
    text, now = str(kept["run_fixed"]), kept["run"]
    if hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest() != digest:
        yield "the copy of its run's record that was fixed at the registration was changed"
        return
    then = json.loads(text)
    if now is None:
        yield f"the record of its run {then['run_id']} is gone, or cannot be read"
        return
    for name in _FIXED:
        if now.get(name) != then[name]:
            yield f"{name} of its run {then['run_id']} was changed after the registration"
    for part in _GROWING:
        for key, value in then[part].items():
            found = now[part].get(key)
            if found == value:
                continue
            if part == "metrics" and found is not None and kept["superseded"].get(key) == found:
                continue  # the point is among those that were logged, and a later one is the latest
            yield f"{part} of its run {then['run_id']}: {key} was changed after the registration"


def _anchors(objects: list[AnchorObject], material: Material) -> tuple[list[Finding], list[Doc]]:
    """What is wrong with the anchors by themselves, and those that can be read, in order."""
    findings: list[Finding] = []
    anchors: list[Doc] = []
    previous, expected = GENESIS, 1

    def wrong(number: int, problem: str) -> None:
        findings.append(Finding(None, None, number, problem))

    for thing in sorted(objects, key=lambda one: one.key):
        digits = thing.key.rpartition("/")[2].removesuffix(".json")
        number = int(digits) if digits.isdecimal() else expected
        for missing in range(expected, number):
            wrong(missing, "it was deleted")
        if thing.versions > 1:
            wrong(number, f"it was written over: {thing.versions} versions are there, the first one counts")
        if thing.hidden:
            wrong(number, "somebody tried to delete it: a delete marker hides it")
        anchor = _anchor(thing.content)
        if anchor is None or anchor["number"] != number or anchor["root"] != sha256(anchor["heads"]):
            wrong(number, "it was changed after it was written")
        elif number == expected and anchor["previous"] != previous:
            wrong(
                number, "it does not follow from the anchor before it: one of the two is not the one that was written"
            )
        if anchor is not None:
            anchors.append(anchor)
        previous, expected = hashlib.sha256(thing.content.encode(errors="surrogatepass")).hexdigest(), number + 1
    last = material.last_anchor or {"number": 0}
    told = {"number": expected - 1, "sha256": previous, "at": anchors[-1]["at"] if anchors else None}
    if objects and last["number"] == expected - 1 and last != told:
        wrong(expected - 1, "it is not the one of which the ledger says that it was written")
    for missing in range(expected, int(last["number"]) + 1):
        wrong(missing, "it was deleted: the ledger says that it was written")
    return findings, anchors


def _marks(hashes: Mapping[str, Mapping[int, str]], material: Material) -> Iterator[Finding]:
    """Each event that waits to be anchored must be there, as it was."""
    for (subject, seq), digest in sorted(material.waiting.items()):
        if subject not in hashes and not material.whole:
            continue
        found = hashes.get(subject, {}).get(seq)
        if found != digest:
            problem = "it waits to be anchored, and " + ("is missing" if found is None else "was written anew")
            yield Finding(subject, seq, None, problem)


def _anchor(content: str) -> Doc | None:
    try:
        anchor = json.loads(content)
        heads = anchor["heads"].values()
        well = isinstance(anchor["number"], int) and all(
            isinstance(head["seq"], int) and head["hash"] for head in heads
        )
        return anchor if well and {"previous", "root", "at"} <= set(anchor) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _against(anchors: list[Doc], hashes: Mapping[str, Mapping[int, str]], material: Material) -> Iterator[Finding]:
    """Every head in every anchor, against the chains; and whether each event is in an anchor, or still waits."""
    covered: dict[str, int] = {}
    for anchor in anchors:
        for subject, head in anchor["heads"].items():
            covered[subject] = max(covered.get(subject, 0), head["seq"])
            if subject not in hashes:
                if material.whole:
                    yield Finding(subject, head["seq"], anchor["number"], "the whole chain is missing")
            elif head["seq"] not in hashes[subject]:
                yield Finding(subject, head["seq"], anchor["number"], "the anchor holds an event that is missing")
            elif hashes[subject][head["seq"]] != head["hash"]:
                problem = "the chain was written anew: the anchor holds another hash of this event"
                yield Finding(subject, head["seq"], anchor["number"], problem)
    for subject, chain in hashes.items():
        known = material.chains[subject].known
        for seq in chain:
            if known is not None and seq > known:
                continue  # written after marks and anchors were read
            if seq > covered.get(subject, 0) and (subject, seq) not in material.waiting:
                yield Finding(
                    subject, seq, None, "no anchor holds it, and it does not wait for one: an anchor was removed"
                )
