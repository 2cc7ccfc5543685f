"""The one error of a reaction that is nobody's bug: a person has to change something first."""

from __future__ import annotations


class CannotReact(Exception):
    """What is missing or wrong, in a sentence for the owner."""
