"""What people have put into a resource outlives the next version of the code: logical ids, types and names stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labcycle.check.template import templates_at
from labcycle.upgrade.comparison import Comparison, compare_paths
from labcycle.upgrade.report import as_text
from labcycle.upgrade.stateful import STATEFUL, STATELESS
from tests.synth.golden.take import ASSEMBLY, IDS, RELEASE, stateful_ids
from tests.synth.platform.conftest import Synthesize

TAKE = "python -m tests.synth.golden.take"


def test_every_type_is_in_one_of_the_lists(assembly: Path) -> None:
    types = {str(resource["Type"]) for template in templates_at(assembly) for _, resource in template.resources()}
    assert types - STATEFUL.keys() - STATELESS == set(), "say in labcycle/upgrade/stateful.py what these hold"


def test_stateful_ids_are_the_golden_ones(assembly: Path) -> None:
    found, golden = stateful_ids(templates_at(assembly)), json.loads(IDS.read_text())
    gone = sorted(f"{golden[key]} {key}" for key in golden.keys() - found.keys())
    new = sorted(f"{found[key]} {key}" for key in found.keys() - golden.keys())
    changed = sorted(
        f"{key}: {golden[key]} is now {found[key]}" for key in golden if found.get(key, golden[key]) != golden[key]
    )
    assert not gone, f"would be deleted on update: {gone}; new: {new}. If that is meant: {TAKE}"
    assert not changed, f"changed their types: {changed}"
    assert not new, f"not in the golden file yet: {new}. Add them: {TAKE}"


@pytest.fixture(scope="module")
def todays(synthesize: Synthesize) -> Path:
    """The last release's files, synthesized by today's code."""
    return synthesize(config=str(RELEASE))


def test_the_last_release_upgrades_without_a_loss(todays: Path) -> None:
    comparison = compare_paths(ASSEMBLY, todays)
    assert comparison.compared == len(templates_at(ASSEMBLY))
    assert comparison.stateful == (), f"since {(RELEASE / 'version').read_text().strip()}:\n{as_text(comparison)}"


Change = Callable[[dict[str, Any]], None]


def changed(source: Path, folder: Path, stack: str, change: Change) -> Path:
    """A copy of the release's templates in which one was changed."""
    folder.mkdir()
    for file in source.iterdir():
        text = file.read_text()
        if file.name == f"{stack}.template.json":
            body = json.loads(text)
            change(body["Resources"])
            text = json.dumps(body)
        (folder / file.name).write_text(text)
    return folder


def of_type(resources: dict[str, Any], kind: str) -> str:
    return next(logical_id for logical_id, resource in resources.items() if resource["Type"] == kind)


def another_key(resources: dict[str, Any]) -> None:
    table = resources[of_type(resources, "AWS::DynamoDB::Table")]["Properties"]
    table["KeySchema"][0]["AttributeName"] = table["AttributeDefinitions"][0]["AttributeName"] = "run"


def another_bucket_id(resources: dict[str, Any]) -> None:
    resources["Moved"] = resources.pop(of_type(resources, "AWS::S3::Bucket"))


def another_topic_name(resources: dict[str, Any]) -> None:
    resources[of_type(resources, "AWS::SNS::Topic")]["Properties"]["TopicName"] = "other"


@pytest.mark.parametrize(
    ("stack", "change", "holds", "outcomes"),
    [
        ("labcycle-growth-tracking", another_key, "the ledger of the team growth", {"lost"}),
        ("labcycle-fraud-tracking", another_key, "the ledger of the team fraud", {"kept"}),
        ("labcycle-fraud-tracking", another_bucket_id, "artifacts", {"kept"}),
        ("labcycle-growth-foundation", another_topic_name, "subscriptions", {"lost"}),
    ],
)
def test_a_change_that_moves_data_is_told(
    tmp_path: Path, stack: str, change: Change, holds: str, outcomes: set[str]
) -> None:
    comparison: Comparison = compare_paths(ASSEMBLY, changed(ASSEMBLY, tmp_path / "next", stack, change))
    assert {found.template for found in comparison.stateful} == {stack}
    assert any(holds in found.holds for found in comparison.stateful)
    assert {found.fate.outcome for found in comparison.stateful if found.fate} == outcomes
