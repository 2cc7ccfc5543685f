"""The example teams, of which one has batches and a page as well."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aws_cdk import App

from infra.app import build, settings
from tests.synth.assembly import ROOT

API = "      - {form: api, runtime: lambda, memory_mb: 2048}\n"
BATCH = '      - {form: batch, schedule: "cron(0 5 * * ? *)", time_zone: Europe/Berlin, tolerated_failure_percent: 1}\n'
APP = "      - {form: app}\n"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of infra/, with batches and a page for the model of the team fraud."""
    config = tmp_path_factory.mktemp("config")
    for kind in ("teams", "targets"):
        shutil.copytree(ROOT / "infra" / kind, config / kind)
    file = config / "teams" / "fraud.yaml"
    text = file.read_text()
    assert API in text
    file.write_text(text.replace(API, API + BATCH + APP))
    app = App(
        context=settings() | {"config": str(config)},
        outdir=str(tmp_path_factory.mktemp("assembly")),
        analytics_reporting=False,
    )
    build(app)
    return Path(app.synth().directory)
