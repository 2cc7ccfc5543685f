"""What counts as the same answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.differential.sides import Answer

_SETS = {
    "metrics",
    "params",
    "tags",
    "aliases",
    "latest_versions",
    "dataset_inputs",
    "model_inputs",
    "model_outputs",
    "dataset_summaries",
}
_CLASS_ENDS = re.compile(r"['\"`{\[(\n]|\d|\bsqlite3?\b")


def message_class(message: str) -> str:
    """What a message says before the first quotation, list or number: texts quote sets in random order, and SQL."""
    return _CLASS_ENDS.split(message, maxsplit=1)[0].strip().rstrip(":").strip()


def comparable(answer: Answer, *, experiments: Mapping[str, str], in_order: bool = False) -> Any:
    """The answer without what may differ: ids of experiments are replaced, unordered lists are sorted, a page token is
    only there or not. `in_order`: lists of metrics are a history, whose order matters.
    """
    if answer.status != 200:
        return {"status": answer.status, "error_code": answer.code, "message": message_class(answer.message)}
    text = json.dumps(answer.doc)
    for ours, stock in experiments.items():
        text = text.replace(ours, stock)
    return {"status": 200, "doc": _plain(json.loads(text), in_order)}


def _plain(doc: Any, in_order: bool) -> Any:
    if isinstance(doc, list):
        return [_plain(item, in_order) for item in doc]
    if not isinstance(doc, dict):
        return doc
    found = {}
    for key, value in doc.items():
        value = _plain(value, in_order)
        if isinstance(value, list) and key in _SETS and not (key == "metrics" and in_order):
            value = sorted(value, key=lambda item: json.dumps(item, sort_keys=True))
        found[key] = True if key == "next_page_token" else value
    return found


def difference(stock: Any, ours: Any, place: str = "") -> str:
    """Where two comparable answers part; "" where they do not."""
    if isinstance(stock, dict) and isinstance(ours, dict):
        for key in sorted({*stock, *ours}):
            if key not in ours:
                return f"{place}.{key}: only stock has it: {_short(stock[key])}"
            if key not in stock:
                return f"{place}.{key}: only ours has it: {_short(ours[key])}"
            if found := difference(stock[key], ours[key], f"{place}.{key}"):
                return found
        return ""
    if isinstance(stock, list) and isinstance(ours, list):
        for index, (one, other) in enumerate(zip(stock, ours, strict=False)):
            if found := difference(one, other, f"{place}[{index}]"):
                return found
        return "" if len(stock) == len(ours) else f"{place}: stock has {len(stock)}, ours has {len(ours)}"
    same = stock == ours and isinstance(stock, bool) == isinstance(ours, bool)
    return "" if same else f"{place}: stock {_short(stock)}, ours {_short(ours)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 300 else text[:300] + "..."
