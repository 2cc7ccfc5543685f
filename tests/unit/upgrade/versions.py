"""Two versions of an app, as assemblies or as single templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labcycle.upgrade.comparison import Change, Comparison, compare_paths

Resources = Mapping[str, Mapping[str, Any]]

TABLE: dict[str, Any] = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    },
}


def with_properties(resource: Mapping[str, Any], **properties: Any) -> dict[str, Any]:
    """The resource with these properties changed."""
    return {**resource, "Properties": {**resource.get("Properties", {}), **properties}}


def keyed(table: Mapping[str, Any], key: str, kind: str = "S") -> dict[str, Any]:
    """The table with another key."""
    return with_properties(
        table,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind}],
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
    )


def template(folder: Path, name: str, resources: Resources, **rest: Any) -> Path:
    """A file with one template."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"Resources": resources, **rest}))
    return file


def assembly(folder: Path, stacks: Mapping[str, Mapping[str, Any]], *, region: str = "eu-west-1") -> Path:
    """A folder as `cdk synth` writes it, with these templates."""
    folder.mkdir()
    artifacts = {}
    for name, body in stacks.items():
        (folder / f"{name}.template.json").write_text(json.dumps(body))
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://111122223333/{region}",
            "properties": {"templateFile": f"{name}.template.json"},
        }
    (folder / "manifest.json").write_text(json.dumps({"version": "48.0.0", "artifacts": artifacts}))
    return folder


def compared(folder: Path, old: Resources, new: Resources, **rest: Any) -> Comparison:
    """The comparison of two single templates."""
    return compare_paths(template(folder, "old", old, **rest), template(folder, "new", new, **rest))


def only(comparison: Comparison) -> Change:
    """The one change of a comparison."""
    (change,) = comparison.changes
    return change
