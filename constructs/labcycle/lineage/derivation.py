"""A new run that begins where another one stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labcycle.errors import LabcycleError
from labcycle.lineage.runs_client import DERIVED_FROM, RunsClient


def derive(client: RunsClient, run_id: str, changes: Mapping[str, str], *, name: str = "") -> str:
    """Id of a prepared run in the same experiment: its source's params with `changes`, and the source as its origin.

    Its status is SCHEDULED until somebody starts it. Raises `ApiError`.
    """
    source = client.run(run_id)
    made = client.create(source.experiment_id, {DERIVED_FROM: source.run_id}, name=name)
    client.log(made, params={**source.params, **changes})
    client.set_status(made, "SCHEDULED")
    return made


def changes_of(settings: Sequence[str]) -> dict[str, str]:
    """`key=value` each. Raises `LabcycleError`."""
    found: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise LabcycleError(f"--set {setting}: write it as KEY=VALUE, for instance --set C=0.1")
        if key in found:
            raise LabcycleError(f"--set {setting}: {key} is set twice. Give it once")
        found[key] = value
    return found
