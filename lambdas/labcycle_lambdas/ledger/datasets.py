"""Data sets: one an experiment, name and digest; the first description of it stays. Long texts are kept in parts."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.table import Create, Exists, Put, Table

_PART_CHARACTERS = 80_000  # at most 4 bytes each in UTF-8: below the 400 KB of an item
_LONG = ("source", "schema", "profile")


@dataclass(frozen=True)
class Dataset:
    """`schema` and `profile` are JSON texts; up to 1 MiB and 16 MiB."""

    name: str
    digest: str = ""
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


def dataset_key(name: str, digest: str) -> str:
    return hashlib.sha256(json.dumps([name, digest]).encode()).hexdigest()


class Datasets:
    """The data sets of a ledger."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put(self, experiment_id: str, dataset: Dataset) -> None:
        """Keep `dataset`, unless one of its name and digest is kept already."""
        pk, sk = f"DATASETS#{experiment_id}", dataset_key(dataset.name, dataset.digest)
        if self._table.get(pk, sk):
            return
        doc = asdict(dataset)
        content = hashlib.sha256(json.dumps(doc, sort_keys=True).encode()).hexdigest()[:16]
        parts: dict[str, list[str]] = {}
        for name in _LONG:
            text = doc[name]
            if len(text) > _PART_CHARACTERS // 4:
                doc[name] = ""
                for number, start in enumerate(range(0, len(text), _PART_CHARACTERS)):
                    # Named by content: a call that comes second cannot mix its parts into the first one's.
                    part = f"{sk}#{content}#{name}#{number:04d}"
                    self._table.write(Put(pk, part, {"text": text[start : start + _PART_CHARACTERS]}))
                    parts.setdefault(name, []).append(part)
        with suppress(Exists):
            self._table.write(Create(pk, sk, {"dataset": doc, "parts": parts}))

    def identity(self, experiment_id: str, key: str) -> tuple[str, str]:
        """Name and digest, without the long texts. Raises `NotFound`."""
        doc = self._header(experiment_id, key)["dataset"]
        return doc["name"], doc["digest"]

    def get(self, experiment_id: str, key: str) -> Dataset:
        """Raises `NotFound`."""
        header = self._header(experiment_id, key)
        doc = dict(header["dataset"])
        for name, parts in header["parts"].items():
            found = (self._table.get(f"DATASETS#{experiment_id}", sk) for sk in parts)
            doc[name] = "".join(part.doc["text"] for part in found if part)
        return Dataset(**doc)

    def _header(self, experiment_id: str, key: str) -> dict[str, Any]:
        item = self._table.get(f"DATASETS#{experiment_id}", key)
        if item is None:
            raise NotFound(f"No data set {key} in experiment {experiment_id}")
        return item.doc
