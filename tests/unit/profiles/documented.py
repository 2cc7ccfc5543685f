"""Tables of docs/monitoring.md that tests hold against what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "monitoring.md"


def documented(name: str) -> str:
    """The table of this name, as the page has it."""
    _, _, after = PAGE.read_text().partition(f"<!-- table: {name} ")
    return after.partition("-->\n")[2].partition("<!-- end -->")[0].strip()


def table(*rows: Sequence[str]) -> str:
    """The first row is the head."""
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])
