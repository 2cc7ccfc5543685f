"""What model servers cost: list prices to compare by, not a quote. Whoever has others writes them in `config/prices.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from labcycle.config.endpoints import EndpointInstance
from labcycle.config.price_list import AS_OF, HOURS_A_MONTH, REGION
from labcycle.config.price_list import PRICES as LIST

_LITTLE_TRAFFIC = 0.1  # of a capacity unit


@dataclass(frozen=True)
class Prices:
    """In USD, without taxes, free tiers and discounts.

    Sources: the public price lists of AWS Lambda (x86), AWS Fargate (Linux, x86), Elastic Load Balancing (an Application Load
    Balancer, with little traffic), Amazon SageMaker (real-time and serverless inference).
    """

    as_of: str = AS_OF
    region: str = REGION
    lambda_gb_second: float = LIST.usd("lambda_gb_second")
    lambda_request: float = LIST.usd("lambda_request")
    fargate_processor_hour: float = LIST.usd("fargate_processor_hour")
    fargate_gb_hour: float = LIST.usd("fargate_gb_hour")
    load_balancer_month: float = round(
        HOURS_A_MONTH * (LIST.usd("load_balancer_hour") + _LITTLE_TRAFFIC * LIST.usd("load_balancer_capacity_hour"))
    )
    serverless_gb_second: float = LIST.usd("sagemaker_serverless_gb_second")
    instance_hour: Mapping[EndpointInstance, float] = field(
        default_factory=lambda: {
            name: LIST.usd(f"sagemaker_instance_hour.{name}") for name in get_args(EndpointInstance)
        }
    )

    def fargate_hour(self, cpu: int, memory_mb: int) -> float:
        """Of one task."""
        return cpu / 1024 * self.fargate_processor_hour + memory_mb / 1024 * self.fargate_gb_hour

    def function_answer(self, memory_mb: int, seconds: float) -> float:
        """Of one answer of a function."""
        return self.lambda_request + memory_mb / 1024 * seconds * self.lambda_gb_second

    def serverless_answer(self, memory_mb: int, seconds: float) -> float:
        """Of one answer of a serverless endpoint."""
        return memory_mb / 1024 * seconds * self.serverless_gb_second


PRICES = Prices()
