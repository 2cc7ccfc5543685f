"""The OpenAPI document says what is served, and what is served keeps to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from labcycle.openapi import document
from labcycle_lambdas.lifecycle import routes as lifecycle
from labcycle_lambdas.retention import routes as retention
from labcycle_lambdas.tracking import routes as tracking
from tests.unit.tracking.fuzz import Fuzz, operations
from tests.unit.tracking.sandbox import Sandbox

PUBLISHED = Path(__file__).parents[3] / "docs" / "openapi.json"
EXAMPLES = 4  # of each operation; `python -m tests.unit.tracking.fuzz` takes more


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Fuzz]:
    with Sandbox().running() as sandbox:
        yield Fuzz(sandbox)


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_the_published_document_is_this_one() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == document(), (
        "run: python -m labcycle.openapi > docs/openapi.json"
    )


def test_what_is_documented_is_what_is_served() -> None:
    served = {(method, f"{lifecycle.BASE}{path}") for method, path in lifecycle.ROUTES} | {
        retention.PLAN,
        retention.ERASE,
    }
    for method, path in tracking.ROUTES:
        served.add((method, re.sub(r"\.\.\.\}", "}", f"/api{path}" if path[1].isdigit() else path)))
    assert sorted(operations()) == sorted(served)


@pytest.mark.parametrize(("method", "path"), operations(), ids=[f"{method} {path}" for method, path in operations()])
def test_generated_requests_are_answered_as_documented(fuzz: Fuzz, method: str, path: str) -> None:
    fuzz(method, path, EXAMPLES)
