"""What an hour of an instance costs, on demand, Linux: list prices to compare by, not a quote.

Source: the public price list of Amazon EC2, written down from memory. Where a family's price grows with its size, one price a
virtual processor stands for all of its sizes.
"""

from __future__ import annotations

from collections.abc import Mapping

from .instance_types import InstanceType

AS_OF = "2026-01"
REGIONS = ("us-east-1", "us-east-2", "us-west-2")  # which share these prices; others are mostly dearer by 5 to 40 %

_USD_HOUR_OF_A_VCPU: Mapping[str, float] = {
    "c5": 0.0425,
    "c6a": 0.03825,
    "c6i": 0.0425,
    "c7a": 0.05132,
    "c7i": 0.044625,
    "m5": 0.048,
    "m6a": 0.0432,
    "m6i": 0.048,
    "m7a": 0.05796,
    "m7i": 0.0504,
    "r5": 0.063,
    "r6a": 0.0567,
    "r6i": 0.063,
    "r7a": 0.07608,
    "r7i": 0.06615,
    "x2iedn": 0.2084375,
    "x2idn": 0.10421875,
}
_USD_HOUR: Mapping[str, float] = {
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g4dn.4xlarge": 1.204,
    "g4dn.8xlarge": 2.176,
    "g4dn.12xlarge": 3.912,
    "g4dn.16xlarge": 4.352,
    "g5.xlarge": 1.006,
    "g5.2xlarge": 1.212,
    "g5.4xlarge": 1.624,
    "g5.8xlarge": 2.448,
    "g5.12xlarge": 5.672,
    "g5.16xlarge": 4.096,
    "g5.24xlarge": 8.144,
    "g5.48xlarge": 16.288,
    "g6.xlarge": 0.8048,
    "g6.2xlarge": 0.9776,
    "g6.4xlarge": 1.3232,
    "g6.8xlarge": 2.0144,
    "g6.12xlarge": 4.6016,
    "g6.16xlarge": 3.3968,
    "g6.24xlarge": 6.6752,
    "g6.48xlarge": 13.3504,
    "g6e.xlarge": 1.861,
    "g6e.2xlarge": 2.24208,
    "g6e.4xlarge": 3.00424,
    "g6e.8xlarge": 4.52856,
    "g6e.12xlarge": 10.49264,
    "g6e.16xlarge": 7.57719,
    "g6e.24xlarge": 15.06559,
    "g6e.48xlarge": 30.13118,
    "inf2.xlarge": 0.7582,
    "inf2.8xlarge": 1.96786,
    "inf2.24xlarge": 6.49063,
    "inf2.48xlarge": 12.98127,
    "p4d.24xlarge": 21.957642,
    "p4de.24xlarge": 27.44705,
    "p5.4xlarge": 6.88,
    "p5.48xlarge": 55.04,
    "t3.large": 0.0832,
    "t3.xlarge": 0.1664,
    "t3.2xlarge": 0.3328,
    "trn1.2xlarge": 1.34375,
    "trn1.32xlarge": 21.5,
    "trn1n.32xlarge": 24.78,
}


def usd_hour(instance: InstanceType) -> float | None:
    """In `REGIONS`; None where it is not known."""
    if instance.name in _USD_HOUR:
        return _USD_HOUR[instance.name]
    of_a_vcpu = _USD_HOUR_OF_A_VCPU.get(instance.name.partition(".")[0])
    return None if of_a_vcpu is None else round(of_a_vcpu * instance.vcpus, 5)
