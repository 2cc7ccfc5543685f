"""A team alone on its target, synthesized from what stands in a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App
from aws_cdk.cx_api import CloudAssembly

from infra.app import settings
from labcycle.config import load_target, load_team
from labcycle.platform import TargetPlatform, TeamPlatform


def synthesized(folder: Path, team: Mapping[str, Any], target: Mapping[str, Any]) -> CloudAssembly:
    """Their files are written to `folder`, and the assembly below it."""
    files = {kind: folder / f"{data[kind]}.yaml" for kind, data in (("team", team), ("target", target))}
    files["team"].write_text(json.dumps(team))  # JSON is YAML
    files["target"].write_text(json.dumps(target))
    app = App(context=settings(), outdir=str(folder / "assembly"), analytics_reporting=False)
    loaded_target, loaded_team = load_target(files["target"]), load_team(files["team"])
    TargetPlatform(app, target=loaded_target)
    TeamPlatform(app, team=loaded_team, target=loaded_target)
    return app.synth()
