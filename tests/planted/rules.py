"""The tables of our rules in docs/gate.md. Written anew by

python -m tests.planted.rules
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from labcycle.check import guard
from labcycle.check.rules import all_rules

PAGE = Path(__file__).parents[2] / "docs" / "gate.md"


def with_tables(text: str) -> str:
    """The page with both tables as the rules are now; each stands between its two comments."""
    text = _between(text, "rules in Python", ((rule.id, rule.sentence) for rule in all_rules()))
    return _between(text, "Guard rules", ((rule.id, rule.sentence) for rule in guard.load()))


def _between(text: str, name: str, rules: Iterable[tuple[str, str]]) -> str:
    rows = [f"| `{rule}` | {sentence} |" for rule, sentence in rules]
    table = "\n".join(
        [f"<!-- {name} -->", "| rule | what it asks for |", "|---|---|", *rows, f"<!-- end of {name} -->"]
    )
    pattern = rf"<!-- {name} -->.*?<!-- end of {name} -->"
    made, count = re.subn(pattern, lambda _: table, text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{PAGE.name}: got {count} places for the {name}; allowed is one, between its two comments")
    return made


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
