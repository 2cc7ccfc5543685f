"""A request that the live version answered, on its way to the shadow."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.shadows import Comparison


@dataclass(frozen=True)
class Shown:
    """`predictions` are the live version's, one a row, which it gave in so many `milliseconds`."""

    comparison: Comparison
    request_id: str
    content_type: str
    body: bytes
    predictions: list[Any]
    milliseconds: float

    @property
    def request(self) -> Request:
        """As the shadow scores it; who asked is not its business."""
        return Request("POST", "/invocations", [], {"content-type": self.content_type}, self.body, "", self.request_id)

    def to_json(self) -> bytes:
        body: dict[str, Any] = {}
        try:
            body["body"] = self.body.decode()
        except UnicodeDecodeError:
            body["base64"] = base64.b64encode(self.body).decode()
        fields = {
            **self.comparison._asdict(),
            "request_id": self.request_id,
            "content_type": self.content_type,
            "predictions": self.predictions,
            "milliseconds": round(self.milliseconds, 3),
        }
        return json.dumps({**fields, **body}, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Shown:
        """What Lambda made of `to_json`."""
        comparison = Comparison(event["version"], event["since"], event["live_version"])
        body = base64.b64decode(event["base64"]) if "base64" in event else event["body"].encode()
        return cls(
            comparison, event["request_id"], event["content_type"], body, event["predictions"], event["milliseconds"]
        )
