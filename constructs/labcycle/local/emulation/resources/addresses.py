"""Addresses that a template passes on have to be usable as they are.

The endpoint of an HTTP API is its path on the local cloud. On AWS the stage `$default` has no part in the address; here
it is in the path of the endpoint, and the function sees `rawPath` without it, as on AWS.
"""

from __future__ import annotations

from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

from labcycle.local.emulation.api_gateway import PREFIX
from labcycle.local.settings import Settings


def install(settings: Settings) -> None:
    def endpoint(api_id: str) -> str:
        return f"{settings.endpoint}{PREFIX}{api_id}/$default"

    handler = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]

    def cured(function: Any) -> Any:
        def call(*arguments: Any) -> tuple[str, dict[str, Any]]:
            api_id, attributes = function(*arguments)
            apigateway._apis[api_id]["apiEndpoint"] = endpoint(api_id)
            return api_id, {**attributes, "ApiEndpoint": endpoint(api_id)}

        return call

    handler["create"], handler["update"] = cured(handler["create"]), cured(handler["update"])
