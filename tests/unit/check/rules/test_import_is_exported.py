from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle.check.template import Template
from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack

RULE = "import-is-exported"


def exporting(name: Any, region: str = REGION) -> Template:
    body = {
        "Resources": {"Key": resource("AWS::KMS::Key")},
        "Outputs": {"O": {"Value": {"Ref": "Key"}, "Export": {"Name": name}}, "Silent": {"Value": "x"}},
    }
    return Template("base", json.dumps(body), region, ACCOUNT)


def importing(name: Any) -> Template:
    return stack("app", Topic=resource("AWS::SNS::Topic", KmsMasterKeyId={"Fn::ImportValue": name}))


@pytest.mark.parametrize("name", ["base:Key", {"Fn::Sub": "${AWS::StackName}:Key"}])
def test_compliant(name: Any) -> None:
    assert offenders(RULE, exporting(name), importing("base:Key")) == []


def test_compliant_by_a_name_that_is_put_together() -> None:
    assert offenders(RULE, exporting("base:Key"), importing({"Fn::Join": [":", ["base", "Key"]]})) == []


def test_non_compliant() -> None:
    assert offenders(RULE, exporting("base:Key"), importing("base:Kye")) == ["Topic"]


def test_non_compliant_within_a_list() -> None:
    nested = {"Tags": [{"Key": "key", "Value": {"Fn::ImportValue": "base:Kye"}}]}
    assert offenders(RULE, exporting("base:Key"), stack("app", Topic=resource("AWS::SNS::Topic", **nested))) == [
        "Topic"
    ]


@pytest.mark.parametrize("name", ["other:Key", "Key"])
def test_not_applicable_to_what_comes_from_elsewhere(name: str) -> None:
    assert offenders(RULE, exporting("base:Key"), importing(name)) == []


def test_not_applicable_to_a_stack_of_another_region() -> None:
    assert offenders(RULE, exporting("base:Key", "us-east-1"), importing("base:Kye")) == []


def test_not_applicable_without_imports() -> None:
    assert offenders(RULE, exporting("base:Key"), stack("app", Topic=resource("AWS::SNS::Topic"))) == []
