"""Distils `instance_types.json` from moto's copy of what EC2 answers: `python -m tests.unit.config.instance_types` writes it anew."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import moto

import labcycle.config

FILE = Path(labcycle.config.__file__).parent / "instance_types.json"
_FAMILIES = (
    *("t3", "m5", "m6a", "m6i", "m7a", "m7i", "m8a", "m8i"),
    *("c5", "c6a", "c6i", "c7a", "c7i", "c8a", "c8i"),
    *("r5", "r6a", "r6i", "r7a", "r7i", "r8a", "r8i", "x2idn", "x2iedn", "x8i"),
    *("g4dn", "g5", "g6", "g6e", "g7e", "gr6", "p4d", "p4de", "p5", "p5en", "p6-b200"),
    *("inf2", "trn1", "trn1n", "trn2"),
)
_CHIPS = {"gpu": ("GpuInfo", "Gpus"), "neuron": ("NeuronInfo", "NeuronDevices")}


def distilled() -> dict[str, Any]:
    """The document: `regions` that were asked, and `types`."""
    there: dict[str, set[str]] = {}
    for file in sorted((_resources() / "instance_type_offerings" / "region").iterdir()):
        there[file.name.partition(".")[0]] = {offer["InstanceType"] for offer in _read(file)}
    types = {
        name: _row(told) | _missing(name, there)
        for name, told in sorted(_read(_resources() / "instance_types.json.gz").items())
        if _is_wanted(name, told)
    }
    return {"source": f"DescribeInstanceTypes, in moto {moto.__version__}", "regions": sorted(there), "types": types}


def text() -> str:
    """The file, a line a type."""
    document = distilled()
    lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in document.pop("types").items()]
    head = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items())
    return f'{{\n{head},\n "types": {{\n' + ",\n".join(lines) + "\n }\n}\n"


def _is_wanted(name: str, told: dict[str, Any]) -> bool:
    x86 = "x86_64" in told["ProcessorInfo"]["SupportedArchitectures"]
    on_demand = "on-demand" in told["SupportedUsageClasses"]
    return name.partition(".")[0] in _FAMILIES and x86 and on_demand and not told["BareMetal"]


def _row(told: dict[str, Any]) -> dict[str, Any]:
    memory = told["MemoryInfo"]["SizeInMiB"] / 1024
    row: dict[str, Any] = {"vcpus": told["VCpuInfo"]["DefaultVCpus"], "memory_gib": _whole(memory)}
    for kind, (info, devices) in _CHIPS.items():
        if info in told:
            [chip] = told[info][devices]
            each = round(chip["MemoryInfo"]["SizeInMiB"] / 1024)
            row["accelerators"] = {"kind": kind, "name": chip["Name"], "count": chip["Count"], "memory_gib": each}
    if "InstanceStorageInfo" in told:
        row["storage_gb"] = told["InstanceStorageInfo"]["TotalSizeInGB"]
    return row | {"network": told["NetworkInfo"]["NetworkPerformance"]}


def _missing(name: str, there: dict[str, set[str]]) -> dict[str, list[str]]:
    missing = sorted(region for region, names in there.items() if name not in names)
    return {"missing": missing} if missing else {}


def _whole(number: float) -> float:
    return int(number) if number.is_integer() else number


def _resources() -> Path:
    return Path(moto.__file__).parent / "ec2" / "resources"


def _read(file: Path) -> Any:
    return json.loads(gzip.decompress(file.read_bytes()))


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
