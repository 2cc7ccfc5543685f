"""Every resource of a team that can carries the team's tags: team, cost centre and stage."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError
from labcycle.check.rules import Violation
from labcycle.check.template import Template
from labcycle.check.values import mappings

WHY = "Costs and rights are told apart by these tags; what lacks them belongs to nobody."
MEND = "Put the tags on the resource itself (CDK: Tags.of(scope).add): rights by tag look at nothing else."
TAGS = ("labcycle:cost-centre", "labcycle:stage", "labcycle:team")
_SPECIFICATIONS = "TagSpecifications"  # tags by type of resource, which schemas do not count


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    if "labcycle:team" not in template.tags:
        return
    for logical_id, resource in template.resources():
        key = _tag_property(str(resource.get("Type", "")), estate.region(template))
        if not key:
            continue
        found = _keys(estate.value(template, template.properties(logical_id).get(key)))
        missing = [tag for tag in TAGS if tag not in found]
        if missing:
            yield Violation(logical_id, f"got no tag {', '.join(missing)}", f"Properties.{key}")


@cache
def _tag_property(kind: str, region: str) -> str:
    """The property with the tags of a type, by its schema; empty where the type takes none, or is not known."""
    digest = _types(region).get(kind)
    if digest is None:
        return ""
    schema = _json(_schemas() / "resources" / f"{digest}.json")
    properties = schema.get("properties", {})
    tagging = schema.get("tagging", {"taggable": "Tags" in properties})
    key = str(tagging.get("tagProperty", "/properties/Tags")).rpartition("/")[2]
    if tagging.get("taggable") and key in properties:
        return key
    return _SPECIFICATIONS if _SPECIFICATIONS in properties else ""


@cache
def _types(region: str) -> dict[str, str]:
    """Types of a region with the digests of their schemas; those of us-east-1 for a region that is not known."""
    providers = _schemas() / "providers"
    found = providers / f"{region}.json"
    return _json(found if found.is_file() else providers / "us-east-1.json")


def _schemas() -> Path:
    """CloudFormation's schemas, as cfn-lint ships them. Read as they lie: importing cfn-lint takes a second."""
    package = importlib.util.find_spec("cfnlint")
    if package is None or not package.submodule_search_locations:
        raise CheckError("cfn-lint is not installed, whose schemas tell what takes tags. Install 'labcycle[check]'")
    return Path(package.submodule_search_locations[0]) / "data" / "schemas"


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _keys(tags: Any) -> set[str]:
    """Keys of tags: an object, a list of tags, or lists of them by type of resource."""
    if isinstance(tags, Mapping):
        return set(map(str, tags))
    found = set()
    for entry in mappings(tags):
        found |= {str(entry["Key"])} if "Key" in entry else _keys(entry.get("Tags"))
    return found
