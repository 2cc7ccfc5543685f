"""What a target file says of the account, and a team file of compliance, reaches the templates and through them the gate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import get_args

import pytest
from aws_cdk import App, Stack

from infra.app import HERE
from labcycle.check.capacity import capacity
from labcycle.check.checkers import CdkNag, cdk_nag
from labcycle.check.estate import Estate
from labcycle.check.template import templates_at
from labcycle.config import names
from labcycle.config.team import Compliance
from labcycle.network import ImportedNetwork
from tests.synth.assembly import missing
from tests.synth.platform.conftest import Synthesize, SynthesizedStack, read

Stacks = dict[str, SynthesizedStack]
VPC = "vpc-0123456789abcdef0"
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
NETWORK = "labcycle-target-eu-production-network"


@pytest.fixture(scope="session")
def own_assembly(synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples: fraud's target with a network, bootstrap and quotas of its own, growth held to HIPAA."""
    config = tmp_path_factory.mktemp("config") / "infra"
    for kind, name, old, new in (
        (
            "targets",
            "eu-production",
            "cidr: 10.0.0.0/16",
            f"vpc_id: {VPC}\n  private_subnet_ids: {json.dumps(SUBNETS)}",
        ),
        ("targets", "eu-production", "region:", "bootstrap_qualifier: acme1\nquotas: {L-DB2E81BA: 64}\nregion:"),
        ("teams", "growth", "stage: sandbox", "stage: sandbox\ncompliance: [hipaa]"),
    ):
        if not (config / kind).exists():
            shutil.copytree(HERE / kind, config / kind)
        file = config / kind / f"{name}.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
    return synthesize(config=str(config))


@pytest.fixture(scope="session")
def own(own_assembly: Path) -> Stacks:
    return read(own_assembly)


def test_an_existing_network_is_published_and_nothing_is_made(own: Stacks, own_assembly: Path) -> None:
    found = list(own[NETWORK].resources.values())
    assert {resource["Type"] for resource in found} == {"AWS::SSM::Parameter"}
    assert {resource["Properties"]["Name"]: resource["Properties"]["Value"] for resource in found} == {
        names.network_parameter("shared", "vpc-id"): VPC,
        names.network_parameter("shared", "private-subnet-ids"): ",".join(SUBNETS),
    }
    price = own[NETWORK].template["Outputs"]["MonthlyPrice"]["Value"]
    assert price == f"0 USD a month here: {VPC} is paid for where it was made"
    assert missing(own_assembly) == []


def test_parameters_stay_where_they_are_when_the_network_becomes_another(own: Stacks, stacks: Stacks) -> None:
    """Of two parameters of one name the second could not be made while the first is still there."""

    def parameters(stack: SynthesizedStack) -> dict[str, str]:
        return {
            resource["Properties"]["Name"]: logical_id
            for logical_id, resource in stack.resources.items()
            if resource["Type"] == "AWS::SSM::Parameter"
        }

    assert parameters(own[NETWORK]).items() <= parameters(stacks[NETWORK]).items()


@pytest.mark.parametrize(
    ("zones", "subnets", "named"),
    [
        (["eu-west-1a"], SUBNETS[:1], "zones"),
        (["eu-west-1a", "eu-west-1a"], SUBNETS, "zones"),
        (["eu-west-1a", "eu-west-1b"], SUBNETS[:1], "private_subnet_ids"),
        (["eu-west-1a", "eu-west-1b"], SUBNETS[:1] * 2, "private_subnet_ids"),
    ],
)
def test_zones_and_subnets_that_do_not_fit_are_named(zones: list[str], subnets: list[str], named: str) -> None:
    stack = Stack(App(analytics_reporting=False), "Foreign")
    with pytest.raises(ValueError, match=f"^{named}: got"):
        ImportedNetwork(stack, "Network", name="main", vpc_id=VPC, zones=zones, private_subnet_ids=subnets)


def test_the_qualifier_changes_addresses_of_the_bootstrap_and_nothing_else(own: Stacks, stacks: Stacks) -> None:
    """Nor does the network, which teams find by its parameters."""
    for name, stack in stacks.items():
        if name.startswith("labcycle-fraud-"):
            text = json.dumps(own[name].template)
            assert "/cdk-bootstrap/acme1/version" in text
            assert json.loads(text.replace("acme1", "hnb659fds")) == stack.template


def test_both_stages_deploy_by_the_bootstrap_of_the_qualifier(own_assembly: Path) -> None:
    for stage, qualifier, other in (
        ("labcycle-fraud", "acme1", "hnb659fds"),
        ("labcycle-target-eu-production", "acme1", "hnb659fds"),
        ("labcycle-growth", "hnb659fds", "acme1"),
    ):
        manifest = (own_assembly / f"assembly-{stage}" / "manifest.json").read_text()
        assert f"cdk-{qualifier}-deploy-role" in manifest
        assert other not in manifest


def test_quotas_reach_the_gate(own_assembly: Path, assembly: Path) -> None:
    def limit(folder: Path) -> list[tuple[float, str]]:
        uses = capacity(Estate(templates_at(folder)))
        return [(use.limit, use.source) for use in uses if use.quota.code == "L-DB2E81BA"]

    assert limit(assembly) == [(0, "default")]
    assert limit(own_assembly) == [(64, "yours")]


def test_the_gate_holds_a_team_to_the_packs_that_it_names(own_assembly: Path) -> None:
    templates = [
        one for one in templates_at(own_assembly) if one.name in ("labcycle-growth-tracking", "labcycle-fraud-tracking")
    ]
    found = [one for one in CdkNag().check(templates, Estate(templates)) if one.rule.startswith("HIPAA")]
    assert {one.template for one in found} == {"labcycle-growth-tracking"}


def test_every_template_of_the_team_says_its_packs_and_no_other_does(own: Stacks) -> None:
    said = {name: stack.template.get("Metadata", {}).get("labcycle:compliance") for name, stack in own.items()}
    assert {name for name, packs in said.items() if packs} == {n for n in own if n.startswith("labcycle-growth-")}
    assert all(packs == ["hipaa"] for packs in said.values() if packs)


def test_the_packs_of_the_team_file_are_those_of_the_gate() -> None:
    assert get_args(Compliance) == cdk_nag.ON_DEMAND
