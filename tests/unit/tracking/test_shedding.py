"""One sweep cannot starve a team, and is slowed rather than broken."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.load import Load
from labcycle_lambdas.ledger.table import Changed, Table
from labcycle_lambdas.members import Members
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.tracking.shedding import REPORTED_CALLS, WINDOW_SECONDS, Shedding
from tests.unit.ledger.conftest import NAME
from tests.unit.tracking.conftest import Api
from tests.unit.tracking.server import event, member


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Team:
    """A team of 10 requests a second, served by so many sandboxes in turn."""

    load: Load
    sandboxes: int = 2
    clock: Clock = field(default_factory=Clock)
    served: int = 0
    requests_per_second: int = 10

    def __post_init__(self) -> None:
        members = Members("fraud")
        self.all = [Shedding(self.load, members, self.requests_per_second, self.clock) for _ in range(self.sandboxes)]

    def calls(self, arn: str, body: str, sandbox: int | None = None) -> bool:
        """Whether a call is served; `body` tells it from others."""
        self.served += 1
        which = self.served % self.sandboxes if sandbox is None else sandbox
        try:
            self.all[which].admit(Request.from_event(event("POST", "/p", body=body.encode(), arn=arn)))
        except MlflowError as error:
            assert (error.response().status, error.response().headers["retry-after"]) == (429, "1")
            return False
        return True


@pytest.fixture
def team(api: Api) -> Team:
    return Team(Load(Table(api.dynamodb, NAME)))


SWEEP, COLLEAGUE = member("scientist-1"), member("scientist-2")


def sweep(team: Team, seconds: int, *, colleague: bool) -> tuple[int, int, int]:
    """Calls of both that were served, and of the sweep that were put off, while it comes 9 times a second."""
    served = others = put_off = 0
    for second in range(seconds):
        for number in range(9):
            if team.calls(SWEEP, f"{second} {number}"):
                served += 1
            else:
                put_off += 1
        if colleague:
            others += team.calls(COLLEAGUE, f"{second}")
        team.clock.now += 1
    return served, others, put_off


def test_a_sweep_that_is_alone_is_never_put_off(team: Team) -> None:
    assert sweep(team, 60, colleague=False) == (540, 0, 0)


def test_a_sweep_makes_room_for_a_colleague(team: Team) -> None:
    served, others, put_off = sweep(team, 60, colleague=True)
    assert others == 60
    assert put_off > 300
    assert served + put_off == 540


def test_far_from_the_limit_nobody_is_put_off(api: Api) -> None:
    team = Team(Load(Table(api.dynamodb, NAME)), requests_per_second=100)
    assert sweep(team, 60, colleague=True) == (540, 60, 0)


def test_where_nothing_is_throttled_nothing_is_counted(team: Team) -> None:
    team.requests_per_second = 0
    team.__post_init__()
    assert sweep(team, 20, colleague=True) == (180, 20, 0)
    assert team.load.add(0, {}) == ({}, {})


def busy(team: Team) -> None:
    """So that the sweep's next call is put off, by every sandbox."""
    sweep(team, 2 * WINDOW_SECONDS, colleague=True)


def test_a_call_that_was_put_off_is_served_when_it_comes_again(team: Team) -> None:
    busy(team)
    assert [team.calls(SWEEP, "again", 0) for _ in range(2)] == [False, True]
    assert [team.calls(SWEEP, "another", sandbox) for sandbox in (0, 1, 1)] == [False, False, True]


def test_after_the_rush_all_are_served(team: Team) -> None:
    busy(team)
    team.clock.now += 2 * WINDOW_SECONDS
    assert team.calls(SWEEP, "later", 0)


def test_a_member_is_one_caller_by_role_and_workspace(team: Team) -> None:
    busy(team)
    workspace = member("scientist-1").replace("scientist-1/scientist-1", "scientist-1-workspace/i-0abc")
    assert not team.calls(workspace, "from the workspace", 0)


def test_sandboxes_count_together_and_one_in_twenty_calls_pays_for_it(team: Team) -> None:
    told: list[int] = []
    add = team.load.add

    def counted(window: int, calls: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        told.append(sum(calls.values()))
        return add(window, calls)

    team.load.add = counted  # type: ignore[assignment, method-assign]
    for number in range(5 * REPORTED_CALLS):
        team.calls(SWEEP, str(number))
    assert told == [REPORTED_CALLS] * 4
    assert add(int(team.clock.now // WINDOW_SECONDS), {})[0] == {"scientist-1": 4 * REPORTED_CALLS}


def test_what_could_not_be_told_is_told_with_the_next(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    def beaten(window: int, calls: dict[str, int]) -> None:
        raise Changed

    with monkeypatch.context() as patch:
        patch.setattr(team.load, "add", beaten)
        for number in range(REPORTED_CALLS):
            assert team.calls(SWEEP, str(number), 0)
    for number in range(REPORTED_CALLS):
        assert team.calls(SWEEP, str(number), 0)
    assert team.load.add(int(team.clock.now // WINDOW_SECONDS), {})[0] == {"scientist-1": 2 * REPORTED_CALLS}


def test_a_window_is_forgotten_after_the_next(team: Team) -> None:
    assert team.load.add(7, {"ada": 3}) == ({"ada": 3}, {})
    assert team.load.add(7, {"bob": 2}) == ({"ada": 3, "bob": 2}, {})
    assert team.load.add(8, {"ada": 1}) == ({"ada": 1}, {"ada": 3, "bob": 2})
    assert team.load.add(10, {"ada": 1}) == ({"ada": 1}, {})
