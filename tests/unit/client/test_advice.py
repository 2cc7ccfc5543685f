"""Advice on the size of a model's server: what it says, and that nothing it says is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from typer.testing import CliRunner

from labcycle.cli import app
from labcycle.client import advice as subject
from labcycle.client.advice import Advice, advise
from labcycle.client.prices import PRICES, Prices
from labcycle.config.endpoints import SERVERLESS_MEMORY_MB, endpoint_memory_mb, endpoint_sizes
from labcycle.config.fargate import task_sizes
from labcycle.config.team import Delivery
from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.ledger.usage import Usage, Used
from tests.unit.lineage.conftest import Team
from tests.unit.lineage.test_explanation import MODEL, register

FUNCTION = {"runtime": "lambda", "memory_mb": 2048}
TASK = {"runtime": "fargate", "cpu": 1024, "memory_mb": 2048, "minimum_tasks": 2, "maximum_tasks": 6}
INSTANCE = {
    "runtime": "sagemaker",
    "mode": "real_time",
    "instance_type": "ml.m5.xlarge",
    "minimum_instances": 2,
    "maximum_instances": 4,
}
SERVERLESS = {"runtime": "sagemaker", "mode": "serverless", "memory_mb": 3072, "maximum_concurrency": 10}


def usage(runs_on: dict[str, Any] | None, **figures: Any) -> dict[str, Any]:
    """As the API tells it: a small model that is asked 100,000 times in a week, and waits half of the time."""
    said = {
        "model": "card-fraud",
        "days": 7,
        "since": "2026-03-01T00:00:00Z",
        "whole": True,
        "runs_on": runs_on,
        "needed_mb": 300,
        "observed_seconds": 7 * 86_400,
        "requests": 100_000,
        "failed": 0,
        "starts": 20,
        "servers": 20,
        "most_servers_at_once": 2,
        "p50_ms": 20.0,
        "p99_ms": 50.0,
        "mean_ms": 20.0,
        "cpu_ms_a_request": 6.0,
        "peak_memory_mb": 240,
        "busiest_processors": 0.4,
        "busiest_processors_a_server": 0.5,
        "windows_of_other_sizes": 0,
    }
    assert figures.keys() <= said.keys()
    return said | figures


def said(advice: Advice) -> str:
    return "; ".join(advice.reasons)


@pytest.mark.parametrize(
    ("figures", "change", "reason"),
    [
        ({}, {"memory_mb": 768}, "768 MB are enough, 62% less"),
        ({"peak_memory_mb": 900}, {"memory_mb": 1152}, "it used up to 900 MB, 1,125 MB with room"),
        ({"needed_mb": 1500}, {"memory_mb": 1536}, "a promotion needs 1,500 MB"),
        ({"needed_mb": 1900}, {}, "it has 2,048 MB, and a tenth less"),
        ({"needed_mb": 3001}, {"memory_mb": 3072}, "a promotion needs 3,001 MB; it has 2,048 MB"),
        ({"peak_memory_mb": 1900}, {"memory_mb": 2432}, "it used up to 1,900 MB, 2,375 MB with room"),
        ({"peak_memory_mb": 9000}, {}, "let it run on Fargate"),
        ({"cpu_ms_a_request": 19.0}, {}, "less memory brings less processor, so that it costs time and saves no money"),
        ({"cpu_ms_a_request": 12.0}, {"memory_mb": 1536}, "it computes 52% of the time"),
        ({"peak_memory_mb": None}, {}, "its memory is not known"),
        ({"starts": 5_000}, {"memory_mb": 768}, "5,000 of 100,000 requests waited for a start"),
    ],
)  # fmt: skip
def test_a_function(figures: dict[str, Any], change: dict[str, int], reason: str) -> None:
    advice = advise(usage(FUNCTION, **figures))
    assert (advice.change, reason in said(advice)) == (change, True), advice
    assert advice.verdict == ("change" if change else "keep")


def test_a_function_that_computes_with_less_than_a_processor_gets_a_whole_one() -> None:
    advice = advise(usage({**FUNCTION, "memory_mb": 896}, mean_ms=40.0, cpu_ms_a_request=19.0))
    assert advice.change == {"memory_mb": 1792}
    assert "the mean answer takes about 20 ms in the place of 40 ms, for about the same price" in said(advice)
    assert advice.advised_usd_a_month == pytest.approx(advice.usd_a_month, rel=0.01)


@pytest.mark.parametrize(
    ("figures", "change", "reason"),
    [
        ({}, {"memory_mb": 2048}, ""),
        ({"busiest_processors_a_server": 0.2}, {"cpu": 512, "memory_mb": 1024}, "cpu 512, memory_mb 1024 is enough"),
        ({"busiest_processors_a_server": 0.2, "cpu_ms_a_request": 60.0}, {}, "20% of the processors were busy"),
        ({"busiest_processors_a_server": 0.2, "peak_memory_mb": 900}, {"cpu": 512}, "cpu 512, memory_mb 2048 is enough"),
        ({"peak_memory_mb": 1_700}, {"memory_mb": 3072}, "cpu 1024, memory_mb 3072 is needed"),
        ({"needed_mb": 9_000}, {"cpu": 2048, "memory_mb": 9216}, "cpu 2048, memory_mb 9216 is needed"),
        ({"needed_mb": 200_000}, {}, "no size has that much memory"),
        ({"busiest_processors_a_server": 0.9, "most_servers_at_once": 6}, {"maximum_tasks": 9}, "all 6 tasks were busy"),
        ({"busiest_processors_a_server": 0.9, "most_servers_at_once": 5}, {}, "90% of the processors"),
    ],
)  # fmt: skip
def test_tasks(figures: dict[str, Any], change: dict[str, int], reason: str) -> None:
    advice = advise(usage(TASK, **figures))
    assert (advice.change, reason in said(advice)) == ({k: v for k, v in change.items() if TASK[k] != v}, True), advice


def test_processors_are_halved_at_most() -> None:
    large = {**TASK, "cpu": 4096, "memory_mb": 8192}
    advice = advise(usage(large, busiest_processors_a_server=0.01, cpu_ms_a_request=1.0))
    assert advice.change == {"cpu": 2048, "memory_mb": 4096}


def test_fewer_tasks_but_never_less_than_two() -> None:
    many = {**TASK, "minimum_tasks": 5}
    advice = advise(usage(many, busiest_processors=1.5))
    assert advice.change == {"minimum_tasks": 3}
    assert advise(usage(many, busiest_processors=0.1)).change == {"minimum_tasks": 2}
    assert advise(usage({**TASK, "minimum_tasks": 1}, busiest_processors=0.1)).change == {}
    assert advice.usd_a_month == pytest.approx(17 + 5 * 36.04, abs=0.1)
    assert advice.advised_usd_a_month == pytest.approx(17 + 3 * 36.04, abs=0.1)


def test_no_more_tasks_than_there_may_be() -> None:
    full = {**TASK, "maximum_tasks": 50}
    advice = advise(usage(full, busiest_processors_a_server=1.0, most_servers_at_once=50))
    assert (advice.change, "choose a larger size" in said(advice)) == ({}, True)


@pytest.mark.parametrize(
    ("figures", "change"),
    [
        ({"busiest_processors_a_server": 1.0}, {"instance_type": "ml.m5.large"}),
        ({"busiest_processors_a_server": 2.0}, {"instance_type": "ml.c5.xlarge"}),
        ({"busiest_processors_a_server": 2.0, "needed_mb": 9_000}, {}),
        ({"needed_mb": 20_000}, {"instance_type": "ml.r5.xlarge"}),
        ({"busiest_processors_a_server": 3.0, "most_servers_at_once": 4, "needed_mb": 9_000}, {"maximum_instances": 5}),
    ],
)
def test_instances(figures: dict[str, Any], change: dict[str, Any]) -> None:
    assert advise(usage(INSTANCE, **figures)).change == change


@pytest.mark.parametrize(
    ("figures", "change", "reason"),
    [
        ({}, {"memory_mb": 1024}, "1,024 MB are enough"),
        ({"needed_mb": 2_500}, {}, "there is no smaller size that holds it"),
        ({"needed_mb": 3_500}, {"memory_mb": 4096}, "it has 3,072 MB"),
        ({"needed_mb": 6_500}, {}, "choose the mode real_time"),
        ({"cpu_ms_a_request": 19.0}, {}, "less memory brings less processor"),
    ],
)
def test_a_serverless_endpoint(figures: dict[str, Any], change: dict[str, int], reason: str) -> None:
    advice = advise(usage(SERVERLESS, **figures))
    assert (advice.change, reason in said(advice)) == (change, True), advice


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"requests": 99}, "99 requests of at least 100"),
        ({"observed_seconds": 86_399}, "24.0 hours of at least 24"),
        ({"requests": 0, "observed_seconds": 0, "mean_ms": None, "cpu_ms_a_request": None}, "0 requests of at least 100"),
        ({"mean_ms": None}, "every request began a server"),
        ({"requests": 5, "windows_of_other_sizes": 3}, "before the last change of the size does not count"),
    ],
)  # fmt: skip
def test_not_enough(figures: dict[str, Any], reason: str) -> None:
    advice = advise(usage(FUNCTION, **figures))
    assert (advice.verdict, advice.change, reason in said(advice)) == ("not_enough", {}, True), advice


def test_what_nothing_is_known_of() -> None:
    assert "deploy the model" in said(advise(usage(None)))
    assert said(advise(usage({**SERVERLESS, "mode": "other"}))) == "there is no advice for other"


def test_where_fargate_begins_to_be_cheaper() -> None:
    even = advise(usage({**FUNCTION, "memory_mb": 1792}, cpu_ms_a_request=19.0)).break_even
    assert even
    assert even.fargate == {"cpu": 512, "memory_mb": 1024, "minimum_tasks": 2}
    # An answer is 1.75 GB for 20 ms and a request; two tasks are half a processor and a GB each.
    an_answer = 1.75 * 0.02 * 0.0000166667 + 0.0000002
    assert even.requests_a_month == pytest.approx((17 + 2 * 730 * (0.5 * 0.04048 + 0.004445)) / an_answer, rel=1e-6)
    assert advise(usage(TASK)).break_even


def test_prices_can_be_others() -> None:
    dear = replace(PRICES, lambda_gb_second=PRICES.lambda_gb_second * 10)
    assert (advise(usage(FUNCTION), dear).usd_a_month or 0) > (advise(usage(FUNCTION)).usd_a_month or 0) * 5
    assert set(Prices().instance_hour) == {name for name, _, _ in endpoint_sizes()}


ONE = st.floats(0, 40)
DELIVERIES = st.one_of(
    st.builds(lambda memory: {**FUNCTION, "memory_mb": memory}, st.integers(512, 10_240)),
    st.builds(
        lambda size, least, more: {
            "runtime": "fargate",
            "cpu": size[0],
            "memory_mb": size[1],
            "minimum_tasks": least,
            "maximum_tasks": min(50, least + more),
        },
        st.sampled_from(list(task_sizes())),
        st.integers(1, 50),
        st.integers(0, 49),
    ),
    st.builds(
        lambda size, least, more: {
            **INSTANCE,
            "instance_type": size[0],
            "minimum_instances": least,
            "maximum_instances": min(50, least + more),
        },
        st.sampled_from(list(endpoint_sizes())),
        st.integers(1, 50),
        st.integers(0, 49),
    ),
    st.builds(lambda memory: {**SERVERLESS, "memory_mb": memory}, st.sampled_from(SERVERLESS_MEMORY_MB)),
)


@given(
    runs_on=DELIVERIES,
    needed=st.one_of(st.none(), st.integers(256, 130_000)),
    peak=st.one_of(st.none(), st.integers(1, 130_000)),
    mean_ms=st.one_of(st.just(0.0), st.floats(0.01, 30_000)),
    processors=ONE,
    a_server=ONE,
    busiest=ONE,
    servers=st.integers(0, 60),
)
def test_nothing_that_is_advised_is_refused(
    runs_on: dict[str, Any],
    needed: int | None,
    peak: int | None,
    mean_ms: float,
    processors: float,
    a_server: float,
    busiest: float,
    servers: int,
) -> None:
    """By the team file's rules, nor by a promotion, which wants `needed` MB, nor by the stage production, which wants two servers."""
    advice = advise(
        usage(
            runs_on,
            needed_mb=needed,
            peak_memory_mb=peak,
            mean_ms=mean_ms,
            cpu_ms_a_request=mean_ms * processors,
            busiest_processors_a_server=a_server,
            busiest_processors=busiest,
            most_servers_at_once=servers,
        )
    )
    after = {**runs_on, **advice.change}
    delivery: Any = TypeAdapter(Delivery).validate_python({"form": "api", **after})
    assert (advice.verdict == "change") == bool(advice.change)
    assert all(runs_on[key] != value for key, value in advice.change.items())
    if advice.change.keys() & {"memory_mb", "cpu", "instance_type"}:
        assert delivery.memory_mb >= max(needed or 0, (peak or 0) * subject.HEADROOM)
        if peak is None:
            before = runs_on.get("memory_mb") or endpoint_memory_mb(runs_on["instance_type"])
            assert delivery.memory_mb >= before
    for least in ("minimum_tasks", "minimum_instances"):
        if least in advice.change:
            assert subject.LEAST_SERVERS <= advice.change[least] < runs_on[least]
    assert json.loads(json.dumps(advice.to_doc()))["change"] == advice.change


