"""The model server as a process that speaks HTTP/1.1: `python -m labcycle_lambdas.model_server.process --port 8080`.
SageMaker calls it with `serve` alone, and expects it at port 8080 of all addresses.

Gunicorn keeps one worker process, and begins another when it dies. The worker answers with threads: ONNX Runtime computes outside
of Python's lock. At SIGTERM it takes no new connection, finishes what is under way, and writes what it has counted.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

from labcycle_lambdas.model_server.environment import Environment

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from labcycle_lambdas.model_server.worker import Worker

THREADS = 8
# Longer than the load balancer keeps idle connections (60 s), so that it never sends a request into one that is being closed:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html#http-502-issues
KEEP_ALIVE_SECONDS = 75
WORKER_STOP_SECONDS = 30  # the longest request takes less; an idle connection that nobody closes costs all of it
STOP_SECONDS = 40  # then the worker is killed: it needs the time between to write


class Process(BaseApplication):  # type: ignore[misc]
    """One process of `host` and `port`. `container`: it answers as a container of SageMaker."""

    def __init__(self, host: str, port: int, threads: int, *, container: bool = False) -> None:
        self._container = container
        self._settings = {
            "bind": f"{host}:{port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": threads,
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": STOP_SECONDS,
            "control_socket_disable": True,
            "loglevel": "warning",
            "post_worker_init": self._begin,
            "worker_exit": self._end,
        }
        self._worker: Worker | None = None
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        # In the worker, not above: ONNX Runtime begins threads when it is imported, which a fork leaves behind, and then aborts.
        from labcycle_lambdas.model_server.worker import Worker

        self._worker = Worker(container=self._container)
        return self._worker.application

    def _begin(self, worker: Any) -> None:
        assert self._worker
        worker.cfg.set("graceful_timeout", WORKER_STOP_SECONDS)  # of the worker's own copy
        self._worker.begin()

    def _end(self, arbiter: Any, worker: Any) -> None:
        if self._worker:
            self._worker.end()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the model that the environment names.")
    parser.add_argument("how", nargs="?", choices=["serve"], help="as a container of SageMaker, at all addresses")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--threads", type=int, default=THREADS)
    asked = parser.parse_args()
    Environment.read()  # what is missing is told here, once
    # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    container = asked.how == "serve"
    host = asked.host or ("0.0.0.0" if container else "127.0.0.1")
    Process(host, asked.port, asked.threads, container=container).run()


if __name__ == "__main__":
    main()
