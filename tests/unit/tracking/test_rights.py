"""Every endpoint takes a right, and asks for it before anything is done."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from labcycle_lambdas.lifecycle import routes as lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.tracking import routes as tracking
from labcycle_lambdas.tracking.rights import RIGHTS
from tests.unit.tracking.conftest import Api
from tests.unit.tracking.server import member


def named(operation: Any) -> str:
    return f"{operation.__module__.rpartition('.')[2]}.{operation.__name__}"


def test_every_endpoint_that_is_not_asked_with_get_has_its_right_in_the_table() -> None:
    for routes, rights in ((tracking.ROUTES, RIGHTS), (lifecycle.ROUTES, lifecycle.RIGHTS)):
        asked = {operation for (method, _), operation in routes.items() if method not in ("GET", "HEAD")}
        assert {named(operation) for operation in asked} - {named(operation) for operation in rights} == set()
        assert {named(operation) for operation in rights} - {named(operation) for operation in routes.values()} == set()


def test_what_is_asked_with_get_as_well_is_read() -> None:
    both = {operation for (method, _), operation in tracking.ROUTES.items() if method == "GET"} & RIGHTS.keys()
    assert both
    assert {RIGHTS[operation] for operation in both} == {"read"}


@pytest.fixture
def lead(api: Api) -> Api:
    """The API as lead-1 of a team with two members calls it: who reads, and does not log."""
    members = Members(
        "fraud", {"lead-1": frozenset({"read", "promote"}), "scientist-1": frozenset({"read", "log", "register"})}
    )
    return dataclasses.replace(api, ledgers=dataclasses.replace(api.ledgers, members=members))


def test_a_persona_without_the_right_is_refused_in_mlflows_shape(lead: Api) -> None:
    arn = member("lead-1")
    assert lead.call("POST", "experiments/search", {"max_results": 10}, arn=arn)[0] == 200
    status, code, message = lead.fails("POST", "experiments/create", {"name": "e"}, arn=arn)
    assert (status, code) == (403, "PERMISSION_DENIED")
    assert message == "lead-1 has not the right to log, which this takes. Who has it: scientist-1."
    assert lead.call("GET", "experiments/get-by-name", {"experiment_name": "e"})[0] == 404
    experiment = lead.experiment()
    assert lead.fails("POST", "experiments/delete", {"experiment_id": experiment})[:2] == (403, "PERMISSION_DENIED")
    assert lead.ok("GET", "experiments/get", {"experiment_id": experiment})["experiment"]["lifecycle_stage"] == "active"


def test_the_right_is_asked_for_before_the_body_is_read(lead: Api) -> None:
    assert lead.fails("POST", "runs/create", b"{broken", arn=member("lead-1"))[0] == 403
    assert lead.fails("POST", "runs/create", b"{broken")[0] == 400
