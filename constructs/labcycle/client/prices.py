"""What model servers cost: list prices to compare by, not a quote. Whoever has others writes them here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labcycle.config.endpoints import EndpointInstance

HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Prices:
    """In USD, without taxes, free tiers and discounts.

    Sources: the public price lists of AWS Lambda (x86), AWS Fargate (Linux, x86), Elastic Load Balancing (an Application Load
    Balancer, with little traffic), Amazon SageMaker (real-time and serverless inference).
    """

    as_of: str = "2026-01"
    region: str = "us-east-1"
    lambda_gb_second: float = 0.0000166667
    lambda_request: float = 0.0000002
    fargate_processor_hour: float = 0.04048
    fargate_gb_hour: float = 0.004445
    load_balancer_month: float = 17.0
    serverless_gb_second: float = 0.00002
    instance_hour: Mapping[EndpointInstance, float] = field(
        default_factory=lambda: {
            "ml.c5.xlarge": 0.204,
            "ml.m5.large": 0.115,
            "ml.m5.xlarge": 0.23,
            "ml.m5.2xlarge": 0.461,
            "ml.r5.xlarge": 0.302,
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
