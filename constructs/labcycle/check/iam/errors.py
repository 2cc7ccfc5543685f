"""What cannot be evaluated."""

from __future__ import annotations

from labcycle.errors import LabcycleError


class PolicyError(LabcycleError):
    """A policy or request that cannot be evaluated without a guess: an unknown operator, element or key, for instance."""
