"""The one list of what AWS charges: `prices.json`, from AWS's public price pages, without taxes, free tiers and discounts.

A figure is of us-east-1, an estimate to compare by and not a quote. Where that of another region is surely known it stands beside it; where
it is the same in all commercial regions that is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOURS_A_MONTH = 730
_OTHERS = ("cn-", "us-gov-")  # regions that are not commercial ones
_FILE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True)
class Price:
    """What one unit costs.

    Parameters
    ----------
    key
        Names it; of a list by type, the name of the list, a dot, and the type.
    usd
        In US dollars.
    unit
        What is paid for, in words; its key tells of how long.
    source
        The page of AWS that says so.
    region
        Whose figure it is; empty where it is the same in all.
    """

    key: str
    usd: float
    unit: str
    source: str
    region: str


@dataclass(frozen=True)
class PriceList:
    """All prices in a region; of us-east-1 where those of the region are not known."""

    as_of: str
    prices: Mapping[str, Price]
    by_type: Mapping[str, str] = field(default_factory=dict)
    """Names of the lists by type, with their units."""

    def usd(self, key: str) -> float:
        return self.prices[key].usd

    def of_type(self, name: str) -> dict[str, float]:
        """What is in a list by type."""
        return {
            key.removeprefix(f"{name}."): price.usd
            for key, price in self.prices.items()
            if key.startswith(f"{name}.") and name in self.by_type
        }


def price_list(region: str = "") -> PriceList:
    """The prices in `region`; absent: in us-east-1."""
    prices = _WRITTEN["prices"]
    flat = [price for name, entry in prices.items() for price in _flat(name, entry, region)]
    return PriceList(
        _WRITTEN["as_of"],
        {price.key: price for price in flat},
        {name: entry["unit"] for name, entry in prices.items() if isinstance(entry["usd"], dict)},
    )


def _flat(name: str, entry: Mapping[str, Any], region: str) -> Iterator[Price]:
    usd, here = entry["usd"], entry.get("regions", {}).get(region, {})
    home = "" if entry.get("everywhere") and not region.startswith(_OTHERS) else _WRITTEN["region"]
    if isinstance(usd, dict):
        for kind, figure in usd.items():
            known = kind in here
            yield Price(
                f"{name}.{kind}",
                here[kind] if known else figure,
                entry["unit"],
                entry["source"],
                region if known else home,
            )
    else:
        known = isinstance(here, float)
        yield Price(name, here if known else usd, entry["unit"], entry["source"], region if known else home)


_WRITTEN: Mapping[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
PRICES = price_list()
AS_OF, REGION = PRICES.as_of, str(_WRITTEN["region"])
