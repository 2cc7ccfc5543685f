"""A moved logical id replaces a resource, and what was in it is gone or out of reach. The golden file holds them all."""

from __future__ import annotations

import json
import os

from tests.synth.assembly import ROOT
from tests.synth.platform.conftest import SynthesizedStack

GOLDEN = ROOT / "tests" / "synth" / "golden" / "stateful_ids.json"
STATEFUL = {
    "AWS::ApiGatewayV2::Api",  # its address is in people's hands
    "AWS::DynamoDB::Table",
    "AWS::EC2::EIP",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::Events::EventBus",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
}
ACCEPT = "LABCYCLE_ACCEPT_STATEFUL_IDS=1 pytest tests/synth/platform/test_stateful_ids.py"


def test_stateful_ids_are_the_golden_ones(stacks: dict[str, SynthesizedStack]) -> None:
    found = {
        f"{name}/{logical_id}": resource["Type"]
        for name, stack in stacks.items()
        for logical_id, resource in stack.resources.items()
        if resource["Type"] in STATEFUL
    }
    if os.environ.get("LABCYCLE_ACCEPT_STATEFUL_IDS"):
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    golden = json.loads(GOLDEN.read_text())
    gone = sorted(f"{golden[key]} {key}" for key in golden.keys() - found.keys())
    new = sorted(f"{found[key]} {key}" for key in found.keys() - golden.keys())
    changed = sorted(
        f"{key}: {golden[key]} is now {found[key]}" for key in golden.keys() & found.keys() if golden[key] != found[key]
    )
    assert not gone, f"would be deleted or replaced on update: {gone}; new: {new}. If that is meant: {ACCEPT}"
    assert not changed, f"changed their types: {changed}"
    assert not new, f"not in the golden file yet: {new}. Add them: {ACCEPT}"
