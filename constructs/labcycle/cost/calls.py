"""What a call of a function costs, and one through an API."""

from __future__ import annotations

from labcycle.config.price_list import HOURS_A_MONTH

from .assumptions import LOGGED_KB, TRACED_SHARE
from .resource import Resource

HOUR_SECONDS = 3_600
MONTH_SECONDS = HOURS_A_MONTH * HOUR_SECONDS
_LEAST_MB, _LEAST_DISK_MB = 128, 512  # what a function has where nothing is said
_KB_A_GB = 1_000_000


def memory_gb(function: Resource) -> float:
    return function.number("MemorySize", otherwise=_LEAST_MB) / 1024


def computing(function: Resource, seconds: float, *, provisioned: bool = False) -> float:
    """The call itself, and its time."""
    arm = "arm64" in (function.get("Architectures") or [])
    key = "lambda_arm_gb_second" if arm else "lambda_gb_second"
    second = memory_gb(function) * function.prices.usd("lambda_provisioned_run_gb_second" if provisioned else key)
    disk = (function.number("EphemeralStorage", "Size", otherwise=_LEAST_DISK_MB) - _LEAST_DISK_MB) / 1024
    if disk > 0:
        second += disk * function.prices.usd("lambda_disk_gb_second")
    return function.prices.usd("lambda_request") + seconds * second


def watching(function: Resource) -> float:
    """Its trace and its log lines."""
    traced = TRACED_SHARE.value if function.text("TracingConfig", "Mode") == "Active" else 0.0
    trace = traced * function.prices.usd("trace") if traced else 0.0
    return trace + LOGGED_KB.value / _KB_A_GB * function.prices.usd("logs_gb")


def is_provisioned(function: Resource) -> bool:
    return any(
        alias.get("ProvisionedConcurrencyConfig")
        and function.logical_id in {one.logical_id for one in alias.referred("FunctionName")}
        for alias in function.beside("AWS::Lambda::Alias")
    )


def request(resource: Resource) -> float:
    """A request of the API that stands in the same stack; 0 where there is none."""
    if any(resource.beside("AWS::ApiGateway::RestApi")):
        return resource.prices.usd("rest_api_request")
    if any(resource.beside("AWS::ApiGatewayV2::Api")):
        return resource.prices.usd("http_api_request")
    return 0.0
