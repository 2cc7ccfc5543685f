"""The page on which people try a model: a form from its signature, filled with what is usual in its training data.

The page is one file without external resources. What it shows comes as JSON in an element that no browser runs, and its own
script and style are allowed by their digests, so that no name, category or reason can become a part of the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Pause
from labcycle_lambdas.model_server.openapi import is_needed
from labcycle_lambdas.model_server.schema import RANGES, Column, Schema
from labcycle_lambdas.profiles import PREDICTION, Reference
from labcycle_lambdas.profiles.bins import CategoricalBins, NumericBins
from labcycle_lambdas.profiles.reference import Column as Counted

_PLACE = "__MODEL__"
_DIGITS = 4  # of a usual number that lies somewhere in a bin
_EXACT_DIGITS = 6  # of one that fills a bin
_WORDS = {"true": True, "false": False}


def page(
    model: str,
    deployed: Deployed | None = None,
    schema: Schema | None = None,
    *,
    pause: Pause | None = None,
    problem: str = "",
) -> str:
    """The page. `deployed` is what is live, with its `schema`; `problem` says why there is nothing to try."""
    reference = Reference.from_doc(deployed.reference) if deployed and deployed.reference else None
    counted = {column.name: column for column in reference.columns} if reference else {}
    columns = schema.columns if schema else ()
    told = {
        "model": model,
        "problem": problem,
        "version": deployed.version if deployed else None,
        "promoted_at": deployed.promoted_at if deployed else "",
        "promoted_by": deployed.promoted_by if deployed else "",
        "paused": {"at": pause.at, "by": pause.by, "reason": pause.reason, "answers": pause.answer is not None}
        if pause
        else None,
        "inputs": "columns" if columns else "tensors" if schema else "unknown",
        "columns": [_field(column, counted.get(column.name)) for column in columns],
        "labels": _labels(deployed.signature if deployed else None, counted.get(PREDICTION)),
    }
    return _template().replace(_PLACE, _in_script(told))


@cache
def policy() -> str:
    """The Content-Security-Policy of the page: nothing from elsewhere, nothing but its own script and style."""
    script, style = (_digest(kind) for kind in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def usual(column: Column, counted: Counted | None) -> Any:
    """The usual value of an input in the training data: the median, or the most frequent category. None where none is known."""
    if counted is None:
        return None
    if isinstance(counted.bins, NumericBins):
        median = _median(counted.bins, counted.counts)
        if median is None or column.type in ("string", "boolean"):
            return None
        return _in_range(round(median), column) if column.type in ("integer", "long") else median
    category = next(iter(_categories(counted)), None)
    if column.type == "boolean":
        return _WORDS.get(category or "")
    return category if column.type == "string" else None


def _field(column: Column, counted: Counted | None) -> dict[str, Any]:
    choices = _categories(counted) if counted and column.type == "string" else []
    return {
        "name": column.name,
        "type": column.type,
        "needed": is_needed(column),
        "usual": usual(column, counted),
        "choices": choices,
    }


def _categories(counted: Counted) -> list[str]:
    """The categories that the training data has, the most frequent first."""
    if not isinstance(counted.bins, CategoricalBins):
        return []
    found = [pair for pair in zip(counted.bins.categories, counted.counts, strict=False) if pair[1]]
    return [category for category, _ in sorted(found, key=lambda pair: -pair[1])]


def _median(bins: NumericBins, counts: tuple[int, ...]) -> float | None:
    """By the counts, as if values lay evenly in a bin; of an outer bin, which is open, its edge."""
    present = counts[:-1]  # the last bin counts what is missing
    half, below = sum(present) / 2, 0
    if not bins.edges or not half:
        return None
    for place, count in enumerate(present):
        if count and below + count >= half:
            low, high = bins.edges[max(place - 1, 0)], bins.edges[min(place, len(bins.edges) - 1)]
            # A bin of one value: its width is there to take up roundings.
            narrow = high - low <= 1e-5 * abs(high) + 1e-8
            if narrow:
                return float(f"{(low + high) / 2:.{_EXACT_DIGITS}g}")
            return float(f"{low + (high - low) * (half - below) / count:.{_DIGITS}g}")
        below += count
    return None


def _in_range(value: int, column: Column) -> int:
    low, high = RANGES[column.type]
    return int(min(max(value, low), high))


def _labels(signature: Mapping[str, Any] | None, predictions: Counted | None) -> bool | None:
    """Whether predictions are names of classes, not amounts; None where it is not known."""
    if predictions is not None:
        return isinstance(predictions.bins, CategoricalBins)
    outputs = (signature or {}).get("outputs") or []
    kinds = {entry.get("type") if entry.get("type") != "tensor" else _dtype(entry) for entry in outputs}
    if not kinds:
        return None
    return not any(kind in ("double", "float") or str(kind).startswith("float") for kind in kinds)


def _dtype(entry: Mapping[str, Any]) -> str:
    return str((entry.get("tensor-spec") or {}).get("dtype"))


def _in_script(value: object) -> str:
    """JSON that a script element can hold: no `<`, and no character beyond ASCII, such as U+2028."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _template() -> str:
    return (files("labcycle_templates") / "model_server" / "app.html").read_text(encoding="utf-8")


def _digest(element: str) -> str:
    """Of the text within an element, as https://www.w3.org/TR/CSP3/#match-element-to-source-list wants it."""
    (text,) = re.findall(rf"<{element}>(.*?)</{element}>", _template(), re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
