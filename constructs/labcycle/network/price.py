"""What a network costs while nobody uses it. An estimate from public list prices, not a quote."""

from __future__ import annotations

from dataclasses import dataclass

from labcycle.config.price_list import AS_OF, HOURS_A_MONTH, PRICES, REGION
from labcycle.config.target import Egress


@dataclass(frozen=True)
class MonthlyPrice:
    """Fixed part in USD a month, and a sentence that says what it is made of."""

    usd: float
    sentence: str


def monthly_price(egress: Egress) -> MonthlyPrice:
    """Fixed monthly price of a network with this egress; traffic comes on top.

    Sources: the public price lists of Amazon VPC (NAT gateway hour and GB, public IPv4 address hour).
    """
    if egress == "none":
        return MonthlyPrice(0.0, "0 USD a month: no way out, gateway endpoints for S3 and DynamoDB are free")
    nat, address = (HOURS_A_MONTH * PRICES.usd(key) for key in ("nat_gateway_hour", "public_address_hour"))
    return MonthlyPrice(
        round(nat + address, 2),
        f"about {nat + address:.2f} USD a month also when idle ({nat:.2f} one NAT gateway, {address:.2f} its public address) "
        f"and {PRICES.usd('nat_gb')} USD a GB through it; estimate, {REGION} prices of {AS_OF}",
    )
