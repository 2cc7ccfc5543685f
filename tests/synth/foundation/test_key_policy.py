"""One table, three places: the code, the page, the policy. Each is compared with the table both ways."""

from __future__ import annotations

import re
from typing import Any

import pytest

from labcycle.config import Member
from labcycle.foundation import TeamFoundation
from labcycle.foundation.key_policy import ACCOUNT as BY_IAM
from labcycle.foundation.key_policy import ANYBODY, KEY_USES, page
from tests.synth.assembly import ACCOUNT, REGION, ROOT, alone, as_list, of_type

PLACES = {"partition": "aws", "region": REGION, "account": ACCOUNT, "team": "fraud"}
DOCUMENT = ROOT / "docs" / "key-policy.md"


@pytest.fixture(scope="session")
def policy() -> list[dict[str, Any]]:
    ann = Member.model_validate({"name": "ann", "principal": {"iam_user": "ann"}, "roles": ["lead"]})
    template = alone(
        lambda stack: TeamFoundation(
            stack, "Team", team="fraud", owner="a@example.com", stage="production", members=[ann]
        )
    )
    (key,) = of_type(template, "AWS::KMS::Key")
    statements: list[dict[str, Any]] = key["KeyPolicy"]["Statement"]
    return statements


def expected() -> list[dict[str, Any]]:
    rows = []
    for use in KEY_USES:
        principal = {
            BY_IAM: {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            ANYBODY: {"AWS": "*"},
        }.get(use.principal, {"Service": use.principal.format(**PLACES)})
        conditions = {
            operator: {key: [one.format(**PLACES) for one in as_list(value if isinstance(value, str) else list(value))]}
            for operator, keys in use.conditions.items()
            for key, value in keys.items()
        }
        rows.append({"Sid": use.sid, "Principal": principal, "Action": list(use.actions), "Condition": conditions})
    return rows


def test_the_policy_is_the_table(policy: list[dict[str, Any]]) -> None:
    found = [
        {
            "Sid": s["Sid"],
            "Principal": s["Principal"],
            "Action": as_list(s["Action"]),
            "Condition": {
                operator: {key: as_list(value) for key, value in keys.items()}
                for operator, keys in s.get("Condition", {}).items()
            },
        }
        for s in policy
    ]
    assert found == expected()
    assert {s["Effect"] for s in policy} == {"Allow"}


def test_the_page_is_made_from_the_table() -> None:
    assert DOCUMENT.read_text() == page(), (
        "docs/key-policy.md is out of date: labcycle.foundation.key_policy says how to write it"
    )


def test_the_rows_of_the_page_are_the_table() -> None:
    """Read back from the text, so that a fault in how the page is written shows."""
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    read = {}
    for row in rows:
        sid, _, principal, actions, conditions, _ = (cell.strip() for cell in row.strip("|").split("|"))
        read[sid.strip("`")] = (
            principal.strip("`"),
            tuple(re.findall(r"`([^`]+)`", actions)),
            set(re.findall(r"`([^`]+)`", conditions)),
        )
    table = {
        use.sid: (
            use.principal,
            use.actions,
            {key for keys in use.conditions.values() for key in keys}
            | {
                one
                for keys in use.conditions.values()
                for v in keys.values()
                for one in ((v,) if isinstance(v, str) else v)
            },
        )
        for use in KEY_USES
    }
    assert read == table


def test_event_rules_are_not_held_to_a_source() -> None:
    """With such a condition in a key policy EventBridge drops every event to an encrypted topic."""
    (row,) = (use for use in KEY_USES if use.principal == "events.amazonaws.com")
    assert not row.conditions


def test_no_action_is_a_wildcard() -> None:
    assert not [action for use in KEY_USES for action in use.actions if "*" in action]
