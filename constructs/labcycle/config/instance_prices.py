"""What an hour of an instance costs, on demand, Linux: as `price_list` has it, to compare by and not a quote."""

from __future__ import annotations

from .instance_types import InstanceType
from .price_list import PRICES


def usd_hour(instance: InstanceType) -> float | None:
    """In us-east-1; None where it is not known."""
    price = PRICES.prices.get(f"ec2_instance_hour.{instance.name}")
    return price.usd if price else None
