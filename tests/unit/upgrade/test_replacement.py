"""Which changes replace a resource, and what replaces others with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labcycle.upgrade.replacement import schema_of
from tests.unit.upgrade.versions import TABLE, compared, keyed, only, with_properties


def test_what_stays_the_same_is_no_change(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"Ledger": TABLE}, {"Ledger": TABLE})
    assert (comparison.changes, comparison.updated, comparison.added) == ((), 0, 0)


def test_an_update_in_place_is_counted_only(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"Ledger": TABLE}, {"Ledger": with_properties(TABLE, BillingMode="PROVISIONED")})
    assert (comparison.changes, comparison.updated) == ((), 1)


def test_a_changed_key_replaces_a_table(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Ledger": TABLE}, {"Ledger": keyed(TABLE, "run")}))
    assert (change.action, change.certain, change.stateful) == ("replaced", True, True)
    assert change.causes == ("KeySchema: pk (HASH) becomes run (HASH)",)


def test_a_changed_type_of_the_key_replaces_a_table(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Ledger": TABLE}, {"Ledger": keyed(TABLE, "pk", "N")}))
    assert change.certain
    assert change.causes == ("the type of the key's attribute pk: S becomes N",)


def test_what_replaces_in_some_cases_is_possible_only(tmp_path: Path) -> None:
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "default"}}
    change = only(compared(tmp_path, {"Vpc": vpc}, {"Vpc": with_properties(vpc, InstanceTenancy="dedicated")}))
    assert not change.certain
    assert "in some cases" in change.causes[0]


def test_an_absent_property_is_its_default(tmp_path: Path) -> None:
    schema = schema_of("AWS::IAM::Role", "eu-west-1")
    assert schema is not None and schema.defaults["Path"] == "/"
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
    assert compared(tmp_path, {"Role": role}, {"Role": with_properties(role, Path="/")}).changes == ()
    assert (
        only(compared(tmp_path, {"Role": role}, {"Role": with_properties(role, Path="/teams/")})).action == "replaced"
    )


def topic(name: str) -> dict[str, Any]:
    return {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}


SUBSCRIPTION = {
    "Type": "AWS::SNS::Subscription",
    "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": "a@example.com"},
}


@pytest.mark.parametrize(
    "reference", [{"Ref": "Topic"}, {"Fn::GetAtt": ["Topic", "TopicArn"]}, {"Fn::Sub": "${Topic}"}]
)
def test_what_refers_to_a_replaced_resource_is_replaced_with_it(tmp_path: Path, reference: Any) -> None:
    subscription = with_properties(SUBSCRIPTION, TopicArn=reference)
    old, new = {"Topic": topic("a"), "Mail": subscription}, {"Topic": topic("b"), "Mail": subscription}
    changes = {change.logical_id: change for change in compared(tmp_path, old, new).changes}
    assert set(changes) == {"Topic", "Mail"}
    assert changes["Mail"].certain
    assert "TopicArn refers to Topic, which is replaced" in changes["Mail"].causes
    assert "confirmation" in changes["Mail"].holds


def test_it_is_so_too_where_the_values_look_the_same(tmp_path: Path) -> None:
    topic: dict[str, Any] = {"Type": "AWS::SNS::Topic", "Properties": {"FifoTopic": False}}
    new = {"Topic": with_properties(topic, FifoTopic=True), "Mail": SUBSCRIPTION}
    changes = {
        change.logical_id: change for change in compared(tmp_path, {"Topic": topic, "Mail": SUBSCRIPTION}, new).changes
    }
    assert changes["Mail"].causes == ("TopicArn refers to Topic, which is replaced",)
    assert changes["Mail"].certain


def test_a_reference_in_a_property_that_updates_in_place_replaces_nothing(tmp_path: Path) -> None:
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmActions": [{"Ref": "Topic"}]}}
    comparison = compared(tmp_path, {"Topic": topic("a"), "Alarm": alarm}, {"Topic": topic("b"), "Alarm": alarm})
    assert [change.logical_id for change in comparison.changes] == ["Topic"]


def test_another_way_to_say_the_same_value_replaces_nothing(tmp_path: Path) -> None:
    old = topic("labcycle-us-east-1")
    new = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "labcycle-${AWS::Region}"}}}
    assert compared(tmp_path, {"Topic": old}, {"Topic": new}).changes == ()


def test_a_parameter_makes_it_possible_only(tmp_path: Path) -> None:
    new = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "Name"}}}
    parameters = {"Name": {"Type": "String", "Default": "b"}}
    change = only(compared(tmp_path, {"Topic": topic("a")}, {"Topic": new}, Parameters=parameters))
    assert (change.action, change.certain) == ("replaced", False)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::SNS::Topic", "TopicName"),
        ("AWS::Events::EventBus", "Name"),
        ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
        ("AWS::ApiGatewayV2::Api", ""),
        ("AWS::KMS::Key", ""),
        ("AWS::EC2::RouteTable", ""),
    ],
)
def test_the_name_is_what_no_other_resource_can_have(kind: str, name: str) -> None:
    schema = schema_of(kind, "eu-west-1")
    assert schema is not None and schema.name == name


def test_of_an_unknown_type_there_is_no_schema() -> None:
    assert schema_of("AWS::Fresh::Store", "eu-west-1") is None
