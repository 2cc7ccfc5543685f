"""Valid files that the tests bend."""

from __future__ import annotations

from pathlib import Path

TEAM = """\
team: fraud
owner: fraud-leads@example.com
cost_centre: cc-4410
target: eu-production
stage: production
members:
  - name: scientist-1
    principal: {identity_center: scientist-1@example.com}
    roles: [data_scientist]
  - name: reviewer-1
    principal: {iam_user: reviewer-1}
    roles: [reviewer, lead]
tracking:
  artifact_retention_days: 3650
workspaces:
  tiers: [gpu-small]
  volume_gib: 100
models:
  - name: card-fraud
    business_owner: head-of-cards@example.com
    deliver:
      - {form: api, runtime: lambda}
    monitor:
      drift: {threshold: 0.2}
    retrain:
      image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1
    react:
      - {on: [drift], do: retrain, promote: automatic}
"""

TARGET = """\
target: eu-production
account: "123456789012"
region: eu-west-1
zones: [eu-west-1a, eu-west-1b]
network:
  name: shared
  cidr: 10.0.0.0/16
  egress: nat
sign_in:
  identity_center_permission_set: labcycle-member
"""


def bent(text: str, *changes: tuple[str, str]) -> str:
    """`text` with each first occurrence replaced; a change that changes nothing is a mistake of the test."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def line_of(text: str, part: str) -> int:
    """Line of the first occurrence, counted from 1."""
    return text[: text.index(part)].count("\n") + 1
