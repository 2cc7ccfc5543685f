"""What stacks need together of an account's quotas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle.check.capacity import QUOTAS, Use, as_document, as_text, capacity, unknown_codes
from labcycle.check.cli import VIEWS
from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError
from labcycle.check.template import Template

CONCURRENCY = "Lambda reserved and provisioned concurrency, 100 staying free"


def stack(name: str, account: str = "111122223333", region: str = "eu-west-1", **resources: Any) -> Template:
    return Template(name, json.dumps({"Resources": resources}), region, account)


def saying(quotas: Any, account: str = "111122223333", region: str = "eu-west-1") -> Template:
    """A template that says what its account has."""
    body = {"Metadata": {"labcycle:quotas": quotas}, "Resources": {}}
    return Template(f"target-{account}-{region}", json.dumps(body), region, account)


def of(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def used(uses: list[Use], name: str) -> dict[tuple[str, str], float]:
    return {(use.account, use.region): use.needed for use in uses if use.quota.name == name}


def test_roles_count_for_an_account_and_stacks_for_a_region() -> None:
    role = of("AWS::IAM::Role")
    uses = capacity(
        Estate(
            [
                stack("a", Role=role, Other=role),
                stack("b", region="us-east-1", Role=role),
                stack("c", account="444455556666", Role=role),
            ]
        )
    )
    assert used(uses, "IAM roles") == {("111122223333", "global"): 3, ("444455556666", "global"): 1}
    stacks = used(uses, "CloudFormation stacks")
    assert stacks == {
        ("111122223333", "eu-west-1"): 1,
        ("111122223333", "us-east-1"): 1,
        ("444455556666", "eu-west-1"): 1,
    }


def test_rules_count_for_the_fullest_bus() -> None:
    rules: dict[str, Any] = {f"Default{n}": of("AWS::Events::Rule") for n in range(3)}
    own = of("AWS::Events::Rule", EventBusName={"Ref": "Bus"})
    uses = capacity(Estate([stack("a", Bus=of("AWS::Events::EventBus", Name="team"), Own=own, **rules)]))
    assert used(uses, "rules on one event bus") == {("111122223333", "eu-west-1"): 3}


def test_nat_gateways_count_by_zone() -> None:
    subnets: dict[str, Any] = {
        f"Subnet{zone}": of("AWS::EC2::Subnet", AvailabilityZone=f"eu-west-1{zone}") for zone in "ab"
    }
    gateways: dict[str, Any] = {
        "One": of("AWS::EC2::NatGateway", SubnetId={"Ref": "Subneta"}),
        "Two": of("AWS::EC2::NatGateway", SubnetId={"Ref": "Subnetb"}),
    }
    uses = capacity(Estate([stack("a", **subnets, **gateways)]))
    assert used(uses, "NAT gateways in one zone") == {("111122223333", "eu-west-1"): 1}


def test_a_member_starts_the_largest_of_the_tiers() -> None:
    def template(member: str, instance: str) -> dict[str, Any]:
        return of(
            "AWS::EC2::LaunchTemplate", LaunchTemplateData={"InstanceType": instance, "IamInstanceProfile": member}
        )

    uses = capacity(
        Estate(
            [
                stack(
                    "a",
                    A=template("ann", "g4dn.xlarge"),
                    B=template("ann", "g5.12xlarge"),
                    C=template("bob", "g5.xlarge"),
                )
            ]
        )
    )
    assert used(uses, "vCPUs of G instances, a workspace a member and jobs") == {("111122223333", "eu-west-1"): 48 + 4}


def test_jobs_count_with_the_most_that_their_machines_may_be() -> None:
    def machines(market: str, vcpus: int, *families: str) -> dict[str, Any]:
        return of(
            "AWS::Batch::ComputeEnvironment",
            ComputeResources={"Type": market, "MaxvCpus": vcpus, "InstanceTypes": list(families)},
        )

    uses = capacity(
        Estate(
            [
                stack("a", A=machines("SPOT", 48, "c5", "m5"), B=machines("EC2", 16, "c5", "m5")),
                stack("b", A=machines("SPOT", 24, "g4dn", "g5"), B=machines("EC2", 8, "g4dn", "g5")),
            ]
        )
    )
    here = ("111122223333", "eu-west-1")
    assert used(uses, "vCPUs of standard spot instances, jobs") == {here: 48}
    assert used(uses, "vCPUs of G spot instances, jobs") == {here: 24}
    assert used(uses, "vCPUs of standard instances, a workspace a member and jobs") == {here: 16}
    assert used(uses, "vCPUs of G instances, a workspace a member and jobs") == {here: 8}


def test_the_first_quota_that_breaks_is_named_with_what_to_ask_for() -> None:
    functions: dict[str, Any] = {
        f"F{n}": of("AWS::Lambda::Function", ReservedConcurrentExecutions=500) for n in range(2)
    }
    uses = capacity(Estate([stack("a", **functions)]))
    assert uses[0].breaks
    text = as_text(uses)
    assert text.splitlines()[-1].startswith("the first quota that breaks: Lambda reserved and provisioned concurrency")
    assert "1,000 needed, 900 by default. Ask for 1,100 by Service Quotas L-B99A9384" in text
    assert as_document(uses)["breaks"] is True


def test_what_is_provisioned_counts_unless_it_is_of_what_is_reserved() -> None:
    def started_ahead(function: str, number: int) -> dict[str, Any]:
        config = {"ProvisionedConcurrentExecutions": number}
        return of("AWS::Lambda::Alias", FunctionName={"Ref": function}, ProvisionedConcurrencyConfig=config)

    resources: dict[str, Any] = {
        "Reserved": of("AWS::Lambda::Function", ReservedConcurrentExecutions=20),
        "OfIt": started_ahead("Reserved", 5),
        "Shared": of("AWS::Lambda::Function"),
        "OfAll": started_ahead("Shared", 7),
        "Snapshot": of("AWS::Lambda::Alias", FunctionName={"Ref": "Shared"}),
        "Odd": of("AWS::Lambda::Alias", FunctionName="other", ProvisionedConcurrencyConfig={"Ref": "Unknown"}),
    }
    found = used(capacity(Estate([stack("a", **resources)])), CONCURRENCY)
    assert found == {("111122223333", "eu-west-1"): 27}


def workspace(instance: str = "g5.xlarge") -> dict[str, Any]:
    return of("AWS::EC2::LaunchTemplate", LaunchTemplateData={"InstanceType": instance, "IamInstanceProfile": "ann"})


def limits(uses: list[Use], code: str) -> dict[tuple[str, str], tuple[float, str]]:
    return {(use.account, use.region): (use.limit, use.source) for use in uses if use.quota.code == code}


def test_what_an_account_has_counts_in_its_region_alone() -> None:
    stacks = [
        stack("a", W=workspace()),
        stack("b", region="us-east-1", W=workspace()),
        stack("c", account="444455556666", W=workspace()),
    ]
    uses = capacity(Estate([*stacks, saying({"L-DB2E81BA": 64})]))
    assert limits(uses, "L-DB2E81BA") == {
        ("111122223333", "eu-west-1"): (64, "yours"),
        ("111122223333", "us-east-1"): (0, "default"),
        ("444455556666", "eu-west-1"): (0, "default"),
    }
    assert [use.region for use in uses if use.breaks and use.account == "111122223333"] == ["us-east-1"]


def test_what_an_account_has_everywhere_counts_whichever_region_says_it() -> None:
    stacks = [stack("a", Role=of("AWS::IAM::Role")), saying({"L-FE177D64": 2500}, region="us-east-1")]
    assert limits(capacity(Estate(stacks)), "L-FE177D64") == {("111122223333", "global"): (2500, "yours")}


def test_the_least_counts_where_two_say_different_things() -> None:
    stacks = [stack("a", W=workspace()), saying({"L-DB2E81BA": 64}), saying({"L-DB2E81BA": 8}), saying({})]
    assert limits(capacity(Estate(stacks)), "L-DB2E81BA") == {("111122223333", "eu-west-1"): (8, "yours")}


def test_what_lambda_keeps_free_is_taken_off_what_the_account_has() -> None:
    functions: dict[str, Any] = {"F": of("AWS::Lambda::Function", ReservedConcurrentExecutions=1950)}
    uses = capacity(Estate([stack("a", **functions), saying({"L-B99A9384": 2000})]))
    assert limits(uses, "L-B99A9384") == {("111122223333", "eu-west-1"): (1900, "yours")}
    assert "1,950 needed, 1,900 of yours. Ask for 2,050 by Service Quotas L-B99A9384" in as_text(uses)


def test_the_table_says_whose_limit_it_is() -> None:
    uses = capacity(Estate([stack("a", W=workspace(), Vpc=of("AWS::EC2::VPC")), saying({"L-DB2E81BA": 64})]))
    rows = {line.split()[-1]: line.split() for line in as_text(uses).splitlines() if "L-" in line}
    assert rows["L-DB2E81BA"][-4:-1] == ["64", "yours", "6%"]
    assert rows["L-F678F1CE"][-4:-1] == ["5", "default", "20%"]
    told = {use["code"]: (use["limit"], use["whose"]) for use in as_document(uses)["uses"]}
    assert told["L-DB2E81BA"] == (64, "yours") and told["L-F678F1CE"] == (5, "default")


def test_a_code_that_is_not_known_is_told() -> None:
    estate = Estate([stack("a", W=workspace()), saying({"L-DB2E81BA": 64, "L-00000000": 1})])
    assert unknown_codes(estate) == ["L-00000000"]
    text, document, well = VIEWS["capacity"](estate)
    assert "given, and not counted here: L-00000000. Take codes from this table" in text
    assert document["unknown_codes"] == ["L-00000000"]
    assert well
    assert "not counted" not in as_text(capacity(estate))


@pytest.mark.parametrize("quotas", ["many", ["L-DB2E81BA"], {"L-DB2E81BA": "64"}, {"L-DB2E81BA": -1}])
def test_quotas_that_are_no_numbers_are_refused(quotas: Any) -> None:
    with pytest.raises(CheckError, match=r"target-.*: Metadata\.labcycle:quotas: got .*; allowed a mapping"):
        capacity(Estate([saying(quotas)]))


def test_where_none_breaks_the_next_to_break_is_named() -> None:
    uses = capacity(Estate([stack("a", Vpc=of("AWS::EC2::VPC"), Other=of("AWS::EC2::VPC"))]))
    assert as_text(uses).splitlines()[-1] == (
        "no quota breaks; the first that would is VPCs in 111122223333 eu-west-1, at 2.5 times as much as this"
    )
    assert as_document(uses)["breaks"] is False


def test_a_figure_that_is_no_number_does_not_stop_the_count() -> None:
    odd = of("AWS::Lambda::Function", ReservedConcurrentExecutions={"Ref": "Unknown"})
    assert used(capacity(Estate([stack("a", Odd=odd)])), CONCURRENCY) == {}


def test_every_quota_says_where_it_comes_from() -> None:
    assert all(quota.url.startswith("https://docs.aws.amazon.com/") for quota in QUOTAS)
    assert len({quota.name for quota in QUOTAS}) == len(QUOTAS)
