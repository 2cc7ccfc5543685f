"""What a team's API takes and answers, as an OpenAPI document. `python -m labcycle.openapi` prints it."""

from __future__ import annotations

from labcycle.openapi.document import document

__all__ = ["document"]
