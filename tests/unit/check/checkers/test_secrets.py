"""detect-secrets in templates and assets. The secrets are made up, and put together here so that none stands in this file."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from labcycle.check import CheckError
from labcycle.check.checkers import Secrets
from labcycle.check.estate import Estate
from labcycle.check.template import Template, templates_at

from .given import findings, template

CHECKER = Secrets()
WORD = "hunter" + "2hunter"
KEY_ID = "AKIA" + "IOSFODNN7ABCDEFG"
KEY = "wJalrXUtnFEMIK7MDENG" + "bPxRfiCYABCDEFGHIJKL"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----"
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256"}', b'{"sub":"1234"}', b"signature")
)
KINDS = [
    ("AWS_ACCESS_KEY_ID", KEY_ID, "secret-aws-access-key"),
    ("AWS_SECRET_ACCESS_KEY", KEY, "secret-aws-access-key"),
    ("CERTIFICATE", PRIVATE, "secret-private-key"),
    ("DATABASE", f"postgres://user:{WORD}@db.example.com/x", "secret-basic-auth-credentials"),
    ("DB_PASSWORD", WORD, "secret-keyword"),
    ("CLIENT_SECRET", WORD, "secret-keyword"),
    ("NOTIFY", "xoxb-" + "123456789012-123456789012-" + "a" * 24, "secret-slack-token"),
    ("DEPLOY", "ghp_" + "a1" * 18, "secret-github-token"),
    ("SESSION", JWT, "secret-json-web-token"),
]
HARMLESS = {
    "DB_PASSWORD": "{{resolve:secretsmanager:team/db:SecretString:password}}",
    "DB_PASSWORD_PARAMETER": "/team/db/password",
    "SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/db-AbCdEf",
    "SECRET_NAME": "team/db",
    "API_KEY": {"Ref": "ApiKey"},
    "PASSWORD": "${PASSWORD}",
    "RUNTIME_DIGEST": hashlib.sha256(b"x").hexdigest(),
    "CODE_KEY": base64.b64encode(hashlib.sha512(b"x").digest()).decode(),
    "TABLE": "labcycle-fraud-tracking",
    "USE_SECRET": True,
    "DEAD_LETTERS": "arn:aws:sqs:eu-west-1:123456789012:labcycle-fraud-model-card-fraud-schedule-dead-letters",
}


def function(variables: dict[str, Any]) -> Template:
    properties = {"Environment": {"Variables": variables}}
    return template(
        {"F": {"Type": "AWS::Lambda::Function", "Properties": properties}},
        Parameters={"ApiKey": {"Type": "String", "NoEcho": True}},
    )


def told(given: Template) -> set[tuple[str, str, str]]:
    return {(one.logical_id, one.rule, one.property_path) for one in findings(CHECKER, given)}


@pytest.mark.parametrize(("name", "secret", "rule"), KINDS)
def test_a_secret_in_an_environment_is_found_and_not_told(name: str, secret: str, rule: str) -> None:
    (finding,) = findings(CHECKER, function({**HARMLESS, name: secret}))
    assert (finding.logical_id, finding.rule) == ("F", rule)
    assert finding.property_path == f"Properties.Environment.Variables.{name}"
    for part in (secret, *secret.split()):
        assert len(part) < 6 or part not in repr(finding)


def test_what_only_looks_like_a_secret_is_no_finding() -> None:
    assert told(function(HARMLESS)) == set()


def test_a_secret_that_is_put_together_is_found() -> None:
    joined = {"Fn::Join": ["", [KEY_ID[:6], {"Fn::Sub": KEY_ID[6:]}]]}
    assert told(function({"ID": joined})) == {("F", "secret-aws-access-key", "Properties.Environment.Variables.ID")}


@pytest.mark.parametrize("encoded", [False, True])
def test_user_data_are_read_as_a_script(encoded: bool) -> None:
    script = f"#!/bin/sh\nexport PASSWORD=$(aws ssm get-parameter)\nexport DB_PASSWORD={WORD}\n"
    data: Any = base64.b64encode(script.encode()).decode() if encoded else {"Fn::Base64": script}
    given = template({"I": {"Type": "AWS::EC2::Instance", "Properties": {"UserData": data}}})
    assert told(given) == {("I", "secret-keyword", "Properties.UserData")}


def test_a_container_names_its_variables_beside_their_values() -> None:
    containers = [{"Name": "app", "Environment": [{"Name": "DB_PASSWORD", "Value": WORD}, {"Name": "A", "Value": "b"}]}]
    given = template({"T": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"ContainerDefinitions": containers}}})
    place = "Properties.ContainerDefinitions.0.Environment.0.Value"
    assert told(given) == {("T", "secret-keyword", place)}


def test_every_section_is_searched_but_not_what_the_cdk_notes() -> None:
    noted = {"aws:cdk:path": f"S/{KEY_ID}", "aws:asset:path": f"asset.{KEY_ID}", "other": KEY_ID}
    given = template(
        {"T": {"Type": "AWS::SNS::Topic", "Metadata": noted}},
        Parameters={"DbPassword": {"Type": "String", "Default": WORD}, "Stage": {"Type": "String", "Default": "x"}},
        Outputs={"Id": {"Value": KEY_ID}},
        Mappings={"M": {"a": {"b": KEY_ID}}},
        Metadata={"note": KEY_ID},
    )
    assert told(given) == {
        ("T", "secret-aws-access-key", "Metadata.other"),
        ("", "secret-keyword", "Parameters.DbPassword.Default"),
        ("", "secret-aws-access-key", "Outputs.Id.Value"),
        ("", "secret-aws-access-key", "Mappings.M.a.b"),
        ("", "secret-aws-access-key", "Metadata.note"),
    }


def test_an_object_of_one_key_is_no_function() -> None:
    given = template({"R": {"Type": "Some::Foreign::Thing", "Properties": {"A": {"RefreshToken": {"id": KEY_ID}}}}})
    assert told(given) == {("R", "secret-aws-access-key", "Properties.A.RefreshToken.id")}


def in_files(asset: Path) -> set[tuple[str, str]]:
    return {(place, rule) for place, rule, _ in CHECKER.check_files(asset)}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_files_of_an_asset_are_searched_with_their_lines(tmp_path: Path) -> None:
    write(tmp_path, "app/settings.py", f'import os\nPASSWORD = os.environ["PASSWORD"]\ndb_password = "{WORD}"\n')
    write(tmp_path, ".env", f"DB_PASSWORD={WORD}\n")
    write(tmp_path, "clean.py", "x = 1\n")
    write(tmp_path, "key.pem", PRIVATE)
    assert in_files(tmp_path) == {
        ("app/settings.py:3", "secret-keyword"),
        (".env:1", "secret-keyword"),
        ("key.pem:1", "secret-private-key"),
    }


def test_a_comment_cannot_switch_a_finding_off(tmp_path: Path) -> None:
    write(tmp_path, "a.py", f'db_password = "{WORD}"  # pragma: allowlist secret\n')
    assert in_files(tmp_path) == {("a.py:1", "secret-keyword")}


def test_a_zip_and_a_single_file_are_searched(tmp_path: Path) -> None:
    single = write(tmp_path, "seed.json", json.dumps({"id": KEY_ID}))
    packed = tmp_path / "code.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(single, "inner/seed.json")
    assert in_files(single) == {("seed.json:1", "secret-aws-access-key")}
    assert in_files(packed) == {("inner/seed.json:1", "secret-aws-access-key")}


def test_what_is_said_to_be_left_out_is_left_out_and_no_more(tmp_path: Path) -> None:
    write(tmp_path, "large.txt", KEY_ID + "x" * 1_000_000)
    write(tmp_path, "binary.so", b"\0" + KEY_ID.encode())
    write(tmp_path, "latin.txt", b"\xe4 " + KEY_ID.encode())
    write(tmp_path, "node_modules/pack/index.js", f"const id = '{KEY_ID}'")
    assert in_files(tmp_path) == set()
    write(tmp_path, "just.txt", KEY_ID + "x" * (1_000_000 - len(KEY_ID)))
    assert in_files(tmp_path) == {("just.txt:1", "secret-aws-access-key")}


def test_files_of_a_published_package_are_left_out_only_as_they_were_published(tmp_path: Path) -> None:
    content = f"id = '{KEY_ID}'\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")
    write(tmp_path, "pack/a.py", content)
    write(
        tmp_path,
        "pack-1.0.dist-info/RECORD",
        f"pack/a.py,sha256={digest},{len(content)}\npack-1.0.dist-info/RECORD,,\n",
    )
    assert in_files(tmp_path) == set()
    write(tmp_path, "pack/b.py", content)  # the list does not have it
    assert in_files(tmp_path) == {("pack/b.py:1", "secret-aws-access-key")}
    write(tmp_path, "pack/a.py", content + "#\n")  # the list has another one
    assert in_files(tmp_path) == {("pack/a.py:1", "secret-aws-access-key"), ("pack/b.py:1", "secret-aws-access-key")}


def test_an_asset_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"the asset .*nowhere cannot be read"):
        in_files(tmp_path / "nowhere")


def assembly(folder: Path, listing: str) -> Template:
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://123456789012/eu-west-1",
        "properties": {"templateFile": "s.template.json", "stackName": "s"},
    }
    note = {"aws:asset:path": "asset.1", "aws:cdk:path": "s/F"}
    body = {"Resources": {"F": {"Type": "AWS::Lambda::Function", "Metadata": note}, "G": {"Type": "AWS::SNS::Topic"}}}
    write(folder, "manifest.json", json.dumps({"version": "48.0.0", "artifacts": {"s": stack}}))
    write(folder, "s.template.json", json.dumps(body))
    write(folder, "s.assets.json", listing)
    return templates_at(folder)[0]


def test_assets_of_an_assembly_are_searched_and_the_resource_that_uses_one_is_told(tmp_path: Path) -> None:
    write(tmp_path, "asset.1/a.py", f"id = '{KEY_ID}'\n")
    write(tmp_path, "asset.2.txt", KEY_ID)
    write(tmp_path, "asset.3/unlisted.py", KEY_ID)
    sources = [{"path": "asset.1", "packaging": "zip"}, {"path": "asset.2.txt"}, {"path": "s.template.json"}]
    listing = {"files": {str(n): {"source": source} for n, source in enumerate(sources)}}
    given = assembly(tmp_path, json.dumps(listing))
    found = list(CHECKER.check([given], Estate([given])))
    assert {(one.template, one.logical_id, one.construct_path, one.property_path) for one in found} == {
        ("s", "F", "s/F", "asset.1/a.py:1"),
        ("s", "", "", "asset.2.txt/asset.2.txt:1"),
    }


@pytest.mark.parametrize("listing", ["{", "[]", '{"files": {"a": {}}}'])
def test_a_list_of_assets_that_cannot_be_read_is_an_error(tmp_path: Path, listing: str) -> None:
    given = assembly(tmp_path, listing)
    with pytest.raises(CheckError, match=r"s: .*s\.assets\.json: the list of assets cannot be read"):
        findings(CHECKER, given)
