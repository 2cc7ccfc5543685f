"""What a point costs: list prices to reckon by, not a quote, as `config.price_list` has them.

Machines are shared by points, so that a point is priced by its share: a processor and a GiB of memory as the families c, m and r
of EC2 have them in common, a GPU as a machine with one costs.
"""

from __future__ import annotations

from labcycle.config.price_list import PRICES
from labcycle.sweeps.plan import Machine

SPOT_SHARE = 0.35  # of the price on demand, about


def usd_hour(machine: Machine) -> float:
    """Of one point on demand; on spot about `SPOT_SHARE` of it."""
    if machine.gpus:
        return machine.gpus * PRICES.usd("job_gpu_hour")
    return machine.vcpus * PRICES.usd("job_processor_hour") + machine.memory_gib * PRICES.usd("job_gib_hour")
