from __future__ import annotations

from pathlib import Path

import pytest

from labcycle.local.report import DeployReport, UnknownTypesError, check_types, standing
from labcycle.local.resource_types import TYPES, table


def test_every_type_that_is_not_wholly_real_says_why() -> None:
    assert [name for name, found in TYPES.items() if (found.kind == "real") == bool(found.reason)] == []


def test_an_unlisted_type_is_refused_with_its_stack() -> None:
    with pytest.raises(UnknownTypesError, match="AWS::Nothing::Known in b"):
        check_types({"a": ["AWS::S3::Bucket"], "b": ["AWS::Nothing::Known", "AWS::S3::Bucket"]})


def test_listed_types_and_custom_resources_pass() -> None:
    check_types({"a": [*TYPES, "Custom::Thing"]})
    assert standing("Custom::Thing") is not None


def test_the_report_counts_and_explains() -> None:
    report = DeployReport(
        outputs={"one": {"Url": "http://x"}},
        types={"AWS::S3::Bucket": 2, "AWS::EC2::Subnet": 3, "AWS::CDK::Metadata": 1},
        seconds=3.2,
        vendored=[
            {
                "asset": "0123456789abcdef.zip",
                "packages": [
                    {"package": "numpy", "locked": "2.4.6", "host": "2.4.6"},
                    {"package": "onnxruntime", "locked": "1.32.0", "host": "1.31.0"},
                    {"package": "flatbuffers", "locked": "1.0", "host": None},
                ],
            }
        ],
    )
    assert report.counts == {"real": 2, "recorded": 3, "placeholder": 1}
    text = "\n".join(report.lines())
    assert "EC2::Subnet x3" in text and "no packet is routed" in text
    assert (
        "onnxruntime 1.32.0 -> 1.31.0" in text
        and "flatbuffers 1.0 -> absent" in text
        and "1 of the same version" in text
    )
    assert report.as_json()["types"]["AWS::EC2::Subnet"]["kind"] == "recorded"


def test_the_documentation_lists_the_types_as_they_are() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "local-cloud.md").read_text()
    assert f"\n{table()}\n" in text
