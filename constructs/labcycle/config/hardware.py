"""The hardware tiers that a team file can name: classes of machines, named for what they are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .instance_types import InstanceType, instance_types

TierName = Literal[
    "cpu-small",
    "cpu-medium",
    "cpu-large",
    "cpu-xlarge",
    "compute-large",
    "memory-medium",
    "memory-large",
    "memory-xlarge",
    "memory-huge",
    "gpu-small",
    "gpu-medium",
    "gpu-large",
    "gpu-xlarge",
    "gpu-a100",
    "gpu-h100",
    "gpu-h100-eight",
    "accelerator-small",
    "accelerator-medium",
    "accelerator-large",
]


@dataclass(frozen=True)
class HardwareTier:
    """A class of machine: one of the catalogue `TIERS`, or a team's own.

    Parameters
    ----------
    instance_type
        EC2 instance type, one of `instance_types()`.
    purpose
        What it is for; "" where nobody says.
    """

    name: str
    instance_type: str
    purpose: str = ""

    @property
    def machine(self) -> InstanceType:
        """What one machine has."""
        return instance_types()[self.instance_type]

    @property
    def usd_per_hour(self) -> float | None:
        """An estimate; None where it is not known."""
        return self.machine.usd_hour


_INSTANCES: dict[TierName, tuple[str, str]] = {
    "cpu-small": ("m7i.large", "notebooks, small tables"),
    "cpu-medium": ("m7i.2xlarge", "daily work in memory"),
    "cpu-large": ("m7i.4xlarge", "trees and ensembles"),
    "cpu-xlarge": ("m7i.16xlarge", "many processes at once"),
    "compute-large": ("c7i.8xlarge", "processors rather than memory"),
    "memory-medium": ("r7i.2xlarge", "tables that do not fit otherwise"),
    "memory-large": ("r7i.4xlarge", "large joins"),
    "memory-xlarge": ("r7i.8xlarge", "tables of 100 GiB"),
    "memory-huge": ("x2iedn.8xlarge", "graphs and joins of 500 GiB"),
    "gpu-small": ("g4dn.xlarge", "inference, small networks"),
    "gpu-medium": ("g5.xlarge", "fine-tuning of small models"),
    "gpu-large": ("g5.12xlarge", "several GPUs"),
    "gpu-xlarge": ("g6e.12xlarge", "models that need 48 GiB a GPU"),
    "gpu-a100": ("p4d.24xlarge", "large trainings, fast network"),
    "gpu-h100": ("p5.4xlarge", "one H100"),
    "gpu-h100-eight": ("p5.48xlarge", "the largest trainings"),
    "accelerator-small": ("inf2.xlarge", "inference by AWS Neuron"),
    "accelerator-medium": ("trn1.2xlarge", "training by AWS Neuron"),
    "accelerator-large": ("trn1.32xlarge", "large trainings by AWS Neuron"),
}
# Of jobs: three sizes of memory of two generations, so that spot has many pools to choose from in every zone.
JOB_FAMILIES: dict[Literal["cpu", "gpu"], tuple[str, ...]] = {
    "cpu": ("c5", "m5", "r5", "c6i", "m6i", "r6i"),
    "gpu": ("g4dn", "g5", "g6"),
}
TIERS: dict[TierName, HardwareTier] = {name: HardwareTier(name, *told) for name, told in _INSTANCES.items()}
