"""What is behind the VPC link of an HTTP API: a load balancer's listener, its targets, and the service that they belong to.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-private.html,
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-parameter-mapping.html,
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any

from ministack.services import alb, cloudwatch, ecs

from labcycle.local.emulation import model_servers
from labcycle.local.signature import SentRequest

Answered = tuple[int, list[tuple[str, str]], bytes]
_HOP_BY_HOP = {
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class NoTarget(Exception):
    """The load balancer answers by itself, or API Gateway has nobody to ask."""

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.message = status, message


def forward(
    integration: Mapping[str, Any],
    request: SentRequest,
    *,
    target: str,
    source_ip: str,
    context: Mapping[str, str],
    seconds: float,
) -> Answered:
    """Ask one of the tasks behind the integration's listener. Blocking.

    Raises
    ------
    NoTarget
        503 where no task is healthy, 502 where one does not answer to the end, 500 where the integration cannot work.
    """
    group = _target_group(str(integration.get("integrationUri", "")))
    server = model_servers.one_of(_service_of(group))
    if server is None:
        raise NoTarget(503, "Service Unavailable", "the load balancer has no healthy target")
    headers = _mapped(request, integration.get("requestParameters") or {}, context)
    headers |= {"via": "HTTP/1.1 AmazonAPIGateway", "x-forwarded-for": source_ip}
    headers |= {"x-forwarded-port": "80", "x-forwarded-proto": "http"}
    try:
        status, answered, body = server.ask(request.method, target, list(headers.items()), request.body, seconds)
    except TimeoutError:
        raise NoTarget(503, "Service Unavailable", f"no answer through the VPC link in {seconds:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise NoTarget(502, "Bad Gateway", f"a target closed the connection: {type(error).__name__}") from None
    _count(group, status)
    return status, [(name.lower(), value) for name, value in answered if name.lower() not in _HOP_BY_HOP], body


def _target_group(listener: str) -> str:
    record = alb._listeners.get(listener)
    for action in record["DefaultActions"] if record else ():
        if action.get("Type") == "forward" and action.get("TargetGroupArn"):
            return str(action["TargetGroupArn"])
    raise NoTarget(500, "Internal Server Error", f"the listener {listener} forwards to no target group")


def _service_of(group: str) -> str:
    for service in ecs._services.values():
        if service["status"] == "ACTIVE" and any(
            one.get("targetGroupArn") == group for one in service["loadBalancers"]
        ):
            return key_of(service["serviceArn"])
    return ""


def key_of(service_arn: str) -> str:
    """The service's name among `model_servers`, which is also its resource for scaling: service/CLUSTER/NAME."""
    return service_arn.split(":", 5)[5]


def _mapped(request: SentRequest, parameters: Mapping[str, str], context: Mapping[str, str]) -> dict[str, str]:
    """The request's headers, with what the integration overwrites."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key = name.lower()
        if key not in _HOP_BY_HOP:
            headers[key] = f"{headers[key]},{value}" if key in headers else value
    for mapping, value in parameters.items():
        known = context.get(value.removeprefix("$context."))
        if not mapping.startswith("overwrite:header.") or known is None:
            reason = f"the parameter mapping {mapping}={value} is not part of the local cloud"
            raise NoTarget(500, "Internal Server Error", reason)
        headers[mapping.removeprefix("overwrite:header.").lower()] = known
    return headers


def _count(group: str, status: int) -> None:
    """Metrics of the targets: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html"""
    dimensions = {"TargetGroup": group.split(":", 5)[5]}
    for listener in alb._listeners.values():
        if any(action.get("TargetGroupArn") == group for action in listener["DefaultActions"]):
            dimensions["LoadBalancer"] = listener["LoadBalancerArn"].split(":loadbalancer/", 1)[1]
    for name in ("RequestCount", f"HTTPCode_Target_{status // 100}XX_Count"):
        cloudwatch.record_metric("AWS/ApplicationELB", name, 1.0, "Count", dimensions)
