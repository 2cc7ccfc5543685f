"""Valid files are synthesized, always the same, and pass the gate: the first hundred teams."""

from __future__ import annotations

from tests.generated.valid_files import ValidFiles


class TestFirstHundred(ValidFiles):
    numbers = range(4)
