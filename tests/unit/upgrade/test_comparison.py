"""Ids, stacks, and what the command says and exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.upgrade.comparison import compare_paths
from labcycle.upgrade.stateful import STATEFUL, STATELESS
from tests.unit.upgrade.versions import TABLE, assembly, compared, keyed, only, template, with_properties

NAMED = with_properties(TABLE, TableName="items")
PERMISSION = {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": "f", "Description": "1"}}


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["diff", *map(str, arguments)])


def test_no_type_is_in_both_lists() -> None:
    assert STATEFUL.keys() & STATELESS == set()


def test_a_changed_id_deletes_and_creates(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Ledger": TABLE}, {"Records": TABLE}))
    assert change.action == "deleted" and change.refusal == ""
    assert change.causes[-1] == "the new version has the same resource as Records"
    assert "override_logical_id('Ledger')" in change.avoid


def test_a_changed_id_under_the_same_name_fails(tmp_path: Path) -> None:
    changed = with_properties(NAMED, BillingMode="PROVISIONED")
    change = only(compared(tmp_path, {"Ledger": NAMED}, {"Records": changed}))
    assert "items already exists" in change.refusal


def test_another_resource_of_the_type_is_not_taken_for_it(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Ledger": TABLE}, {"Records": keyed(TABLE, "run")}))
    assert change.causes == ("it is not in the new template",)


def test_a_changed_type_is_refused(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Store": TABLE}, {"Store": {"Type": "AWS::S3::Bucket"}}))
    assert change.action == "changed type" and "refuses to change the type" in change.refusal


def test_a_changed_condition_may_delete(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Ledger": TABLE}, {"Ledger": {**TABLE, "Condition": "Wanted"}}))
    assert (change.action, change.certain) == ("deleted", False)


def test_a_move_to_another_stack_under_the_same_name_fails(tmp_path: Path) -> None:
    other = {"Resources": {"Wait": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}
    old = assembly(tmp_path / "old", {"a": {"Resources": {"Ledger": NAMED}}, "b": other})
    moved = {"Resources": {**other["Resources"], "Ledger": NAMED}}
    new = assembly(tmp_path / "new", {"a": {"Resources": {}}, "b": moved})
    change = only(compare_paths(old, new))
    assert "Ledger in b is made before this one is deleted" in change.refusal


def test_a_stack_that_is_gone_is_orphaned(tmp_path: Path) -> None:
    kept = {"Resources": {"Wait": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}
    old = assembly(tmp_path / "old", {"data": {"Resources": {"Ledger": TABLE}}, "kept": kept})
    comparison = compare_paths(old, assembly(tmp_path / "new", {"kept": kept}))
    assert (only(comparison).action, comparison.orphaned) == ("orphaned", ("data",))
    result = call(tmp_path / "old", tmp_path / "new")
    assert result.exit_code == 1
    assert "CDK deletes no stack by itself" in result.stdout


def test_a_nested_stack_that_is_gone_is_deleted(tmp_path: Path) -> None:
    nested = {"Type": "AWS::CloudFormation::Stack", "Metadata": {"aws:asset:path": "Inner.nested.template.json"}}
    old = assembly(tmp_path / "old", {"outer": {"Resources": {"Inner": nested}}})
    (old / "Inner.nested.template.json").write_text(json.dumps({"Resources": {"Ledger": TABLE}}))
    new = assembly(tmp_path / "new", {"outer": {"Resources": {}}})
    (change,) = compare_paths(old, new).stateful
    assert (change.action, change.template) == ("deleted", "Inner")


def test_an_export_in_use_holds_the_update_up(tmp_path: Path) -> None:
    topic: dict[str, Any] = {"Type": "AWS::SNS::Topic", "Properties": {"FifoTopic": False}}
    outputs = {"T": {"Value": {"Ref": "Topic"}, "Export": {"Name": "a:topic"}}}
    policy = {"Type": "AWS::SNS::TopicPolicy", "Properties": {"Topics": [{"Fn::ImportValue": "a:topic"}]}}
    user = {"Resources": {"Policy": policy}}
    old = assembly(tmp_path / "old", {"a": {"Resources": {"Topic": topic}, "Outputs": outputs}, "b": user})
    fifo = {"Resources": {"Topic": with_properties(topic, FifoTopic=True)}, "Outputs": outputs}
    change = only(compare_paths(old, assembly(tmp_path / "new", {"a": fifo, "b": user})))
    assert change.refusal == "b imports it, and an export in use cannot change"


def test_a_key_of_another_stack_is_followed_by_its_export(tmp_path: Path) -> None:
    key = {"Type": "AWS::KMS::Key", "Properties": {}}
    outputs = {"K": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}, "Export": {"Name": "a:key"}}}
    logs = {"Type": "AWS::Logs::LogGroup", "Properties": {"KmsKeyId": {"Fn::ImportValue": "a:key"}}}
    user = {"Resources": {"Logs": logs}}
    old = assembly(tmp_path / "old", {"a": {"Resources": {"Key": key}, "Outputs": outputs}, "b": user})
    change = only(compare_paths(old, assembly(tmp_path / "new", {"a": {"Resources": {}}, "b": user})))
    assert change.holds.endswith(": LogGroup b/Logs")


def test_the_command_says_what_would_be_lost_and_exits_1(tmp_path: Path) -> None:
    old = template(tmp_path, "old", {"Ledger": TABLE, "Code": PERMISSION})
    new = template(
        tmp_path, "new", {"Ledger": keyed(TABLE, "run"), "Code": with_properties(PERMISSION, Description="2")}
    )
    result = call(old, new)
    assert result.exit_code == 1
    assert result.stdout == (
        "old.json\n"
        "  REPLACED  AWS::DynamoDB::Table  Ledger\n"
        "    cause  KeySchema: pk (HASH) becomes run (HASH)\n"
        "    holds  items\n"
        "    data   LOST. It is deleted with all that it holds\n"
        "    avoid  Leave KeySchema as it was; for another value, add a second resource beside this one, copy what it holds, "
        "and remove this one in a later update\n"
        "\n"
        "without data, replaced or deleted\n"
        "  old.json\n"
        "    replaced AWS::Lambda::Version Code: Description: 1 becomes 2\n"
        "\n"
        "1 resource with data would be replaced or deleted (1 lost); 1 without data; 0 updated in place, 0 new, in 1 stacks\n"
    )


def test_as_json(tmp_path: Path) -> None:
    old = template(tmp_path, "old", {"Ledger": TABLE})
    result = call(old, template(tmp_path, "new", {"Ledger": keyed(TABLE, "run")}), "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["safe"], document["stateless"]) == (1, False, [])
    (change,) = document["stateful"]
    assert (change["logical_id"], change["data"], change["action"]) == ("Ledger", "lost", "replaced")


def test_without_data_it_exits_0(tmp_path: Path) -> None:
    old = template(tmp_path, "old", {"Code": PERMISSION})
    result = call(old, template(tmp_path, "new", {}))
    assert result.exit_code == 0
    assert "deleted AWS::Lambda::Version Code" in result.stdout


def test_yaml_is_read_too(tmp_path: Path) -> None:
    text = "Resources:\n  T:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: !Sub 'x-NUMBER-${AWS::Region}'}\n"
    for number in ("1", "2"):
        (tmp_path / f"{number}.yaml").write_text(text.replace("NUMBER", number))
    result = call(tmp_path / "1.yaml", tmp_path / "2.yaml")
    assert result.exit_code == 1
    assert "TopicName: x-1-us-east-1 becomes x-2-us-east-1" in result.stdout


def test_what_cannot_be_compared_exits_2(tmp_path: Path) -> None:
    old = assembly(tmp_path / "old", {"a": {"Resources": {}}})
    result = call(old, tmp_path / "nowhere")
    assert result.exit_code == 2 and "there is no such file or folder" in result.stderr
    result = call(old, assembly(tmp_path / "new", {"b": {"Resources": {}}}))
    assert result.exit_code == 2 and "no stack in common" in result.stderr
    moved = assembly(tmp_path / "moved", {"a": {"Resources": {}}}, region="eu-central-1")
    assert call(old, moved).exit_code == 2
