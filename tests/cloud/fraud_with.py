"""The example teams, of which one is changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aws_cdk import App

from infra.app import build, settings
from tests.synth.assembly import ROOT


def fraud_with(folders: pytest.TempPathFactory, old: str, new: str, *, target: str = "") -> Path:
    """The cloud assembly of infra/, where the file of the team fraud has `new` instead of `old`, and that of its target this too."""
    config = folders.mktemp("config")
    for kind in ("teams", "targets"):
        shutil.copytree(ROOT / "infra" / kind, config / kind)
    file = config / "teams" / "fraud.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    of_target = config / "targets" / "eu-production.yaml"
    of_target.write_text(of_target.read_text() + target)
    context = settings() | {"config": str(config)}
    app = App(context=context, outdir=str(folders.mktemp("assembly")), analytics_reporting=False)
    build(app)
    return Path(app.synth().directory)
