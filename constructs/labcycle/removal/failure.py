"""A step that did not end well."""

from __future__ import annotations

from labcycle.errors import LabcycleError


class StepFailed(LabcycleError):
    """One step failed; all before it are done, and the same command goes on from here."""

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        super().__init__(f"{step}: {reason}. Mend that, and run the same command again: it goes on from here")
