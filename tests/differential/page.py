"""docs/mlflow-differences.md, made from the differences that the comparison knows: `python -m tests.differential.page`."""

from __future__ import annotations

from pathlib import Path

from tests.differential.differences import DIFFERENCES

PAGE = Path(__file__).parents[2] / "docs" / "mlflow-differences.md"
_HEAD = """# Where the tracking API differs from MLflow's own server

Made from `tests/differential/differences.py` by `python -m tests.differential.page`: do not edit.

The comparison drives MLflow's own server (3.17.2, on sqlite) and the tracking function with the same generated
requests, a fifth of them malformed, and with sessions of the stock client. Status, error code, the message up to its
first quotation, and every field of an answer must be the same, and so must everything that both have stored in the end.
What follows is all that may differ.

    python -m tests.differential --scenarios 300

Ids of experiments are other numbers than the stock server's; the order of metrics, parameters, tags and aliases within
a run or model, and the text of a page token, mean nothing on either.
"""


def page() -> str:
    parts = [_HEAD]
    for known in DIFFERENCES:
        parts.append(f"## {known.name}\n\n- MLflow's server: {known.stock}\n- Here: {known.ours}\n- Why: {known.why}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
