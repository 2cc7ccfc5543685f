"""What is kept of a registration now, to be held against the event that fixed it. Deleted versions and models too."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from labcycle_lambdas.ledger.evidence import Evidence
from labcycle_lambdas.ledger.records import read
from labcycle_lambdas.ledger.registry import VERSIONS
from labcycle_lambdas.ledger.table import Doc, Table

T = TypeVar("T")
_FIXED_FIELDS = ("source", "location", "run_id", "model_id", "user_id", "creation_timestamp")


class Registrations:
    """The registered versions of a ledger."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._evidence = Evidence(table)

    def kept(self, detail: Mapping[str, Any]) -> Doc:
        """By the detail of a `registered` event; what is gone or cannot be read is None.

        `version`: the fields of its record that never change. `files`: the pinned files. `run_fixed`: the text of the run's
        record as it was. `run`: that record as it is now. `superseded`: the latest point of a metric that went on.
        """
        uid, number = str(detail.get("uid")), detail.get("version")
        record_id = f"{uid}.{number:010d}" if isinstance(number, int) else ""
        fixed = self._evidence.fixed(str(digest)) if (digest := detail.get("run_sha256")) else None
        run = _readable(lambda: self._evidence.of_run(str(detail["run_id"]))) if digest else None
        return {
            "version": _readable(lambda: self._version(record_id)),
            "files": _readable(lambda: self._files(record_id)),
            "run_fixed": fixed,
            "run": run,
            "superseded": self._superseded(fixed, run),
        }

    def _version(self, record_id: str) -> Doc | None:
        header = read(self._table, VERSIONS, record_id).header
        return {field: header.doc.get(field) for field in _FIXED_FIELDS} if header else None

    def _files(self, record_id: str) -> list[Doc]:
        return [file for page in self._table.query(f"FILES#{record_id}") for file in page.doc["files"]]

    def _superseded(self, fixed: str | None, run: Doc | None) -> dict[str, list[Any]]:
        then = _readable(lambda: json.loads(fixed or "null"))
        if not run or not isinstance(then, dict) or not isinstance(then.get("metrics"), dict):
            return {}
        moved = {key: point for key, point in then["metrics"].items() if run["metrics"].get(key) != point}
        return _readable(lambda: self._evidence.superseded(run["run_id"], moved)) or {}


def _readable(read_it: Callable[[], T]) -> T | None:
    """What was changed into something that is no record any more is as good as gone."""
    try:
        return read_it()
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, zlib.error):
        return None
