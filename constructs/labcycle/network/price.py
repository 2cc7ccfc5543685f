"""What a network costs while nobody uses it. An estimate from public list prices, not a quote."""

from __future__ import annotations

from dataclasses import dataclass

from labcycle.config.target import Egress

PRICES_AS_OF = "2026-11"
PRICES_REGION = "us-east-1"
HOURS_A_MONTH = 730
NAT_GATEWAY_USD_AN_HOUR = 0.045
PUBLIC_IPV4_USD_AN_HOUR = 0.005
NAT_USD_A_GB = 0.045


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
    nat, address = (HOURS_A_MONTH * hourly for hourly in (NAT_GATEWAY_USD_AN_HOUR, PUBLIC_IPV4_USD_AN_HOUR))
    return MonthlyPrice(
        round(nat + address, 2),
        f"about {nat + address:.2f} USD a month also when idle ({nat:.2f} one NAT gateway, {address:.2f} its public address) "
        f"and {NAT_USD_A_GB} USD a GB through it; estimate, {PRICES_REGION} prices of {PRICES_AS_OF}",
    )
