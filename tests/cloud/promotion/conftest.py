"""The example teams, of which one promotes in steps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aws_cdk import App

from infra.app import build, settings
from tests.synth.assembly import ROOT

MODEL = "  - name: card-fraud\n"
POLICY = "    promotion: {canary_percents: [20, 60], step_minutes: 1, minimum_requests: 1, complete_runs: false}\n"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with a policy for the model of the team fraud."""
    config = tmp_path_factory.mktemp("config")
    for kind in ("teams", "targets"):
        shutil.copytree(ROOT / "infra" / kind, config / kind)
    file = config / "teams" / "fraud.yaml"
    text = file.read_text()
    assert MODEL in text
    file.write_text(text.replace(MODEL, MODEL + POLICY))
    app = App(
        context=settings() | {"config": str(config)},
        outdir=str(tmp_path_factory.mktemp("assembly")),
        analytics_reporting=False,
    )
    build(app)
    return Path(app.synth().directory)
