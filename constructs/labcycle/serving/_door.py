"""How a model server is reached: an HTTP API, or a REST API where consumers have keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Door:
    """`errors` and `refused` name the metrics of answers with 5xx and 4xx, under `dimensions`.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    """

    url: str
    api_id: str
    stage: str
    dimensions: Mapping[str, str]
    errors: str
    refused: str
