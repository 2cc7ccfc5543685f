"""docs/planted-faults.md, made of what the checkers really find. Written anew by

python -m tests.planted.page > docs/planted-faults.md
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .catching import TOOLS, Caught, catch

_HEAD = """# Which checker finds which fault

Each row is one fault, planted by itself into a template of our own app that is clean otherwise. The cells name the rules
that find it **at the right resource**, where they found nothing before; what `labcycle check` does not hold against
templates is not counted. Each tool alone misses many, which is why [the gate](gate.md) runs them all. Guard rules run in
cloudformation-validate and have a column of their own.

The page is made by the test of these faults and compared there; `python -m tests.planted.page > docs/planted-faults.md`
writes it anew.
"""


def page(caught: Sequence[Caught]) -> str:
    """The page, whole."""
    return "\n".join([_HEAD, *_totals(caught), "", *_table(caught)]) + "\n"


def _totals(caught: Sequence[Caught]) -> Iterator[str]:
    yield "| tool | faults found | found by no other |"
    yield "|---|---|---|"
    for tool in TOOLS:
        found = [one for one in caught if one.rules[tool]]
        alone = [one for one in found if sum(map(bool, one.rules.values())) == 1]
        yield f"| {tool} | {len(found)} | {len(alone)} |"
    together = sum(any(one.rules.values()) for one in caught)
    yield f"| all together | {together} of {len(caught)} | |"


def _table(caught: Sequence[Caught]) -> Iterator[str]:
    yield f"| fault | planted into | found at | {' | '.join(TOOLS)} |"
    yield f"|---|---|---|{'---|' * len(TOOLS)}"
    for one in caught:
        cells = (" ".join(f"`{rule}`" for rule in one.rules[tool]) for tool in TOOLS)
        place = one.kind or "the template"
        yield f"| **{one.fault.name}**: {one.fault.done} | {one.fault.stack} | {place} | {' | '.join(cells)} |"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        sys.stdout.write(page(catch(Path(folder))))
