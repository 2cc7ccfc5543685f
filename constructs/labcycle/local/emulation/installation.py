"""Put the parts together: MiniStack's application, cured, behind our front door and beside our own small API."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from labcycle.local.settings import Settings

Application = Callable[[Mapping[str, Any], Any, Any], Awaitable[None]]


def install(settings: Settings) -> Application:
    """The application that the server runs. Every cure is applied once, here."""
    import ministack.app as ministack

    from labcycle.local.emulation import (
        admin,
        alarms,
        api_gateway,
        clock,
        deliveries,
        encryption,
        endpoints,
        jobs,
        lambda_runtime,
        metrics,
        moto_services,
        notices,
        parameters,
        policies,
        request_keys,
        resources,
        schedules,
        server_images,
        state_machines,
        training,
    )

    clock.install()
    policies.install()
    request_keys.install()
    resources.install(settings)
    lambda_runtime.install(settings)
    metrics.install()
    alarms.install(settings)
    notices.install()
    deliveries.install(settings)
    encryption.install(settings)
    schedules.install()
    moto_services.install(settings)
    training.install(settings)
    jobs.install(settings)
    server_images.install(settings)
    endpoints.install()
    state_machines.install(settings)
    parameters.install(settings)
    door = api_gateway.FrontDoor(settings, clock=time.monotonic)
    own = admin.Admin(settings)

    async def application(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(api_gateway.PREFIX):
            await door(scope, receive, send)
        elif scope["type"] == "http" and path.startswith(admin.PREFIX):
            await own(scope, receive, send)
        else:
            await ministack.app(scope, receive, send)

    return application
