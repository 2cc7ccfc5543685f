"""What SageMaker's endpoints run on: a short list of instance types, and the sizes of serverless ones.

https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-how-it-works.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

# Without accelerators, which cost too much while nobody asks, and without disks of their own, which take no key of ours.
EndpointInstance = Literal["ml.c5.xlarge", "ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.r5.xlarge"]
# With one GPU of NVIDIA. Their own disks, of which the server uses none, are encrypted by the hardware.
AcceleratedInstance = Literal["ml.g4dn.xlarge", "ml.g5.xlarge", "ml.g5.2xlarge", "ml.g6.xlarge"]
LaterInstance = Literal[EndpointInstance, AcceleratedInstance]
ServerlessMemory = Literal[1024, 2048, 3072, 4096, 5120, 6144]
_MEMORY_GIB: dict[LaterInstance, int] = {
    "ml.c5.xlarge": 8,
    "ml.m5.large": 8,
    "ml.m5.xlarge": 16,
    "ml.m5.2xlarge": 32,
    "ml.r5.xlarge": 32,
    "ml.g4dn.xlarge": 16,
    "ml.g5.xlarge": 16,
    "ml.g5.2xlarge": 32,
    "ml.g6.xlarge": 16,
}
_PROCESSORS: dict[EndpointInstance, int] = {
    "ml.c5.xlarge": 4,
    "ml.m5.large": 2,
    "ml.m5.xlarge": 4,
    "ml.m5.2xlarge": 8,
    "ml.r5.xlarge": 4,
}
SERVERLESS_MEMORY_MB: tuple[ServerlessMemory, ...] = get_args(ServerlessMemory)


def endpoint_sizes() -> Iterator[tuple[EndpointInstance, int, int]]:
    """All instance types, each with its virtual processors and its memory in MB."""
    for instance_type, processors in _PROCESSORS.items():
        yield instance_type, processors, endpoint_memory_mb(instance_type)


def is_accelerated(instance_type: str) -> bool:
    """Whether an instance computes on a GPU."""
    return instance_type in get_args(AcceleratedInstance)


def endpoint_memory_mb(instance_type: LaterInstance) -> int:
    """The memory of an instance in MB."""
    return 1024 * _MEMORY_GIB[instance_type]
