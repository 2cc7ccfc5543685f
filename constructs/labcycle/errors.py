"""The one base of all errors that are meant for the person at the keyboard."""

from __future__ import annotations

WRONG = 2  # exit code of everything that the user can mend


class LabcycleError(Exception):
    """Something is wrong that the user can mend; the message names the mend. The command line prints it and exits 2."""
