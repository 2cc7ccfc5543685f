"""Which machines fit what somebody needs, the cheapest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labcycle.config import TIERS, HardwareTier, InstanceType, instance_types


@dataclass(frozen=True)
class Need:
    """At least so much. `gpu_memory_gib` is that of all GPUs together; with `neuron` the accelerators are AWS's own."""

    memory_gib: float = 0
    vcpus: int = 0
    gpus: int = 0
    gpu_memory_gib: float = 0
    neuron: bool = False

    def lacking(self, machine: InstanceType) -> list[str]:
        """What a machine has too little of, in words; empty where it fits."""
        chips = machine.accelerators if machine.accelerators and self._wants(machine) else None
        count, memory = (chips.count, chips.count * chips.memory_gib) if chips else (0, 0)
        kind = "accelerators" if self.neuron else "GPUs"
        return [
            f"{has:g} {what} of {wanted:g}"
            for has, what, wanted in (
                (machine.memory_gib, "GiB of memory", self.memory_gib),
                (machine.vcpus, "vCPUs", self.vcpus),
                (count, kind, max(self.gpus, int(self.neuron or self.gpu_memory_gib > 0))),
                (memory, f"GiB of memory of the {kind}", self.gpu_memory_gib),
            )
            if has < wanted
        ]

    def _wants(self, machine: InstanceType) -> bool:
        assert machine.accelerators
        return machine.accelerators.kind == ("neuron" if self.neuron else "gpu")


@dataclass(frozen=True)
class Fit:
    """A machine that fits, with the tiers that it is, and what speaks for and against it."""

    machine: InstanceType
    tiers: tuple[str, ...]
    usd_per_hour: float | None
    reason: str


def fitting(need: Need, region: str | None = None) -> list[Fit]:
    """The cheapest machine of each family that fits, and each tier that does; those without a known price stand last."""
    chosen: dict[str, InstanceType] = {}
    for machine in sorted(instance_types().values(), key=_cost):
        family = machine.name.partition(".")[0]
        if _is_there(machine, region) and not need.lacking(machine):
            chosen.setdefault(family, machine)
    tiers: dict[str, list[str]] = {}
    for tier in TIERS.values():
        if _is_there(tier.machine, region) and not need.lacking(tier.machine):
            tiers.setdefault(tier.instance_type, []).append(tier.name)
    found = {machine.name: machine for machine in (*chosen.values(), *(instance_types()[name] for name in tiers))}
    ranked = sorted(found.values(), key=_cost)
    return [
        Fit(machine, tuple(tiers.get(machine.name, ())), machine.usd_hour, _reason(machine, ranked[0], need))
        for machine in ranked
    ]


def unfit(need: Need, region: str | None = None) -> Iterator[tuple[HardwareTier, str]]:
    """The tiers of the catalogue that do not fit, each with what it lacks."""
    for tier in TIERS.values():
        lacking = need.lacking(tier.machine)
        if not _is_there(tier.machine, region):
            yield tier, f"not in {region}"
        elif lacking:
            yield tier, "; ".join(lacking)


def _is_there(machine: InstanceType, region: str | None) -> bool:
    return region is None or machine.is_in(region)


def _cost(machine: InstanceType) -> tuple[bool, float, float, str]:
    price = machine.usd_hour
    return price is None, price or 0.0, machine.memory_gib, machine.name


def _reason(machine: InstanceType, cheapest: InstanceType, need: Need) -> str:
    price, least = machine.usd_hour, cheapest.usd_hour
    said = []
    if price is None:
        said.append("price not known")
    elif machine == cheapest:
        said.append("the cheapest that fits")
    elif least:
        said.append(f"{price / least - 1:.0%} dearer")
    spare = machine.memory_gib - need.memory_gib
    if need.memory_gib and spare:
        said.append(f"{spare:g} GiB to spare")
    if machine != cheapest and machine.vcpus > cheapest.vcpus:
        said.append(f"{machine.vcpus - cheapest.vcpus} more vCPUs")
    chips, usual = machine.accelerators, cheapest.accelerators
    if chips and usual and chips.memory_gib > usual.memory_gib:
        said.append(f"{chips.memory_gib} GiB a {chips.name}")
    return ", ".join(said)
