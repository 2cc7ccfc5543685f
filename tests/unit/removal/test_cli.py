"""`labcycle team destroy` as it is called."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from labcycle.cli import app
from tests.unit.removal.conftest import ACCOUNT, REGION, Cloud


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["team", "destroy", *arguments])


def test_it_is_a_dry_run_unless_told_otherwise(cloud: Cloud) -> None:
    cloud.team("data")
    result = call("data")
    assert result.exit_code == 0, result.output
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith(f"account {ACCOUNT}, region {REGION}, as arn:aws:")
    assert second == "would end the sandbox data, in this order:"
    assert len(cloud.stacks()) == len(cloud.buckets()) == 3


def test_with_yes_it_ends_it_and_says_what_stays(cloud: Cloud) -> None:
    cloud.team("data")
    result = call("data", "--yes")
    assert result.exit_code == 0, result.output
    assert "stacks: stack labcycle-data-tracking" in result.stdout
    assert "The sandbox data has ended. What stays:\n  shared things" in result.stdout
    assert (cloud.stacks(), cloud.buckets()) == ([], [])


def test_a_refusal_exits_2_without_a_traceback(cloud: Cloud) -> None:
    cloud.team("data", stage="production")
    result = call("data", "--yes")
    assert (result.exit_code, len(cloud.stacks())) == (2, 3)
    assert "Only a sandbox is ended by this command" in result.stderr and "Traceback" not in result.output


def test_a_team_that_is_not_there_exits_2(cloud: Cloud) -> None:
    result = call("nobody")
    assert result.exit_code == 2 and "there is nothing with its tag" in result.stderr
