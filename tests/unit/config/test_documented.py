"""What the pages about serving show of team files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from labcycle.config import Model

DOCS = Path(__file__).resolve().parents[3] / "docs"
SHOWN = [
    (page, block)
    for page in ("serving", "fargate", "sagemaker", "consumers")
    for block in re.findall(
        r"^```yaml\n(deliver:\n.*?)^```", (DOCS / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE
    )
]


@pytest.mark.parametrize(("page", "block"), SHOWN, ids=[f"{page}-{n}" for n, (page, _) in enumerate(SHOWN)])
def test_forms_that_the_pages_show_are_taken(page: str, block: str) -> None:
    Model.model_validate({"name": "m", "business_owner": "b@example.com", **yaml.safe_load(block)})


def test_off_hours_of_instances_are_taken_as_they_are_shown() -> None:
    (shown,) = re.findall(r"`(off_hours: \{.*?\})`", (DOCS / "sagemaker.md").read_text())
    form = {"form": "api", "runtime": "sagemaker", "mode": "real_time", **yaml.safe_load(shown)}
    Model.model_validate({"name": "m", "business_owner": "b@example.com", "deliver": [form]})


def test_each_page_shows_some() -> None:
    assert {page for page, _ in SHOWN} >= {"serving", "fargate", "sagemaker"}
    assert len(SHOWN) >= 7
