"""What an hour of a training costs: list prices to hold against a budget, not a quote. Whoever has others writes them here.

Source: the public price list of Amazon SageMaker, training.
"""

from __future__ import annotations

from collections.abc import Mapping

AS_OF, REGION = "2026-01", "us-east-1"
USD_HOUR: Mapping[str, float] = {
    "ml.c5.large": 0.102,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g4dn.2xlarge": 0.94,
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.p3.2xlarge": 3.825,
    "ml.r5.large": 0.151,
    "ml.r5.xlarge": 0.302,
    "ml.r5.2xlarge": 0.605,
}
