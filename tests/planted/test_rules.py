from __future__ import annotations

from .rules import PAGE, with_tables


def test_the_page_lists_every_rule() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_tables(text), "tests.planted.rules says how to write the tables anew"
