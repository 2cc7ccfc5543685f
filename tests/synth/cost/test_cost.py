"""What teams cost, from templates that are really synthesized, against figures by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from labcycle.check.estate import Estate
from labcycle.check.template import Template, templates_at
from labcycle.cost.estimate import Estimate, target_estimates, team_estimate
from labcycle.cost.kinds import is_known
from labcycle.cost.uses import Use
from labcycle.local.resource_types import TYPES
from tests.one_team import synthesized
from tests.synth.assembly import ROOT
from tests.synth.cost.every_form import EVERY_FORM, EVERY_TARGET
from tests.synth.platform.test_variants import API, TARGET, TEAM, model

GB_SECOND, CALL = 0.0000166667, 0.0000002


@pytest.fixture(scope="module")
def every_form(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(synthesized(tmp_path_factory.mktemp("every"), EVERY_FORM, EVERY_TARGET).directory)


@pytest.fixture(scope="module")
def lab(every_form: Path) -> Estimate:
    return team_estimate(Estate(templates_at(every_form)), "lab", {})


@pytest.fixture(scope="module")
def examples(assembly: Path) -> Estate:
    return Estate(templates_at(assembly))


def unknown(templates: list[Template]) -> set[str]:
    types = {str(resource.get("Type")) for template in templates for _, resource in template.resources()}
    assert types
    return {kind for kind in types if not is_known(kind)}


def test_every_resource_type_of_the_examples_is_known(assembly: Path) -> None:
    assert unknown(templates_at(assembly)) == set()


def test_every_resource_type_of_every_form_is_known(every_form: Path) -> None:
    assert unknown(templates_at(every_form)) == set()


def test_every_resource_type_of_the_last_release_is_known() -> None:
    assert unknown(templates_at(ROOT / "tests/synth/golden/last_release/assembly")) == set()


def test_every_resource_type_that_the_local_cloud_takes_is_known() -> None:
    assert {kind for kind in TYPES if not is_known(kind)} == set()


def test_all_of_every_form_has_a_price(lab: Estimate) -> None:
    assert lab.unpriced == ()


def test_a_team_that_logs_is_a_key_five_alarms_and_an_hourly_look(examples: Estate) -> None:
    growth = team_estimate(examples, "growth", {})
    trace, log, reads = 0.000005, 2e-6 * 0.57, 5 * 0.000000125
    run = 0.000001 + CALL + 3 * 0.5 * GB_SECOND + trace + log + reads  # 512 MB
    assert growth.by_what() == {
        "KMS keys": (1, 1.0),
        "alarms": pytest.approx((5, 0.5)),
        "scheduled runs": pytest.approx((730, 730 * run)),
    }
    assert growth.later_usd == pytest.approx(growth.usd + 2)
    assert set(growth.by_part()) == {"foundation", "guardrails", "tracking"}


def test_the_parts_are_the_whole(examples: Estate, lab: Estimate) -> None:
    for estimate in (team_estimate(examples, "fraud", {}), lab):
        assert sum(estimate.by_part().values()) == pytest.approx(estimate.usd)
        assert sum(usd for _, usd in estimate.by_what().values()) == pytest.approx(estimate.usd)
        for part, usd in estimate.by_part().items():
            assert sum(found for _, found in estimate.by_what(part).values()) == pytest.approx(usd)


def test_a_model_that_is_watched_is_two_alarms_and_an_hourly_look(examples: Estate) -> None:
    fraud = team_estimate(examples, "fraud", {})
    assert fraud.models == ("card-fraud",)
    found = fraud.by_what("model-card-fraud")
    assert found["alarms"] == pytest.approx((2, 0.2)) and found["scheduled runs"][0] == 730
    assert set(found) == {"alarms", "scheduled runs"}


def test_goals_hold_before_the_key_is_rotated(examples: Estate) -> None:
    fraud = team_estimate(examples, "fraud", {})
    a_model = fraud.by_part()["model-card-fraud"]
    assert fraud.usd - a_model <= 3 and a_model <= 1


@pytest.mark.parametrize(
    ("part", "what", "count", "usd"),
    [
        ("model-on-tasks", "tasks", 2 * 65 / 168, 730 * 2 * 65 / 168 * (0.04048 + 2 * 0.004445)),
        ("model-on-tasks", "load balancers", 1, 730 * 0.0252),
        ("model-on-tasks", "alarms of scaling", 4, 0.4),
        ("model-on-instances", "SageMaker instances", 2, 730 * 2 * 0.115),
        ("model-ready", "functions started ahead", 2 * 65 / 168, 2 * 65 / 168 * 730 * 3600 * 0.0000041667),
        ("model-snapped", "snapshots of functions", 1, 2 * 730 * 3600 * 0.0000015046),
        ("model-watched", "dashboards", 1, 3.0),
        ("model-watched", "metrics that are always published", 1, 0.3),
        ("model-watched", "scheduled runs", 730 + 730 / 24 + 730 / 720 + 208.75 / 48, None),
    ],
)
def test_what_is_always_there_is_counted(lab: Estimate, part: str, what: str, count: float, usd: float | None) -> None:
    found = lab.by_what(part)[what]
    assert found[0] == pytest.approx(count, rel=0.003)
    assert usd is None or found[1] == pytest.approx(usd, rel=0.003)


def test_what_is_there_only_while_somebody_asks_costs_nothing_idle(lab: Estimate) -> None:
    for part in ("model-later", "model-on-demand", "model-plain", "workspaces"):
        assert set(lab.by_what(part)) <= {"alarms", "alarms of scaling"}, part


def test_a_training_by_schedule_is_told_apart(lab: Estimate) -> None:
    (work,) = lab.works
    assert (work.part, work.usd) == ("model-watched", 0.115)
    assert work.usd_a_month == pytest.approx(730 / 720 * 0.115)


def use(estimate: Estimate, part: str, begins: str) -> Use:
    (found,) = [one.use for one in estimate.uses if one.part == part and one.use.what.startswith(begins)]
    return found


def test_predictions_cost_by_how_they_are_served(lab: Estimate) -> None:
    plain = use(lab, "model-plain", "1,000 predictions").of
    assert plain["API"] == pytest.approx(1000 * 0.00000111)
    assert plain["function"] == pytest.approx(1000 * (CALL + 0.05 * 2 * GB_SECOND))
    assert use(lab, "model-asked", "1,000 predictions of a shadow").of["function"] == pytest.approx(plain["function"])
    assert use(lab, "model-ready", "1,000 predictions").of["function"] == pytest.approx(
        1000 * (CALL + 0.05 * 0.0000097222)
    )
    assert use(lab, "model-on-demand", "1,000 predictions").of["servers"] == pytest.approx(1000 * 0.05 * 2 * 0.00002)
    assert "function" not in use(lab, "model-on-tasks", "1,000 predictions").of


def test_consumers_ask_a_dearer_api(lab: Estimate) -> None:
    asked = [one.use for one in lab.uses if one.part == "model-asked" and one.use.what == "1,000 predictions"]
    assert asked[0].of["API"] == pytest.approx(1000 * 0.0000035)


def test_an_hour_of_each_tier_is_told_once(lab: Estimate) -> None:
    hours = {one.use.what: one.use.usd for one in lab.uses if one.use.what.startswith("an hour of a workspace")}
    assert hours == {
        "an hour of a workspace cpu-small (m7i.large)": 0.1008,
        "an hour of a workspace gpu-large (g5.12xlarge)": 5.672,
    }


def test_memory_changes_the_price_of_a_prediction(tmp_path: Path) -> None:
    def prediction(memory_mb: int) -> Mapping[str, float]:
        folder = tmp_path / str(memory_mb)
        folder.mkdir()
        team = {**TEAM, "models": [model("plain", deliver=[API | {"memory_mb": memory_mb}])]}
        found = Estate(templates_at(Path(synthesized(folder, team, TARGET).directory)))
        estimate = team_estimate(found, "lab", {})
        return {**use(estimate, "model-plain", "1,000 predictions").of, "idle": estimate.usd}

    small, large = prediction(1024), prediction(4096)
    assert large["function"] - 1000 * CALL == pytest.approx(4 * (small["function"] - 1000 * CALL))
    assert {key: usd for key, usd in large.items() if key != "function"} == {
        key: usd for key, usd in small.items() if key != "function"
    }


def test_a_network_with_nat_is_paid_by_its_target(examples: Estate) -> None:
    found = dict(_targets(examples))
    assert found["eu-production"][0] == pytest.approx(730 * (0.048 + 0.005))
    assert found["eu-sandbox"][0] == 0
    for _, choices in found.values():
        assert choices == {
            "none": 0,
            "nat": pytest.approx(730 * (0.048 + 0.005)),
            "endpoints": pytest.approx(12 * 2 * 730 * 0.011),
        }


def test_what_a_target_has_is_marked(examples: Estate) -> None:
    made = {
        target.name: [choice.egress for choice in choices if choice.is_made]
        for target, choices in target_estimates(examples, {})
    }
    assert made == {"eu-production": ["nat"], "eu-sandbox": ["none"]}


def test_a_network_that_is_made_elsewhere_is_not_priced_here(tmp_path: Path) -> None:
    network = {
        "name": "own",
        "vpc_id": "vpc-0123456789abcdef0",
        "private_subnet_ids": [f"subnet-0123456789abcdef{n}" for n in range(3)],
        "egress": "nat",
    }
    team: dict[str, Any] = {**TEAM, "models": []}
    found = Estate(templates_at(Path(synthesized(tmp_path, team, {**TARGET, "network": network}).directory)))
    ((target, choices),) = target_estimates(found, {})
    assert (target.usd, choices) == (0, ())


def _targets(estate: Estate) -> Iterator[tuple[str, tuple[float, dict[str, float]]]]:
    for target, choices in target_estimates(estate, {}):
        yield target.name, (target.usd, {choice.egress: choice.usd for choice in choices})
