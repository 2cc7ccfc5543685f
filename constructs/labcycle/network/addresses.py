"""Cut a network's address range into a private subnet a zone and one public subnet for the way out."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

ZONES_LIMIT = 6  # of the eight blocks six are for zones, one is kept free, the last is for public subnets
SMALLEST_SUBNET = 28  # https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
PREFIX_LENGTHS = range(16, 25)


@dataclass(frozen=True)
class Ranges:
    """`private` has one range a zone, in the order of the zones."""

    private: tuple[str, ...]
    public: str


def cut(cidr: str, zones: int) -> Ranges:
    """Ranges for `zones` zones: an eighth of the network for each private subnet, 1/256 (but at least a /28) for the public one.

    A zone's range depends on its position alone, so that a zone added at the end moves none of the others.

    Raises
    ------
    ValueError
        If `cidr` is no IPv4 range from /16 to /24, or there are more than six zones.
    """
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"cidr: got {cidr!r} ({error}); give an IPv4 range such as 10.0.0.0/16.") from None
    if network.prefixlen not in PREFIX_LENGTHS:
        raise ValueError(f"cidr: got {cidr}; allowed are ranges from /16 to /24, such as 10.0.0.0/16.")
    if not 1 <= zones <= ZONES_LIMIT:
        raise ValueError(f"zones: got {zones}; allowed are 1 to {ZONES_LIMIT}.")
    blocks = list(network.subnets(prefixlen_diff=3))
    public = next(blocks[-1].subnets(new_prefix=min(network.prefixlen + 8, SMALLEST_SUBNET)))
    return Ranges(tuple(str(block) for block in blocks[:zones]), str(public))
