"""JSON Schema of the team and target files, for editors (the YAML language server) and other tools.

Draft 7, since that is what YAML editors read best. Rules between several values are not in it: `labcycle validate` knows them.
"""

from __future__ import annotations

from typing import Any, Literal

from .target import Target
from .team import Team

Kind = Literal["team", "target"]
DIALECT = "http://json-schema.org/draft-07/schema#"
_MODELS: dict[Kind, type[Team | Target]] = {"team": Team, "target": Target}


def json_schema(kind: Kind) -> dict[str, Any]:
    """The schema of a team file or of a target file.

    Name it in the first line of a file, and the editor completes keys and explains them:
    `# yaml-language-server: $schema=../../.labcycle/team.schema.json`
    """
    schema = _MODELS[kind].model_json_schema(by_alias=True, mode="validation")
    for one in (schema, *schema.get("$defs", {}).values()):
        for name, field in one.get("properties", {}).items():
            field["title"] = name  # editors show it: the key itself says more than a key in title case
            _drop_null(field)
    return {"$schema": DIALECT, "title": f"labcycle {kind} file"} | {
        key: schema[key] for key in schema if key != "title"
    }


def _drop_null(field: dict[str, Any]) -> None:
    """Offer only the kind of value that is meant; an empty value is still read as absent."""
    some = [one for one in field.get("anyOf", []) if one != {"type": "null"}]
    if len(some) == 1:
        del field["anyOf"]
        field.pop("default", None)
        only = some[0]
        if "$ref" in only:
            field["allOf"] = [only]  # draft 7 ignores what stands beside a $ref
        else:
            field.update(only)
    elif "$ref" in field:
        field["allOf"] = [{"$ref": field.pop("$ref")}]
