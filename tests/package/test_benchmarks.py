"""What is measured is the server as it is: a benchmark that does not begin any more measures nothing."""

from __future__ import annotations

from pathlib import Path

from benchmarks import cost, serving
from benchmarks.figures import in_process


def test_the_model_server_is_measured_with_profiles_on(tmp_path: Path) -> None:
    serving.train(tmp_path)
    found = in_process("-m", "benchmarks.serving", "--task", "server", str(tmp_path), environment=serving.ENVIRONMENT)
    assert found["seconds"] > found["predict"] > 0
    assert found["calls"] > 1, "its profiles are written"


def test_a_team_and_its_model_cost_what_the_page_says(tmp_path: Path) -> None:
    estimate, choices = cost.measured(tmp_path)
    assert estimate.unpriced == () and [choice.egress for choice in choices] == ["none", "nat", "endpoints"]
    figures = {figure.name: figure for figure in cost.figures(estimate)}
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
    for name in ("a team", "one more model", "a team, from its third year on"):
        assert f"{figures[name].ours:.2f}" in page, name
    for name in ("a team, beside MLflow on Fargate", "a team, beside a managed server"):
        assert f"{figures[name].peer:.0f}" in page and figures[name].most == cost.TEAM_GOAL, name
