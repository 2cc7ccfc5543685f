"""The hardware tiers that a team file can name: a small, dated catalogue.

Prices are on-demand, Linux, per hour, in USD, in us-east-1: an estimate to compare by, not a quote. The date says when
they were written down; a region's own price list is what is charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PRICES_AS_OF = "2025-01"
PRICES_REGION = "us-east-1"

TierName = Literal["cpu-small", "cpu-large", "memory-large", "gpu-small", "gpu-medium", "gpu-large"]


@dataclass(frozen=True)
class HardwareTier:
    """A class of machine, named for what it is for.

    Parameters
    ----------
    instance_type
        EC2 instance type.
    vcpus, memory_gib
        What one machine has.
    gpu
        Number and model of its GPUs; `None` for none.
    gpu_memory_gib
        Memory of all its GPUs together.
    usd_per_hour
        Estimate, see `PRICES_AS_OF` and `PRICES_REGION`.
    """

    instance_type: str
    vcpus: int
    memory_gib: int
    gpu: str | None
    gpu_memory_gib: int
    usd_per_hour: float


TIERS: dict[TierName, HardwareTier] = {
    "cpu-small": HardwareTier("m7i.large", 2, 8, None, 0, 0.101),
    "cpu-large": HardwareTier("m7i.4xlarge", 16, 64, None, 0, 0.806),
    "memory-large": HardwareTier("r7i.4xlarge", 16, 128, None, 0, 1.058),
    "gpu-small": HardwareTier("g4dn.xlarge", 4, 16, "1 NVIDIA T4", 16, 0.526),
    "gpu-medium": HardwareTier("g5.xlarge", 4, 16, "1 NVIDIA A10G", 24, 1.006),
    "gpu-large": HardwareTier("g5.12xlarge", 48, 192, "4 NVIDIA A10G", 96, 5.672),
}
