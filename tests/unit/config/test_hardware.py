"""What machines there are, which fit, and where tiers are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labcycle.client.fitting import Need, fitting, unfit
from labcycle.config import TIERS, HardwareTier, Workspaces, check_together, instance_types, load_target, load_team
from labcycle.config.hardware import JOB_FAMILIES
from labcycle.config.instance_types import Accelerators, InstanceType, families_in, surveyed_regions
from labcycle.config.problem import ConfigError
from tests.unit.config import instance_types as source
from tests.unit.config.files import TARGET, TEAM, bent, written


def test_the_catalogue_is_what_its_source_says() -> None:
    assert source.FILE.read_text() == source.text(), "python -m tests.unit.config.instance_types writes it anew"


def test_what_machines_have_is_what_aws_documents() -> None:
    """https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html"""
    found = instance_types()
    assert found["g5.12xlarge"].accelerators == Accelerators("gpu", "A10G", 4, 22)
    assert (found["r7i.4xlarge"].vcpus, found["r7i.4xlarge"].memory_gib) == (16, 128)
    assert found["trn1.32xlarge"].accelerators == Accelerators("neuron", "Trainium", 16, 32)
    assert found["p5.48xlarge"].gpus == 8 and found["inf2.xlarge"].gpus == 0
    assert found["g4dn.xlarge"].storage_gb == 125 and found["m7i.large"].storage_gb == 0
    assert {"eu-west-1", "us-east-1"} <= surveyed_regions()
    assert not any(
        name.endswith(".metal") or ("g." in name.replace("g4dn", "") and name[1:3] == "7g") for name in found
    )


def test_a_region_about_which_nothing_is_known_lacks_nothing() -> None:
    machine = instance_types()["trn1.2xlarge"]
    assert (machine.is_in("us-east-1"), machine.is_in("eu-west-1"), machine.is_in("us-gov-west-1")) == (
        True,
        False,
        True,
    )


def test_families_are_left_out_where_the_region_has_none_of_their_types() -> None:
    assert families_in("eu-west-1", ("g4dn", "g5", "trn1")) == ["g4dn", "g5"]
    assert families_in("ca-west-1", JOB_FAMILIES["gpu"]) == []
    assert families_in("us-gov-west-1", JOB_FAMILIES["gpu"]) == ["g4dn", "g5", "g6"], "nothing is known of it"
    assert all(len(families_in(region, JOB_FAMILIES["cpu"])) >= 3 for region in surveyed_regions())


def test_jobs_with_gpus_need_a_region_that_has_some(tmp_path: Path) -> None:
    compute = "compute: {image: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/jobs:1', gpu: {}}\nworkspaces:\n"
    text = (
        bent(TEAM, ("workspaces:\n", compute))
        .replace("eu-west-1", "ca-west-1")
        .replace("[gpu-small]", "[compute-large]")
    )
    target = bent(TARGET, ("region: eu-west-1", "region: ca-west-1")).replace("eu-west-1", "ca-west-1")
    files = written(tmp_path, "fraud.yaml", text), written(tmp_path, "eu-production.yaml", target)
    with pytest.raises(ConfigError) as error:
        check_together(load_team(files[0]), load_target(files[1]))
    (problem,) = error.value.problems
    assert (
        problem.path == "compute.gpu"
        and "whose region ca-west-1 has none of the families g4dn, g5, g6" in problem.message
    )


def test_prices_grow_with_the_machine() -> None:
    by_family: dict[str, list[InstanceType]] = {}
    for machine in instance_types().values():
        if machine.usd_hour and machine.gpus <= 1:
            by_family.setdefault(machine.name.partition(".")[0], []).append(machine)
    assert len(by_family) > 20
    for machines in by_family.values():
        machines.sort(key=lambda one: one.vcpus)
        prices = [one.usd_hour or 0 for one in machines]
        assert prices == sorted(prices) and prices[0] > 0


def test_the_cheapest_machine_that_fits_is_first_and_says_so() -> None:
    fits = fitting(Need(memory_gib=200, gpus=1))
    assert (fits[0].machine.name, fits[0].reason) == ("g6.16xlarge", "the cheapest that fits, 56 GiB to spare")
    assert [fit.tiers for fit in fits if fit.tiers] == [
        ("gpu-h100",),
        ("gpu-xlarge",),
        ("gpu-a100",),
        ("gpu-h100-eight",),
    ]
    known = [fit.usd_per_hour for fit in fits if fit.usd_per_hour is not None]
    assert known == sorted(known) and len(known) < len(fits)
    assert [fit.reason.startswith("price not known") for fit in fits] == [fit.usd_per_hour is None for fit in fits]
    for fit in fits:
        assert fit.machine.memory_gib >= 200 and fit.machine.gpus >= 1


@pytest.mark.parametrize(
    ("need", "first"),
    [
        (Need(), "c7a.medium"),
        (Need(memory_gib=200), "x2iedn.2xlarge"),
        (Need(vcpus=64), "c6a.16xlarge"),
        (Need(gpus=1), "g4dn.xlarge"),
        (Need(gpu_memory_gib=40), "g6e.xlarge"),
        (Need(gpu_memory_gib=64, gpus=4), "g4dn.12xlarge"),
        (Need(neuron=True), "inf2.xlarge"),
        (Need(neuron=True, gpus=12), "inf2.48xlarge"),
    ],
)
def test_what_is_needed_at_least(need: Need, first: str) -> None:
    assert fitting(need)[0].machine.name == first


def test_what_is_needed_may_be_nowhere() -> None:
    assert fitting(Need(gpus=9)) == []
    assert {tier.name: why for tier, why in unfit(Need(memory_gib=100, gpus=2))}["gpu-medium"] == (
        "16 GiB of memory of 100; 1 GPUs of 2"
    )


def test_a_region_has_fewer() -> None:
    need = Need(gpus=1)
    assert {fit.machine.name for fit in fitting(need, "eu-south-1") if fit.tiers} == {"g4dn.xlarge"}
    assert {tier.name: why for tier, why in unfit(need, "eu-south-1")}["gpu-medium"] == "not in eu-south-1"


OWN = "tiers: [gpu-small]\n  own_tiers: [{name: big, instance_type: x2iedn.2xlarge}]"


def together(folder: Path, team: str, region: str = "eu-west-1", more: str = "") -> list[str]:
    target = bent(TARGET, ("region: eu-west-1", f"region: {region}")).replace("eu-west-1", region) + more
    files = written(folder, "fraud.yaml", team), written(folder, "eu-production.yaml", target)
    try:
        check_together(load_team(files[0]), load_target(files[1]))
    except ConfigError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems if "tiers" in problem.path]
    return []


def test_a_team_has_tiers_of_its_own(tmp_path: Path) -> None:
    team = load_team(written(tmp_path, "fraud.yaml", bent(TEAM, ("tiers: [gpu-small]", OWN))))
    assert team.workspaces
    assert team.workspaces.hardware == (TIERS["gpu-small"], HardwareTier("big", "x2iedn.2xlarge"))
    assert together(tmp_path, bent(TEAM, ("tiers: [gpu-small]", OWN))) == []


def test_a_tier_that_the_region_lacks_is_told_with_what_to_do(tmp_path: Path) -> None:
    text = bent(
        TEAM,
        (
            "tiers: [gpu-small]",
            "tiers: [gpu-small, accelerator-medium]\n  own_tiers: [{name: chip, instance_type: trn1.2xlarge}]",
        ),
    )
    tier, own = together(tmp_path, text)
    assert tier == (
        "workspaces.tiers[1]: got accelerator-medium, which is trn1.2xlarge, in the target eu-production, whose region eu-west-1 does not have "
        "it. `labcycle tiers --region eu-west-1` lists those that it has; if AWS offers it there by now, add trn1.2xlarge to instance_types of "
        "the target"
    )
    assert own.startswith("workspaces.own_tiers[0].instance_type: got trn1.2xlarge in the target eu-production")
    assert together(tmp_path, text, more="instance_types: [trn1.2xlarge]\n") == []


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("[{name: big, instance_type: x2iedn.2xlarg}]", "Did you mean x2iedn.2xlarge?"),
        ("[{name: big, instance_type: m7g.large}]", "allowed an instance type of EC2 such as r7i.8xlarge, x86_64"),
        ("[{name: gpu-large, instance_type: g5.xlarge}]", "got gpu-large, which is a tier of the catalogue"),
        ("[{name: a, instance_type: g5.xlarge}, {name: a, instance_type: g6.xlarge}]", "a"),
        ("[{name: big}]", "Add the key instance_type"),
        (
            f"[{', '.join(f'{{name: t{n}, instance_type: g5.xlarge}}' for n in range(9))}]",
            "got 11 tiers with those of the",
        ),
    ],
)
def test_wrong_tiers(tmp_path: Path, own: str, said: str) -> None:
    text = bent(TEAM, ("tiers: [gpu-small]", f"tiers: [gpu-small, cpu-small]\n  own_tiers: {own}"))
    with pytest.raises(ConfigError) as error:
        load_team(written(tmp_path, "fraud.yaml", text))
    assert any(said in problem.message for problem in error.value.problems), [str(p) for p in error.value.problems]


def test_workspaces_from_python() -> None:
    made = Workspaces(tiers=("cpu-small",))
    assert [tier.instance_type for tier in made.hardware] == ["m7i.large"]


def test_the_page_shows_a_valid_team_file(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "workspaces.md").read_text()
    found = re.search(r"<!-- test: tiers -->\n```yaml\n(.*?)```", page, re.DOTALL)
    assert found
    before = "workspaces:\n  tiers: [gpu-small]\n  volume_gib: 100\n"
    assert before in TEAM, "what it stands for"
    team = load_team(written(tmp_path, "fraud.yaml", bent(TEAM, (before, found[1]))))
    assert team.workspaces and [tier.name for tier in team.workspaces.hardware] == ["cpu-small", "gpu-medium", "wide"]
    assert f"{len(instance_types())} types of x86_64" in page
