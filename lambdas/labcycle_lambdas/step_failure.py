"""What a person is told where a step of a state machine failed."""

from __future__ import annotations

import json

_CAUSE_LENGTH = 1000


def explain(error: str, cause: str) -> str:
    """The sentence for a person in what Step Functions caught from a Lambda function or a training job."""
    try:
        parsed = json.loads(cause)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        for key in ("errorMessage", "FailureReason"):
            if parsed.get(key):
                return str(parsed[key])[:_CAUSE_LENGTH]
    if error == "States.Timeout":
        return f"a step took too long. {cause}".strip()[:_CAUSE_LENGTH]
    return (cause or error or "unknown")[:_CAUSE_LENGTH]
