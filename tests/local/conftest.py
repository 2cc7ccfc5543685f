"""One local cloud with the proving app for the tests of this folder, on a free port and with files of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labcycle.local.cloud import LocalCloud
from labcycle.local.report import DeployReport


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(found: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """What `found` gives as soon as it gives something; asynchronous deliveries have no other end."""
    deadline = time.monotonic() + seconds
    while True:
        value = found()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.1)


@dataclass(frozen=True)
class Proving:
    """The cloud, and what the first deploy reported."""

    cloud: LocalCloud
    report: DeployReport
    assembly: Path

    @property
    def url(self) -> str:
        return self.report.outputs["proving-web"]["Url"]


@pytest.fixture(scope="session")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    from tests.local import proving_app

    assembly = proving_app.build(tmp_path_factory.mktemp("assembly"))
    folder = tmp_path_factory.mktemp("cloud")
    with LocalCloud.start(proving_app.ACCOUNT, proving_app.REGION, free_port(), folder=folder) as cloud:
        cloud.bootstrap()
        yield Proving(cloud, cloud.deploy(assembly, ["proving/*"]), assembly)
