"""Valid files are synthesized, always the same, and pass the gate: the second hundred teams."""

from __future__ import annotations

from tests.generated.valid_files import ValidFiles


class TestSecondHundred(ValidFiles):
    numbers = range(4, 8)
