"""Write the golden files anew.

- `python -m tests.synth.golden.take`: the logical ids of all stateful resources of infra/.
- `python -m tests.synth.golden.take --release`: these, and what the release of this version is: its team and target files, and its
  templates, pared to stateful resources and what they refer to.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aws_cdk import App

from infra.app import HERE, build, settings
from labcycle.check.references import referenced
from labcycle.check.template import Template, templates_at
from labcycle.upgrade.inventory import stateful_resources

FOLDER = Path(__file__).parent
IDS = FOLDER / "stateful_ids.json"
RELEASE = FOLDER / "last_release"
ASSEMBLY = RELEASE / "assembly"


def stateful_ids(templates: Iterable[Template]) -> dict[str, str]:
    """`stack/logical id` of every stateful resource, with its type."""
    return {f"{template.name}/{logical_id}": kind for template, logical_id, kind in stateful_resources(templates)}


def write_ids(templates: Iterable[Template]) -> None:
    """Write the golden file of logical ids."""
    IDS.write_text(_text(stateful_ids(templates)))


def write_release(templates: Iterable[Template], version: str) -> None:
    """Write the files and the pared templates of a release, in place of those of the last one."""
    shutil.rmtree(RELEASE, ignore_errors=True)
    for kind in ("teams", "targets"):
        shutil.copytree(HERE / kind, RELEASE / kind)
    ASSEMBLY.mkdir()
    artifacts = {}
    known = list(templates)
    stateful = list(stateful_resources(known))
    for template in known:
        ids = {logical_id for of, logical_id, _ in stateful if of is template}
        (ASSEMBLY / f"{template.name}.template.json").write_text(_text(_pared(template, ids)))
        artifacts[template.name] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{template.account}/{template.region}",
            "properties": {"templateFile": f"{template.name}.template.json"},
        }
    (ASSEMBLY / "manifest.json").write_text(_text({"version": "48.0.0", "artifacts": artifacts}))
    (RELEASE / "version").write_text(f"{version}\n")


def _pared(template: Template, ids: set[str]) -> dict[str, Any]:
    """The template with these resources, what they refer to, and what it exports; without metadata."""
    kept: set[str] = set()
    more = ids
    while more:
        kept |= more
        found = {other for one in more for other in referenced(template.properties(one))}
        more = {other for other in found - kept if template.resource(other)}
    resources = {
        logical_id: {key: value for key, value in resource.items() if key not in ("Metadata", "DependsOn")}
        for logical_id, resource in template.resources()
        if logical_id in kept
    }
    outputs = {key: one for key, one in template.body.get("Outputs", {}).items() if "Export" in one}
    rest: dict[str, Any] = {
        key: template.body[key] for key in ("Parameters", "Conditions", "Mappings") if key in template.body
    }
    return {**rest, "Outputs": outputs, "Resources": resources}


def _text(document: object) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as out:
        app = App(outdir=out, context=settings(), analytics_reporting=False)
        build(app)
        app.synth()
        templates = templates_at(Path(out))
    write_ids(templates)
    if "--release" in arguments:
        project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
        write_release(templates, project["version"])


if __name__ == "__main__":
    main(sys.argv[1:])
