"""The example teams, of which one has its model on Fargate."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aws_cdk import App

from infra.app import build, settings
from tests.synth.assembly import ROOT

ON_LAMBDA = "{form: api, runtime: lambda, memory_mb: 2048}"
ON_FARGATE = "{form: api, runtime: fargate, cpu: 1024, memory_mb: 3072, maximum_tasks: 4}"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with the model of the team fraud on Fargate."""
    config = tmp_path_factory.mktemp("config")
    for kind in ("teams", "targets"):
        shutil.copytree(ROOT / "infra" / kind, config / kind)
    file = config / "teams" / "fraud.yaml"
    text = file.read_text()
    assert ON_LAMBDA in text
    file.write_text(text.replace(ON_LAMBDA, ON_FARGATE))
    app = App(
        context=settings() | {"config": str(config)},
        outdir=str(tmp_path_factory.mktemp("assembly")),
        analytics_reporting=False,
    )
    build(app)
    return Path(app.synth().directory)
