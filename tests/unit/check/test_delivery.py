"""The page on what deliveries need is the table."""

from __future__ import annotations

from pathlib import Path

from labcycle.check.delivery import ROLE, WAYS
from labcycle.check.delivery.ways import page

DOCUMENT = Path(__file__).parents[3] / "docs" / "delivery.md"


def test_the_page_is_made_from_the_table() -> None:
    assert DOCUMENT.read_text() == page(), (
        "docs/delivery.md is out of date: labcycle.check.delivery.ways says how to write it"
    )


def test_each_row_of_the_page_is_a_row_of_the_table() -> None:
    """Read back from the text, so that a fault in how the page is written shows."""
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| [")]
    read = {}
    for row in rows:
        producer, target, principal, actions, _, key_actions, *_ = (cell.strip() for cell in row[1:-1].split("|"))
        name = producer.partition("]")[0].removeprefix("[")
        read[name, target] = (principal.split("`")[1], _listed(actions), _listed(key_actions))
    by_role = {key for key, way in WAYS.items() if way.principal == ROLE}
    assert read == {
        key: (way.assumed_by if key in by_role else way.principal, way.actions, way.key_actions)
        for key, way in WAYS.items()
    }


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(part.strip("`") for part in cell.split(", ") if part)
