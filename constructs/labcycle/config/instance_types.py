"""What instance types of EC2 have, and where they are: `instance_types.json`, distilled from what AWS's DescribeInstanceTypes and
DescribeInstanceTypeOfferings answered, as moto (Apache-2.0) keeps it. To write it anew: `python -m tests.unit.config.instance_types`.

It has the types that a workspace can run on: x86_64, no bare metal, on demand, of families that are not yet old.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from .price_list import PRICES

SOURCE = "instance_types.json"


@dataclass(frozen=True)
class Accelerators:
    """The GPUs of an instance, or its chips of AWS (`neuron`): how many, their model, and the memory of each."""

    kind: Literal["gpu", "neuron"]
    name: str
    count: int
    memory_gib: int

    def __str__(self) -> str:
        return f"{self.count} {self.name}, {self.memory_gib} GiB each"


@dataclass(frozen=True)
class InstanceType:
    """`storage_gb` is that of its own disks, which are empty after each start; `network` as AWS words it. `missing`: known regions
    that do not have it."""

    name: str
    vcpus: int
    memory_gib: float
    accelerators: Accelerators | None
    storage_gb: int
    network: str
    missing: frozenset[str]

    @property
    def gpus(self) -> int:
        return self.accelerators.count if self.accelerators and self.accelerators.kind == "gpu" else 0

    @property
    def usd_hour(self) -> float | None:
        """On demand, Linux, in us-east-1, as `price_list` has it: to compare by, not a quote. None where it is not known."""
        price = PRICES.prices.get(f"ec2_instance_hour.{self.name}")
        return price.usd if price else None

    def is_in(self, region: str) -> bool:
        """Of a region about which nothing is known: yes, since nothing speaks against it."""
        return region not in self.missing


@cache
def instance_types() -> Mapping[str, InstanceType]:
    """All of them, by name."""
    return {name: _instance_type(name, row) for name, row in _document()["types"].items()}


def families_in(region: str, families: Sequence[str]) -> list[str]:
    """Those of which the region has some type; all where nothing is known about it."""
    there = {one.name.partition(".")[0] for one in instance_types().values() if one.is_in(region)}
    return [family for family in families if family in there]


@cache
def surveyed_regions() -> frozenset[str]:
    """Regions of which it is known what they have."""
    return frozenset(_document()["regions"])


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(__package__).joinpath(SOURCE).read_text(encoding="utf-8"))
    return found


def _instance_type(name: str, row: Mapping[str, Any]) -> InstanceType:
    chips = row.get("accelerators")
    return InstanceType(
        name,
        row["vcpus"],
        row["memory_gib"],
        Accelerators(**chips) if chips else None,
        row.get("storage_gb", 0),
        row["network"],
        frozenset(row.get("missing", ())),
    )
