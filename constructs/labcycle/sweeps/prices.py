"""What a point costs: list prices to reckon by, not a quote. us-east-1, January 2026, estimate.

Machines are shared by points, so that a point is priced by its share: a processor and a GiB of memory as the families c, m and r
of EC2 have them in common, a GPU as a machine with one costs.
"""

from __future__ import annotations

from labcycle.sweeps.plan import Machine

VCPU_HOUR, GIB_HOUR, GPU_HOUR = 0.0357, 0.0034, 1.0
SPOT_SHARE = 0.35  # of the price on demand, about


def usd_hour(machine: Machine) -> float:
    """Of one point on demand; on spot about `SPOT_SHARE` of it."""
    if machine.gpus:
        return machine.gpus * GPU_HOUR
    return machine.vcpus * VCPU_HOUR + machine.memory_gib * GIB_HOUR
