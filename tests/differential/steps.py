"""A scenario: requests in order. What a server made is named by the number of the step that made it.

`@exp#3`, `@run#3`, `@model#3` are ids, `@uri#3` the place of a run's or model's artifacts, `@token#3` the next page.
They stand anywhere in a path, a query or a body, and mean on each server what that server answered.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from tests.differential.sides import Answer

REFERENCE = re.compile(r"@(exp|run|model|uri|token)#(\d+)")
_NOTHING = {"exp": "987654321", "run": "f" * 32, "model": "m-" + "f" * 32, "uri": "s3://nowhere/x"}
JSON = "application/json"


@dataclass(frozen=True)
class Step:
    """`values` are the query of a GET, else the JSON body; `raw` is sent instead of them where it is given.

    `endpoint` is the method and the path's template. A step with `file` puts a file below that place, and asks nobody.
    """

    number: int
    endpoint: str
    path: str
    values: dict[str, Any] = field(default_factory=dict)
    raw: str | None = None
    content_type: str = JSON
    malformed: bool = False
    file: str | None = None

    @property
    def method(self) -> str:
        return self.endpoint.partition(" ")[0]

    def __str__(self) -> str:
        if self.file is not None:
            return f"[{self.number}] put a file at {self.file}"
        sent = self.raw if self.raw is not None else json.dumps(self.values, ensure_ascii=False)
        kind = "" if self.content_type == JSON else f" ({self.content_type})"
        return f"[{self.number}] {self.method} {self.path}{kind} {sent if len(sent) < 600 else sent[:600] + '...'}"


class Made:
    """What one server made, by step."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], str] = {}

    def note(self, step: Step, answer: Answer) -> None:
        doc = answer.doc
        if answer.status != 200 or not isinstance(doc, dict):
            return
        if "experiment_id" in doc:
            self._found["exp", step.number] = str(doc["experiment_id"])
        if info := (doc.get("run") or {}).get("info"):
            self._found["run", step.number] = info["run_id"]
            self._found["uri", step.number] = info["artifact_uri"]
        if info := (doc.get("model") or {}).get("info"):
            self._found["model", step.number] = info["model_id"]
            self._found["uri", step.number] = info["artifact_uri"]
        if "next_page_token" in doc:
            self._found["token", step.number] = doc["next_page_token"]

    def experiments(self) -> dict[int, str]:
        return {number: found for (kind, number), found in self._found.items() if kind == "exp"}

    def has_tokens(self, step: Step) -> bool:
        """Whether the pages are there that it goes on with."""
        text = step.path + json.dumps(step.values) + (step.raw or "")
        return all(("token", int(n)) in self._found for kind, n in REFERENCE.findall(text) if kind == "token")

    def filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            kind, number = match[1], int(match[2])
            return self._found.get((kind, number), _NOTHING.get(kind, ""))

        return REFERENCE.sub(value, text)

    def request(self, step: Step) -> tuple[str, str, str, bytes, str]:
        """Method, path, query, body and content type."""
        values, path = self._deep(step.values), self.filled(step.path)
        if step.method == "GET":
            query = self.filled(step.raw) if step.raw is not None else urlencode(values, doseq=True)
            return step.method, path, query, b"", step.content_type
        text = self.filled(step.raw) if step.raw is not None else json.dumps(values)
        return step.method, path, "", text.encode("utf-8", "surrogatepass"), step.content_type

    def _deep(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.filled(value)
        if isinstance(value, list):
            return [self._deep(item) for item in value]
        if isinstance(value, dict):
            return {key: self._deep(item) for key, item in value.items()}
        return value


def quoted(text: str) -> str:
    """As a segment of a path."""
    return quote(text, safe="")
