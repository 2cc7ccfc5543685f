"""Which sizes of tasks Fargate has.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

CpuUnits = Literal[256, 512, 1024, 2048, 4096, 8192, 16384]
# Memory in MB by units of processor, of which 1,024 are one virtual processor.
_MEMORY_MB: dict[CpuUnits, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}


def task_sizes() -> Iterator[tuple[CpuUnits, int]]:
    """All sizes of tasks: units of processor, and memory in MB."""
    for cpu, memories in _MEMORY_MB.items():
        for memory_mb in memories:
            yield cpu, memory_mb


def allowed_memory_mb(cpu: int) -> tuple[int, ...]:
    """The memory that a task of `cpu` units can have; empty where there is no such task."""
    return next((memory for units, memory in _MEMORY_MB.items() if units == cpu), ())
