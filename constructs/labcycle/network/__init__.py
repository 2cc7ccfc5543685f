"""The network that the teams of a target share."""

from labcycle.config.target import Egress
from labcycle.network.price import MonthlyPrice, monthly_price
from labcycle.network.shared_network import SharedNetwork

__all__ = ["Egress", "MonthlyPrice", "SharedNetwork", "monthly_price"]
