"""Packing of runs happens beside what a caller asks for, and is never in its way."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle_lambdas.ledger import packs
from labcycle_lambdas.ledger.table import Table, Throttled
from tests.unit.tracking.conftest import Api


@pytest.mark.parametrize("operation", ["Query", "BatchGetItem", "TransactWriteItems"])
def test_a_fault_while_runs_are_packed_is_no_fault_of_the_new_run(
    api: Api, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "RUNS_A_PACK", 2)
    monkeypatch.setattr("labcycle_lambdas.ledger.runs.zlib.crc32", lambda content: 1)  # none of these is packed
    for _ in range(3):
        api.ok("POST", "runs/update", {"run_id": api.run(), "status": "FINISHED"})
    struck = []

    def refused(*_: Any, **__: Any) -> Any:
        struck.append(operation)
        raise Throttled("busy")

    attribute = {"Query": "query", "BatchGetItem": "get_many", "TransactWriteItems": "write"}[operation]
    packing = packs.pack

    def pack(table: Table, *arguments: Any, **more: Any) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table, attribute, refused)
            return packing(table, *arguments, **more)

    monkeypatch.setattr(packs, "pack", pack)
    monkeypatch.setattr("labcycle_lambdas.ledger.runs.zlib.crc32", lambda content: 0)
    made = api.run()
    assert struck and api.ok("GET", "runs/get", {"run_id": made})["run"]["info"]["run_id"] == made
