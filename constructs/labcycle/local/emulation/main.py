"""The server process: set the emulators up, cure them, listen, and leave nothing behind.

Started by `labcycle.local.process` in a session of its own: `python -m labcycle.local.emulation.main`, with the settings
as JSON in the environment variable LABCYCLE_LOCAL_SETTINGS.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from labcycle.local.settings import HOST, KEEP, SECRET, SETTINGS, Settings

GRACE_SECONDS = 5.0


def prepare_environment(settings: Settings) -> None:
    """Environment that MiniStack and moto read while they are imported."""
    settings.temporary.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "GATEWAY_PORT": str(settings.port),
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "MINISTACK_ACCOUNT_ID": settings.account,
            "MINISTACK_REGION": settings.region,
            "MOTO_ACCOUNT_ID": settings.account,
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            "AWS_ENDPOINT_URL": settings.endpoint,
            "AWS_ACCESS_KEY_ID": settings.account,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AUTH": "true",  # policies, trust and signatures are really evaluated
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{settings.temporary}/no-docker.sock",  # never look for a daemon
            "LOG_LEVEL": os.environ.get("LABCYCLE_LOCAL_LOG_LEVEL", "WARNING"),
            "TMPDIR": str(settings.temporary),
        }
    )


def application(settings: Settings) -> Any:
    """The cured ASGI application."""
    from labcycle.local.emulation import installation

    return installation.install(settings)


def serve(settings: Settings) -> None:
    """Listen until told to stop; then end every child and the process itself."""
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    app = application(settings)
    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    config.keep_alive_timeout = 75
    config.h11_max_incomplete_size = 256 * 1024  # the front door judges the size of headers itself
    config.loglevel = "WARNING"
    config.accesslog = None
    config.graceful_timeout = 0.5

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, _stopping(stop))
        if settings.owner:
            watch = threading.Thread(target=_watch_owner, args=(loop, stop), daemon=True, name="labcycle-owner")
            watch.start()
        await hypercorn_serve(app, config, shutdown_trigger=stop.wait)

    try:
        asyncio.run(run())
    finally:
        _end_children()


def _stopping(stop: asyncio.Event) -> Callable[[], None]:
    def begin() -> None:
        _insist()
        stop.set()

    return begin


def _watch_owner(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """End with the process that holds the other end of standard input, unless it lets go."""
    if sys.stdin.buffer.readline() != KEEP:
        loop.call_soon_threadsafe(_stopping(stop))


def _insist() -> None:
    """Warm workers and connections must not hold a shutdown up: after the grace period the whole group is killed."""
    timer = threading.Timer(GRACE_SECONDS, lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def _end_children() -> None:
    from ministack.core import lambda_runtime

    from labcycle.local.emulation import jobs, model_servers, training

    training.stop_all()
    jobs.stop_all()
    model_servers.stop_all()
    lambda_runtime.reset()
    os._exit(0)  # MiniStack's threads are not all daemons


def main() -> None:
    settings = Settings.from_text(os.environ.pop(SETTINGS))
    prepare_environment(settings)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    serve(settings)


if __name__ == "__main__":
    main()
