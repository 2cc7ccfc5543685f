"""One team and its target, deployed to a cloud of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from aws_cdk.cx_api import CloudAssembly

from tests.cloud.harness import cloud
from tests.cloud.harness.place import Place
from tests.cloud.team import Team


@contextlib.contextmanager
def deployed(assembly: CloudAssembly, place: Place, team: str) -> Iterator[Team]:
    """The team, whose assembly `tests.one_team` made."""
    with cloud() as made:
        made.deploy(assembly.directory, place, lambda name: name.startswith("labcycle-target-"))
        made.deploy(assembly.directory, place, lambda name: not name.startswith("labcycle-target-"))
        yield Team(made, place, team)
