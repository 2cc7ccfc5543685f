"""The network that the teams of a target share."""

from labcycle.config.target import Egress
from labcycle.network.imported_network import ImportedNetwork
from labcycle.network.price import MonthlyPrice, monthly_price
from labcycle.network.shared_network import SharedNetwork

__all__ = ["Egress", "ImportedNetwork", "MonthlyPrice", "SharedNetwork", "monthly_price"]
