"""A packed mapping behaves like a dict, whatever is written in whatever order, and no page grows without bound."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.pages import PAGE_BYTES, Pages
from labcycle_lambdas.ledger.table import Changed, Create, Exists, Item, Replace, Table, Write

KEYS = st.sampled_from([f"k{n}" for n in range(12)])
VALUES = st.integers(0, 9_000).map(lambda size: "v" * size)
CHANGES = st.lists(st.tuples(st.dictionaries(KEYS, VALUES, max_size=6), st.sets(KEYS, max_size=2)), max_size=8)


def applied(pages: Pages, writes: list[Write]) -> Pages:
    """The pages after these writes, as the table would hold them."""
    items = {item.sk: item for item in pages.items}
    for write in writes:
        assert isinstance(write, Replace | Create)
        if isinstance(write, Replace):
            items[write.item.sk] = Item("p", write.item.sk, write.doc, write.item.rev + 1)
        else:
            items[write.sk] = Item("p", write.sk, write.doc, 1)
    return Pages("p", "r/TAGS/", [items[sk] for sk in sorted(items)])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(CHANGES)
def test_it_is_a_mapping(changes: list[tuple[dict[str, str], set[str]]]) -> None:
    pages = Pages("p", "r/TAGS/")
    expected: dict[str, str] = {}
    for change, remove in changes:
        remove -= set(change)
        expected = {key: value for key, value in (expected | change).items() if key not in remove}
        pages = applied(pages, pages.writes(change, remove))
        assert pages.entries() == expected
        for item in pages.items:
            assert len(item.doc) <= 1 or len(json.dumps(item.doc)) <= PAGE_BYTES + 200
        assert pages.writes(expected) == []


def test_every_new_key_passes_over_the_last_page() -> None:
    """Else two writers of one new key could both succeed."""
    first = applied(Pages("p", "r/TAGS/"), Pages("p", "r/TAGS/").writes({"a": "x" * (PAGE_BYTES - 50)}))
    opening = first.writes({"b": "y" * 100})
    assert [type(write).__name__ for write in opening] == ["Replace", "Create"]


def test_an_entry_that_no_item_can_hold_is_refused() -> None:
    with pytest.raises(Refused, match="too long"):
        Pages("p", "r/TAGS/").writes({"a": "x" * 350_001})


@pytest.mark.parametrize("size", [10, PAGE_BYTES])
def test_two_writers_of_one_new_key_collide(table: Table, size: int) -> None:
    def pages() -> Pages:
        return Pages("p", "r/TAGS/", list(table.query("p", "r/TAGS/")))

    table.write(*pages().writes({"old": "x" * (PAGE_BYTES - 100)}))
    one, other = pages(), pages()
    table.write(*one.writes({"new": "1" * size}))
    with pytest.raises((Exists, Changed)):
        table.write(*other.writes({"new": "2"}))
    assert pages().entries()["new"] == "1" * size
