"""Whatever is changed, taken out, put in or put in another order is found, and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labcycle.client.custody.material import AnchorObject, Material
from labcycle.client.custody.verification import Finding, sha256, verify
from labcycle.errors import LabcycleError
from labcycle_lambdas.ledger.custody import GENESIS, Event, canonical
from labcycle_lambdas.ledger.registry import Registry
from tests.unit.custody.conftest import BUCKET, METRIC, MODEL, PARAM, TAG, WHO, Key, Story, text_of, with_text

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PK = f"CUSTODY#{MODEL}"


def event_key(seq: int) -> Key:
    return PK, f"{seq:012d}"


def changed(text: str, at: int, character: str) -> str:
    at %= len(text)
    return text[:at] + (character if text[at] != character else "#") + text[at + 1 :]


def seen(story: Story) -> str:
    return "\n".join(map(str, story.findings()))


def test_what_was_never_touched_is_whole(story: Story) -> None:
    verdict = story.verdict()
    assert verdict.findings == []
    assert (verdict.whole, verdict.subjects, verdict.events, verdict.anchors) == (True, 3, 8, 2)
    assert verdict.anchored_until
    assert story.verdict(MODEL).whole
    assert story.verdict(MODEL).subjects == 1


def test_the_reader_and_the_ledger_hash_alike() -> None:
    document = {"b": [1, None, 'ü\n"', {"z": True}], "a": "0.1"}
    assert sha256(document) == __import__("hashlib").sha256(canonical(document)).hexdigest()


@quick
@given(number=st.integers(0, 999), at=st.integers(0, 10_000), character=st.sampled_from('09afz "{},:\\'))
def test_one_changed_byte_of_custody_is_found(story: Story, number: int, at: int, character: str) -> None:
    items = story.items(
        lambda pk, sk: pk.startswith(("CUSTODY#", "CUSTODY_SUBJECTS", "CUSTODY_WAITING", "CUSTODY_ANCHOR", "EVIDENCE#"))
    )
    key = sorted(items)[number % len(items)]
    item = items[key]
    with story.instead((key, with_text(item, changed(text_of(item), at, character)))):
        findings = story.findings()
    assert findings
    if key[0].startswith("CUSTODY#") and key[1].isdigit():
        where = (key[0].removeprefix("CUSTODY#"), int(key[1]))
        assert where in {(finding.subject, finding.event) for finding in findings}


def test_a_changed_time_of_the_last_anchor_is_found(story: Story) -> None:
    key = ("CUSTODY_ANCHOR", "LAST")
    item = story.items(lambda pk, sk: (pk, sk) == key)[key]
    with story.instead((key, with_text(item, text_of(item).replace('"at":"2', '"at":"1')))):
        assert "it is not the one of which the ledger says that it was written" in seen(story)


@pytest.mark.parametrize(
    ("part", "says"), [(PARAM, "learning_rate"), (TAG, "mlflow.source.git.commit"), (repr(METRIC), "auc")]
)
def test_one_changed_byte_of_the_run_is_found(story: Story, part: str, says: str) -> None:
    items = story.items(lambda pk, sk: story.run_id in pk + sk)
    key, item = next((key, item) for key, item in sorted(items.items()) if part in text_of(item))
    at = text_of(item).index(part) + 4
    with story.instead((key, with_text(item, changed(text_of(item), at, "9")))):
        findings = story.findings()
    assert {(finding.subject, finding.event) for finding in findings} == {(MODEL, 2), (MODEL, 3)}
    assert all(says in finding.problem for finding in findings)


@quick
@given(number=st.integers(0, 99), at=st.integers(0, 10_000))
def test_one_changed_byte_of_the_pinned_files_is_found(story: Story, number: int, at: int) -> None:
    items = story.items(lambda pk, sk: pk.startswith("FILES#"))
    key = sorted(items)[number % len(items)]
    with story.instead((key, with_text(items[key], changed(text_of(items[key]), at, "7")))):
        findings = story.findings()
    assert [finding.event in (2, 3) and "files" in finding.problem for finding in findings] == [True]


def test_a_changed_record_of_a_version_is_found(story: Story) -> None:
    ((key, item),) = story.items(lambda pk, sk: pk == "VERSIONS" and sk.endswith(".0000000001/HEADER")).items()
    with story.instead((key, with_text(item, text_of(item).replace("s3://b/m", "s3://b/x")))):
        assert "version 1: source of its record is not what was registered" in seen(story)
    with story.instead((key, None)):
        assert "version 1: its record is gone" in seen(story)


@pytest.mark.parametrize("seq", range(1, 7))
def test_a_removed_event_is_named(story: Story, seq: int) -> None:
    with story.instead((event_key(seq), None)):
        findings = story.findings()
    assert (MODEL, seq) in {(finding.subject, finding.event) for finding in findings}


def test_swapped_events_are_found(story: Story) -> None:
    items = story.items(lambda pk, sk: pk == PK)
    two, four = items[event_key(2)], items[event_key(4)]
    swapped = with_text(two, text_of(four)), with_text(four, text_of(two))
    with story.instead((event_key(2), swapped[0]), (event_key(4), swapped[1])):
        findings = story.findings()
    assert {2, 4} <= {finding.event for finding in findings}
    assert "wrong place" in findings[0].problem


def test_an_event_that_somebody_put_there_is_found(story: Story) -> None:
    item = story.items(lambda pk, sk: pk == PK)[event_key(4)]
    with story.instead(((PK, "000000000007"), {**item, "sk": {"S": "000000000007"}})):
        assert "event 7" in seen(story)
    with story.instead(((PK, "000000000002x"), {**item, "sk": {"S": "000000000002x"}})):
        assert "somebody put it there" in seen(story)


@pytest.mark.parametrize("left", range(7))
def test_a_truncated_chain_whose_head_was_moved_is_found(story: Story, left: int) -> None:
    """Of the six events four are in anchors, and two wait for one."""
    items = story.items(lambda pk, sk: pk == PK)
    gone = [(event_key(seq), None) for seq in range(left + 1, 7)]
    last = json.loads(text_of(items[event_key(left)]))["hash"] if left else GENESIS
    head: Any = with_text(items[PK, "HEAD"], json.dumps({"seq": left, "hash": last})) if left else None
    with story.instead(*gone, ((PK, "HEAD"), head)):
        verdict = story.verdict()
    assert verdict.whole == (left == 6)
    if left < 6:
        assert (MODEL, left + 1) in {(finding.subject, finding.event) for finding in verdict.findings} or left in (2, 0)


def test_a_missing_head_is_found(story: Story) -> None:
    with story.instead(((PK, "HEAD"), None)):
        assert seen(story) == f"{MODEL}, event 6: the head of the chain is missing"


def test_a_chain_that_is_gone_with_its_entry_is_found(story: Story) -> None:
    items = story.items(lambda pk, sk: pk == PK)
    ((entry, _),) = [
        pair
        for pair in story.items(lambda pk, sk: pk == "CUSTODY_SUBJECTS").items()
        if MODEL in text_of(pair[1])
    ]  # fmt: skip
    with story.instead((entry, None), *((key, None) for key in items)):
        assert f"{MODEL}, event 2, anchor 1" in seen(story)


def rewritten(story: Story, change: Callable[[int, dict[str, Any]], None]) -> list[tuple[Key, dict[str, Any] | None]]:
    """The whole chain written anew, hashes and head included, as somebody who knows how it is made could."""
    items = story.items(lambda pk, sk: pk == PK)
    made: list[tuple[Key, dict[str, Any] | None]] = []
    previous = GENESIS
    for seq in range(1, 7):
        doc = json.loads(text_of(items[event_key(seq)])) | {"previous": previous}
        change(seq, doc)
        previous = doc["hash"] = Event(**{**doc, "hash": ""}).computed_hash()
        made.append((event_key(seq), with_text(items[event_key(seq)], json.dumps(doc))))
    head = with_text(items[PK, "HEAD"], json.dumps({"seq": 6, "hash": previous}))
    return [*made, ((PK, "HEAD"), head)]


@pytest.mark.parametrize(("seq", "where"), [(1, "event 2, anchor 1"), (3, "event 4, anchor 2"), (6, "event 6")])
def test_a_chain_that_was_written_anew_differs_from_its_anchors(story: Story, seq: int, where: str) -> None:
    def change(number: int, doc: dict[str, Any]) -> None:
        if number == seq:
            doc["who"] = {"member": "somebody-else", "role": "", "session": ""}

    with story.instead(*rewritten(story, change)):
        findings = story.findings()
    assert where in "\n".join(map(str, findings))
    assert all("anew" in finding.problem for finding in findings)


def test_an_anchor_that_was_deleted_changed_hidden_or_written_over_is_found(story: Story) -> None:
    material = story.material()
    assert material.anchors
    one, two = material.anchors

    def said(*anchors: AnchorObject) -> str:
        return "\n".join(map(str, verify(replace(material, anchors=list(anchors))).findings))

    assert "anchor 1: it was deleted" in said(two)
    assert "anchor 2: it was deleted: the ledger says that it was written" in said(one)
    assert "event 4: no anchor holds it, and it does not wait for one" in said(one)
    assert "anchor 2: somebody tried to delete it" in said(one, replace(two, hidden=True))
    assert "anchor 1: it was written over" in said(replace(one, versions=2), two)
    other = json.loads(one.content) | {"at": "2020-01-01T00:00:00.000Z"}
    assert "anchor 2: it does not follow" in said(replace(one, content=json.dumps(other)), two)
    for at in range(0, len(two.content), 7):
        assert "anchor 2" in said(one, replace(two, content=changed(two.content, at, "0")))


def test_the_first_version_of_an_anchor_is_read_whatever_lies_on_it(story: Story) -> None:
    key = "custody/0000000001.json"
    story.s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    story.s3.delete_object(Bucket=BUCKET, Key=key)
    try:
        verdict = story.verdict()
        assert [finding.anchor for finding in verdict.findings] == [1, 1]
        assert {"written over", "delete marker"} == {
            word for word in ("written over", "delete marker") if word in str(verdict.findings)
        }
    finally:
        listed = story.s3.list_object_versions(Bucket=BUCKET, Prefix=key)
        for version_id in (listed["DeleteMarkers"][0]["VersionId"], listed["Versions"][0]["VersionId"]):
            story.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version_id)
    assert story.verdict().whole


def test_an_export_is_verified_offline(story: Story) -> None:
    material = story.material()
    lines = list(material.lines())
    assert Material.from_lines(lines, "x").chains.keys() == material.chains.keys()
    assert verify(Material.from_lines(lines, "x")) == story.verdict()
    assert json.loads(lines[0])["event"]["action"] == "created"
    number = next(i for i, line in enumerate(lines) if '"alias_set"' in line)
    broken = [*lines[:number], lines[number].replace('"champion"', '"shadow"'), *lines[number + 1 :]]
    assert verify(Material.from_lines(broken, "x")).findings == [
        Finding(MODEL, 4, None, "it was changed after it was written")
    ]
    with pytest.raises(LabcycleError, match="x:2: this is no line of an export"):
        Material.from_lines([lines[0], "{}"], "x")
    with pytest.raises(LabcycleError, match="x: the export is cut off"):
        Material.from_lines(lines[:-1], "x")


def test_without_the_anchors_the_verdict_says_so(story: Story) -> None:
    verdict = verify(replace(story.material(), anchors=None, why_not="AccessDenied"))
    assert (verdict.whole, verdict.anchors) == (True, None)
    assert verdict.notes == ["The anchors were not compared: AccessDenied."]


def test_what_happens_meanwhile_is_no_finding(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others append while the material is read, and anchoring goes on."""
    story.custody().append("model/other", "created", WHO, {})

    def work() -> None:
        for number in range(6):
            story.custody().append("model/other", "tag_set", WHO, {"n": number})
            story.custody().append(f"run/{number}", "finished", WHO, {})

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(work)
        while not busy.done():
            assert story.verdict().findings == []
        busy.result()
    assert story.verdict().whole


def test_a_metric_that_went_on_is_no_finding_but_one_that_was_changed_is(story: Story) -> None:
    """`loss` had a later point when version 1 was registered already; its latest one must be a point that was logged."""
    items = story.items(lambda pk, sk: story.run_id in pk + sk)
    for key, item in sorted(items.items()):
        text = text_of(item)
        if "0.25" in text and "auc" in text:
            with story.instead((key, with_text(item, text.replace("0.25", "0.15")))):
                assert "loss was changed after the registration" in seen(story)
            return
    raise AssertionError("no record of the run holds the metric")


def test_a_registration_without_a_run_is_verified_too(story: Story) -> None:
    registry = Registry(story.table)
    registry.register("bare", who=WHO)
    registry.create_version("bare", source="s3://b/m", who=WHO, run_id="unknown")
    assert story.verdict("model/bare").findings == []
