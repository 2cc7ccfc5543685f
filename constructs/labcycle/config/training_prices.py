"""What an hour of a training costs: list prices to hold against a budget, not a quote. Whoever has others writes them in `prices.json`."""

from __future__ import annotations

from collections.abc import Mapping

from .price_list import PRICES

USD_HOUR: Mapping[str, float] = PRICES.of_type("sagemaker_instance_hour")
