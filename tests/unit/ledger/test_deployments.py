"""What is live: record, custody event and alias move together, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.ledger.deployments import PREVIOUS_KEPT, Change, Deployments
from labcycle_lambdas.ledger.errors import InUse, NotFound, Refused
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from tests.unit.ledger.conftest import Clock

MODEL = "card-fraud"
REVIEWER = Who("reviewer-1", "labcycle-fraud-reviewer-1", "reviewer-1")


@pytest.fixture
def deployments(table: Table, clock: Clock) -> Deployments:
    Registry(table, clock).register(MODEL)
    return Deployments(table, clock)


def version(table: Table) -> Deployed:
    """The next version, registered."""
    made = Registry(table).create_version(MODEL, source="s3://b/m", who=REVIEWER)
    return deployed(made.version)


def deployed(number: int) -> Deployed:
    graph = DeployedFile("model.onnx", f"m/{number}/model.onnx", f"v{number}", f"{number:064x}", 1000)
    signature = {"inputs": [{"type": "double", "name": "a"}], "outputs": None}
    return Deployed(number, "run-1", graph, (graph,), signature, {"columns": []})


def actions(table: Table) -> list[str]:
    return [event.action for event in Custody(table).events(f"model/{MODEL}")]


def alias(table: Table) -> int | None:
    found = Registry(table).by_alias(MODEL, "champion")
    return found.version if found else None


def test_nothing_is_live_before_the_first_promotion(deployments: Deployments) -> None:
    current = deployments.current(MODEL)
    assert (current.live, current.previous, current.generation) == (None, (), 0)


def test_promotion_moves_record_event_and_alias(table: Table, deployments: Deployments) -> None:
    one = version(table)
    change = deployments.promote(MODEL, one, REVIEWER, reason="better recall")
    current = deployments.current(MODEL)
    assert change == Change(current, changed=True)
    assert current.live == replace(one, promoted_at="2026-03-01T00:00:03.000Z", promoted_by="reviewer-1")
    assert alias(table) == 1
    event = Custody(table).events(f"model/{MODEL}")[-1]
    assert event.action == "promoted"
    assert event.who["member"] == "reviewer-1"
    assert event.detail == {
        "version": 1,
        "previous_version": None,
        "generation": 1,
        "model_sha256": one.model_file.sha256,
        "reason": "better recall",
    }
    assert Custody(table).verify(f"model/{MODEL}") == []


def test_promoting_what_is_live_changes_nothing(table: Table, deployments: Deployments) -> None:
    one = version(table)
    first = deployments.promote(MODEL, one, REVIEWER)
    again = deployments.promote(MODEL, one, REVIEWER)
    assert not again.changed
    assert again.deployment == first.deployment
    assert actions(table) == ["created", "registered", "promoted"]


def test_the_same_version_with_another_signature_is_a_promotion(table: Table, deployments: Deployments) -> None:
    one = version(table)
    deployments.promote(MODEL, one, REVIEWER)
    assert deployments.promote(MODEL, replace(one, reference=None), REVIEWER).changed
    live = deployments.current(MODEL).live
    assert live is not None
    assert live.reference is None


def test_roll_back_brings_back_the_version_before(table: Table, deployments: Deployments) -> None:
    one, two = version(table), version(table)
    deployments.promote(MODEL, one, REVIEWER)
    deployments.promote(MODEL, two, REVIEWER)
    change = deployments.roll_back(MODEL, REVIEWER)
    live = deployments.current(MODEL).live
    assert change.changed
    assert live is not None
    assert (live.version, live.files, live.signature, live.reference) == (1, one.files, one.signature, one.reference)
    assert change.deployment.generation == 3
    assert alias(table) == 1
    assert actions(table)[-1] == "rolled_back"
    with pytest.raises(Refused, match="no version to roll back to"):
        deployments.roll_back(MODEL, REVIEWER)


def test_roll_back_before_any_promotion_is_refused(table: Table, deployments: Deployments) -> None:
    with pytest.raises(Refused, match="nothing to roll back"):
        deployments.roll_back(MODEL, REVIEWER)
    assert actions(table) == ["created"]


def test_a_repeated_roll_back_from_a_version_rolls_back_once(table: Table, deployments: Deployments) -> None:
    for _ in range(3):
        deployments.promote(MODEL, version(table), REVIEWER)
    first = deployments.roll_back(MODEL, REVIEWER, from_version=3)
    again = deployments.roll_back(MODEL, REVIEWER, from_version=3)
    assert (first.changed, again.changed) == (True, False)
    assert again.deployment == first.deployment
    with pytest.raises(Refused, match="Version 2 of card-fraud is live, not version 1"):
        deployments.roll_back(MODEL, REVIEWER, from_version=1)


def test_roll_back_to_another_version_than_expected_is_refused_and_changes_nothing(
    table: Table, deployments: Deployments
) -> None:
    for _ in range(3):
        deployments.promote(MODEL, version(table), REVIEWER)
    before = deployments.current(MODEL)
    with pytest.raises(Refused, match="Version 2 of card-fraud was live before version 3, not version 1"):
        deployments.roll_back(MODEL, REVIEWER, from_version=3, to_version=1)
    assert deployments.current(MODEL) == before
    assert deployments.roll_back(MODEL, REVIEWER, from_version=3, to_version=2).changed
    assert not deployments.roll_back(MODEL, REVIEWER, from_version=3, to_version=2).changed
    with pytest.raises(Refused, match="Version 2 of card-fraud is live, not version 3"):
        deployments.roll_back(MODEL, REVIEWER, from_version=3, to_version=1)


def test_a_version_that_was_live_is_told_whole(table: Table, deployments: Deployments) -> None:
    one = version(table)
    live = deployments.promote(MODEL, one, REVIEWER).deployment.live
    previous = deployments.promote(MODEL, version(table), REVIEWER).deployment.previous
    assert [deployments.whole(MODEL, entry) for entry in previous] == [live]


def test_roll_back_to_a_deleted_version_is_refused_and_changes_nothing(table: Table, deployments: Deployments) -> None:
    one, two = version(table), version(table)
    deployments.promote(MODEL, one, REVIEWER)
    deployments.promote(MODEL, two, REVIEWER)
    Registry(table).delete_version(MODEL, 1, REVIEWER)
    before = deployments.current(MODEL)
    with pytest.raises(Refused, match="was deleted from the registry"):
        deployments.roll_back(MODEL, REVIEWER)
    assert deployments.current(MODEL) == before


def test_previous_versions_are_bounded_with_the_newest_first(table: Table, deployments: Deployments) -> None:
    for _ in range(PREVIOUS_KEPT + 3):
        deployments.promote(MODEL, version(table), REVIEWER)
    previous = [entry.version for entry in deployments.current(MODEL).previous]
    assert previous == list(range(PREVIOUS_KEPT + 2, 2, -1))


def test_an_unknown_version_is_not_promoted(table: Table, deployments: Deployments) -> None:
    with pytest.raises(NotFound):
        deployments.promote(MODEL, deployed(7), REVIEWER)
    assert deployments.current(MODEL).live is None
    assert actions(table) == ["created"]


def test_a_live_version_cannot_be_deleted(table: Table, deployments: Deployments) -> None:
    deployments.promote(MODEL, version(table), REVIEWER)
    with pytest.raises(InUse):
        Registry(table).delete_version(MODEL, 1, REVIEWER)


def test_too_large_a_reference_is_refused_before_anything_is_written(table: Table, deployments: Deployments) -> None:
    large = replace(version(table), reference={"columns": ["x" * 400_000]})
    with pytest.raises(Refused, match="fewer columns"):
        deployments.promote(MODEL, large, REVIEWER)
    assert deployments.current(MODEL).generation == 0


def test_twenty_previous_versions_with_large_references_fit(table: Table, deployments: Deployments) -> None:
    for number in range(PREVIOUS_KEPT + 1):
        large = replace(version(table), reference={"columns": [str(number) + "x" * 100_000]})
        deployments.promote(MODEL, large, REVIEWER)
    assert len(deployments.current(MODEL).previous) == PREVIOUS_KEPT


def test_a_faster_promotion_in_between_is_not_lost(
    client: DynamoDBClient, table: Table, deployments: Deployments
) -> None:
    """Somebody promotes version 2 between our read and our write of version 1."""
    one, two = version(table), version(table)
    other = Deployments(table, lambda: deployments.now())
    done: list[Change] = []

    def interfere(**_: object) -> None:
        if not done:
            done.append(Change(deployments.current(MODEL), changed=False))
            done[0] = other.promote(MODEL, two, REVIEWER)

    client.meta.events.register_first("before-send.dynamodb.TransactWriteItems", interfere)
    deployments.promote(MODEL, one, REVIEWER)
    current = deployments.current(MODEL)
    assert current.live is not None
    assert (current.live.version, [p.version for p in current.previous]) == (1, [2])
    assert actions(table)[3:] == ["promoted", "promoted"]
    assert Custody(table).verify(f"model/{MODEL}") == []
    assert alias(table) == 1
