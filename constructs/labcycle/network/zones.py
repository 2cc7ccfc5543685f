"""The availability zones that a network is given."""

from __future__ import annotations

from collections.abc import Sequence


def check_zones(zones: Sequence[str]) -> None:
    """Raise ValueError where zones are fewer than two or repeat."""
    if len(set(zones)) != len(zones) or len(zones) < 2:
        raise ValueError(f"zones: got {list(zones)}; give at least two different zone names of the region.")
