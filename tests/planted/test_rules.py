from __future__ import annotations

from labcycle.check import guard
from labcycle.check.rules import all_rules

from .rules import PAGE, with_tables


def test_the_page_lists_every_rule() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_tables(text), "tests.planted.rules says how to write the tables anew"
    assert all(f"| `{rule.id}` | {rule.sentence} |" in text for rule in [*all_rules(), *guard.load()])
