"""cdk-nag on templates, in one program for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle.check import CheckError, Finding
from labcycle.check.checkers import CdkNag, cdk_nag
from labcycle.check.template import Template

from .given import findings, template

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
            ],
        }
    },
}
QUEUE = {
    "Type": "AWS::SQS::Queue",
    "Properties": {"KmsMasterKeyId": "alias/team", "RedrivePolicy": {"deadLetterTargetArn": "a"}},
}
OPEN_GROUP: dict[str, Any] = {
    "Type": "AWS::EC2::SecurityGroup",
    "Properties": {
        "GroupDescription": "x",
        "VpcId": "vpc-1",
        "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}],
    },
}


def policy(resource: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": resource}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": "p", "PolicyDocument": document, "Roles": [{"Ref": "Role"}]},
    }


SILENCING = {
    "cdk_nag": {"rules_to_suppress": [{"id": "AwsSolutions-EC23", "reason": "no reason"}]},
    "aws:cdk:acknowledged-rules": {"AwsSolutions-EC23": "no reason"},
}
TEMPLATES = [
    template({"Role": ROLE, "Policy": policy("arn:aws:s3:::b/k")}, "clean"),
    template({"Group": OPEN_GROUP}, "open"),
    template({"Group": {**OPEN_GROUP, "Metadata": SILENCING}}, "silenced", Metadata=SILENCING),
    template({"Role": ROLE, "Policy": policy(["*", {"Fn::Sub": "${Queue.Arn}/*"}]), "Queue": QUEUE}, "wildcards"),
    template(
        {
            "Group": {
                **OPEN_GROUP,
                "Properties": {
                    **OPEN_GROUP["Properties"],
                    "SecurityGroupIngress": [
                        {
                            "IpProtocol": "tcp",
                            "FromPort": {"Ref": "Port"},
                            "ToPort": 22,
                            "CidrIp": {"Fn::Sub": "${Net}/0"},
                        }
                    ],
                },
            }
        },
        "unknown-value",
        Parameters={"Port": {"Type": "Number"}, "Net": {"Type": "String"}},
    ),
    template({"Group": OPEN_GROUP, "Bad": {"Type": "AWS::Lambda::Function", "Properties": {"Role": "r"}}}, "faulty"),
    template(
        {
            "Group": {**OPEN_GROUP, "Condition": "Always", "DependsOn": ["Nested"]},
            "Nested": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"TemplateURL": {"Fn::FindInMap": ["M", "a", "b"]}},
            },
            "Weak": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {
                    "Type": "String",
                    "Value": {"Fn::GetStackOutput": {"StackName": "other", "OutputName": "o"}},
                },
            },
            "Foreign": {"Type": "Some::Foreign::Thing", "Properties": {"X": {"Ref": "Looked"}}},
        },
        "every-section",
        Transform="AWS::LanguageExtensions",
        Parameters={
            "BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/x"},
            "Looked": {"Type": "String"},
        },
        Rules={
            "CheckBootstrapVersion": {
                "Assertions": [
                    {
                        "Assert": {"Fn::Not": [{"Fn::Contains": [["1"], {"Ref": "BootstrapVersion"}]}]},
                        "AssertDescription": "x",
                    }
                ]
            }
        },
        Mappings={"M": {"a": {"b": "https://example.com/t"}}},
        Conditions={"Always": {"Fn::Equals": ["a", "a"]}},
        Outputs={"O": {"Value": {"Ref": "Nowhere"}}},
    ),
    template(
        {"Log": {"Type": "AWS::Logs::LogGroup"}},
        "demanding",
        Metadata={"labcycle:compliance": ["hipaa", "nist-800-53", "pci"]},
    ),
    template({"Log": {"Type": "AWS::Logs::LogGroup"}}, "undemanding"),
    template({"Group": {**OPEN_GROUP, "DependsOn": "Other"}, "Other": {**OPEN_GROUP, "DependsOn": "Group"}}, "circle"),
]


@pytest.fixture(scope="module")
def found() -> list[Finding]:
    return findings(CdkNag(), *TEMPLATES)


def told(found: list[Finding], name: str) -> set[tuple[str, str]]:
    return {(finding.logical_id, finding.rule) for finding in found if finding.template == name}


def test_a_clean_template_has_no_findings(found: list[Finding]) -> None:
    assert told(found, "clean") == set()


def test_an_open_port_is_found_at_its_resource_and_said_why(found: list[Finding]) -> None:
    assert ("Group", "AwsSolutions-EC23") in told(found, "open")
    (finding,) = (one for one in found if one.template == "open" and one.rule == "AwsSolutions-EC23")
    assert finding.severity == "error"
    assert "0.0.0.0/0" in finding.message and finding.why


def test_a_template_cannot_switch_a_rule_off(found: list[Finding]) -> None:
    assert told(found, "silenced") == told(found, "open")


def test_a_rule_of_several_findings_tells_each_by_its_exact_id(found: list[Finding]) -> None:
    assert told(found, "wildcards") == {
        ("Policy", "AwsSolutions-IAM5[Resource::*]"),
        ("Policy", "AwsSolutions-IAM5[Resource::<Queue.Arn>/*]"),
        ("Queue", "AwsSolutions-SQS4"),
    }


def test_a_rule_that_cannot_be_evaluated_is_a_finding(found: list[Finding]) -> None:
    failures = {rule for _, rule in told(found, "unknown-value") if rule.startswith("CdkNagValidationFailure[")}
    assert "CdkNagValidationFailure[AwsSolutions-EC23]" in failures


def test_a_resource_that_cannot_be_read_is_a_finding_and_hides_no_other(found: list[Finding]) -> None:
    assert ("Bad", "CdkNagValidationFailure[CfnInclude]") in told(found, "faulty")
    assert told(found, "open") < told(found, "faulty")


def test_all_sections_of_a_template_and_functions_that_the_cdk_does_not_know_are_read(found: list[Finding]) -> None:
    assert told(found, "open") <= told(found, "every-section")
    assert not any("CfnInclude" in rule for _, rule in told(found, "every-section"))


def test_resources_that_depend_on_each_other_are_read(found: list[Finding]) -> None:
    once = {rule for _, rule in told(found, "open")}
    assert told(found, "circle") == {(logical_id, rule) for logical_id in ("Group", "Other") for rule in once}


def test_packs_of_compliance_are_held_against_those_that_ask_for_them(found: list[Finding]) -> None:
    packs = {rule.rpartition("-")[0] for _, rule in told(found, "demanding")}
    assert {"HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321"} <= packs
    assert {rule.partition("-")[0] for _, rule in told(found, "undemanding")} <= {"AwsSolutions", "Serverless"}


def test_a_pack_that_there_is_not_is_an_error() -> None:
    with pytest.raises(
        CheckError, match=r"stack: Metadata.labcycle:compliance: got \['soc'\]; allowed a list of hipaa"
    ):
        findings(CdkNag(), template({}, Metadata={"labcycle:compliance": ["soc"]}))


def test_a_template_that_cannot_be_read_at_all_is_an_error() -> None:
    loop = {"Fn::ForEach::X": ["Id", ["a", "b"], {"T${Id}": {"Type": "AWS::SNS::Topic"}}]}
    with pytest.raises(CheckError, match="stack: it cannot read the template: "):
        findings(CdkNag(), template(loop, Transform="AWS::LanguageExtensions"))


def test_a_program_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    checker = CdkNag()
    monkeypatch.setenv("JSII_NODE", "/nowhere/node")
    with pytest.raises(CheckError, match="its program failed"):
        findings(checker, template({}))


def test_without_node_it_cannot_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_NODE", "/nowhere/node")
    with pytest.raises(CheckError, match="CdkNag needs Node"):
        CdkNag()


def test_without_templates_there_is_nothing_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> list[Template]:
        raise AssertionError("started")

    monkeypatch.setattr(cdk_nag, "answer_of", never)
    assert findings(CdkNag()) == []
