from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle.network.addresses import cut


@given(st.integers(16, 24), st.integers(1, 6))
def test_ranges_are_inside_the_network_apart_and_large_enough(prefix: int, zones: int) -> None:
    network = IPv4Network(f"10.32.0.0/{prefix}")
    ranges = cut(str(network), zones)
    subnets = [IPv4Network(r) for r in (*ranges.private, ranges.public)]
    assert len(ranges.private) == zones
    assert all(s.subnet_of(network) and s.prefixlen <= 28 for s in subnets)
    assert not any(a.overlaps(b) for i, a in enumerate(subnets) for b in subnets[:i])


@given(st.integers(16, 24), st.integers(1, 5))
def test_a_zone_added_at_the_end_moves_nothing(prefix: int, zones: int) -> None:
    before, after = cut(f"10.0.0.0/{prefix}", zones), cut(f"10.0.0.0/{prefix}", zones + 1)
    assert after.private[:zones] == before.private
    assert after.public == before.public


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "10.0.0.0/25", "10.0.0.1/16", "ten"])
def test_a_range_that_cannot_be_cut_is_refused(cidr: str) -> None:
    with pytest.raises(ValueError, match="cidr"):
        cut(cidr, 2)


def test_more_zones_than_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="zones: got 7"):
        cut("10.0.0.0/16", 7)
