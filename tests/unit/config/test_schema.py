"""The JSON Schema that editors use says what the loader says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from labcycle.config import TIERS, json_schema
from labcycle.config.document import read
from labcycle.config.metrics import METRICS
from labcycle.config.regions import known_regions
from tests.unit.config.files import TARGET, TEAM, bent, written

REPOSITORY = Path(__file__).parents[3]


def valid(kind: Any, file: Path) -> bool:
    return bool(jsonschema.Draft7Validator(json_schema(kind)).is_valid(read(file).data))


@pytest.mark.parametrize("kind", ["team", "target"])
def test_it_is_a_schema_that_describes_every_key(kind: Any) -> None:
    schema = json_schema(kind)
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["title"] == f"labcycle {kind} file"
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False
        for name, field in part["properties"].items():
            assert field["title"] == name
            assert field["description"]


@pytest.mark.parametrize("kind", ["team", "target"])
def test_the_example_files_are_valid(kind: Any) -> None:
    for file in (REPOSITORY / "infra" / f"{kind}s").glob("*.yaml"):
        assert valid(kind, file)


@pytest.mark.parametrize(
    "change",
    [
        ("cost_centre", "cost_center"),
        ("stage: production", "stage: prod"),
        ("gpu-small", "gpu-smal"),
        ("volume_gib: 100", "volume_gib: '100'"),
        ("{iam_user: reviewer-1}", "{iam_user: reviewer-1, saml_subject: x}"),
        ("roles: [data_scientist]", "roles: [boss]"),
        ("training:1", "training:1\n      metric: f7"),
        ("training:1", "training:1\n      higher_is_better: false"),
        ("owner: fraud-leads@example.com\n", ""),
    ],
)
def test_it_refuses_what_the_loader_refuses(tmp_path: Path, change: tuple[str, str]) -> None:
    assert valid("team", written(tmp_path, "good.yaml", TEAM))
    assert not valid("team", written(tmp_path, "bad.yaml", bent(TEAM, change)))


def test_it_refuses_a_region_that_does_not_exist(tmp_path: Path) -> None:
    assert not valid("target", written(tmp_path, "bad.yaml", bent(TARGET, ("region: eu-west-1", "region: eu-west-9"))))


@pytest.mark.parametrize("code", ["L-DB2E81BA", "L-db2e81ba", "vCPUs"])
def test_it_knows_the_form_of_a_quotas_code(code: str, tmp_path: Path) -> None:
    file = written(tmp_path, "one.yaml", f"{TARGET}quotas: {{{code}: 64}}\n")
    assert valid("target", file) == (code == "L-DB2E81BA")


def test_editors_can_complete_closed_sets() -> None:
    team = json_schema("team")
    assert team["properties"]["stage"]["enum"] == ["sandbox", "staging", "production"]
    assert team["$defs"]["Workspaces"]["properties"]["tiers"]["items"]["enum"] == list(TIERS)
    assert team["$defs"]["Retrain"]["properties"]["metric"]["enum"] == list(METRICS)
    assert json_schema("target")["properties"]["region"]["enum"] == list(known_regions())
