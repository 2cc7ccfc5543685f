"""The line that an evaluation leaves in the log of its evaluator, which saved queries and the dashboard read: no metric is paid for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labcycle_lambdas.ledger.judgement import judgements

EVALUATED = "evaluated"


def evaluation_line(evaluation: Mapping[str, Any]) -> str:
    """JSON with the model, its version and rows, and of each subject `verdict`, `reason`, and where they are known `value` and `limit`."""
    subjects = {
        one.subject: {
            "verdict": one.verdict,
            "reason": one.reason,
            **{name: one.figures[name] for name in ("value", "limit") if one.figures.get(name) is not None},
        }
        for one in judgements(evaluation)
    }
    said = {name: evaluation[name] for name in ("model", "version", "rows", "evaluated_at")}
    return json.dumps({"level": "INFO", "message": EVALUATED, **said, **subjects})
