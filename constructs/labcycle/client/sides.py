"""Two versions of a model beside each other, as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labcycle.client.tables import print_table

_HEADINGS = ("side", "version", "requests", "failed", "p50 ms", "p99 ms", "predictions moved")


def print_sides(title: str, sides: Sequence[Mapping[str, Any]]) -> None:
    """As the API tells them of a trial or a shadow."""
    rows = [
        (
            side["side"],
            str(side["version"]),
            str(side["requests"]),
            f"{side['failed']} ({side['failed_share']:.1%})",
            *("" if side[name] is None else f"{side[name]:g}" for name in ("p50_ms", "p99_ms", "prediction_psi")),
        )
        for side in sides
    ]
    print_table(title, _HEADINGS, rows)
