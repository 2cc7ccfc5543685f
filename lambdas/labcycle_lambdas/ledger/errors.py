"""What the ledger refuses, in terms of the domain; a function turns each into its protocol's own code."""

from __future__ import annotations


class NotFound(Exception):
    """There is no such experiment, run, model or version."""


class AlreadyExists(Exception):
    """The name is taken."""


class Refused(Exception):
    """The request contradicts the rules of the ledger, for instance a second value for a parameter."""


class InUse(Exception):
    """Something else holds it, such as a deployment, a version or a rule: it cannot be deleted or renamed."""