@pytest.fixture
def busy(team: Team) -> Team:
    """A team whose model answered for two days, on Fargate."""
    preflight = replace(team.lifecycle.preflight, server_runs_on=lambda model: TASK)
    team.lifecycle = replace(team.lifecycle, preflight=preflight)
    register(team)
    team.promote(MODEL, 1)
    size = {key: TASK[key] for key in ("runtime", "cpu", "memory_mb")}
    tally = Tally()
    for _ in range(5_000):
        tally.count(30, failed=False)
    for hour in range(48):
        used = Used(size, tally, 150_000.0, 99_000.0, 900.0, 240, began=hour == 0)
        at = datetime.now(UTC) - timedelta(hours=hour + 1)
        Usage(team.table).write(MODEL, "a", hour, at, used)
    return team


def test_the_command_prints_figures_reasons_and_lines_of_the_team_file(
    busy: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["models", "advise", MODEL, "--days", "3"])
    assert result.exit_code == 0, result.output
    assert "advice: change the size" in result.stdout
    assert "  cpu: 512  # now 1024\n  memory_mb: 1024  # now 2048\n" in result.stdout
    assert "memory used, at most (MB)" in result.stdout and "240" in result.stdout
    assert "runs on: runtime fargate, cpu 1024, memory_mb 2048, minimum_tasks 2, maximum_tasks 6\n" in result.stdout
    assert "about 89.08 USD a month, after it 53.04 USD" in result.stdout
    assert "requests a month Fargate (2 tasks, cpu 512, 1024 MB) costs less than Lambda (1792 MB)" in result.stdout


def test_the_page_shows_what_the_command_prints(busy: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    page = Path(__file__).parents[3] / "docs" / "models.md"
    found = re.search(r"<!-- test: advice -->\n```\n(.*?)```", page.read_text(), re.DOTALL)
    assert found
    printed = CliRunner().invoke(app, ["models", "advise", MODEL]).stdout
    assert found[1].replace("card-fraud", MODEL) in printed


def test_the_command_as_json(busy: Team) -> None:
    result = CliRunner().invoke(app, ["models", "advise", MODEL, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["advice"]["change"] == {"cpu": 512, "memory_mb": 1024}
    assert (document["usage"]["requests"], document["usage"]["runs_on"]) == (240_000, TASK)


def test_a_model_without_traffic_and_one_that_is_not_there(team: Team) -> None:
    register(team)
    result = CliRunner().invoke(app, ["models", "advise", MODEL])
    assert (result.exit_code, "no advice: no deployed stack tells" in result.stdout) == (0, True), result.output
    missing = CliRunner().invoke(app, ["models", "advise", "none"])
    assert (missing.exit_code, "Registered Model with name=none not found" in missing.output) == (2, True)
