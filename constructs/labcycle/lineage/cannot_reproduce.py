"""Why a run could not be run again."""

from __future__ import annotations

from labcycle.errors import LabcycleError


class CannotReproduce(LabcycleError):
    """Something that it takes is not there, or did not work; the message says what, and what to do."""
