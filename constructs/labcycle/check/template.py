"""The templates of an assembly, each once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from .finding import CheckError, Finding

_MANIFEST = "manifest.json"
_CONSTRUCT_PATH = "aws:cdk:path"


@dataclass(frozen=True)
class Template:
    """A CloudFormation template that is to be deployed to a region.

    Parameters
    ----------
    name
        What to call it: the stack's name, or the file.
    text
        The template in JSON.
    region, account
        Where it goes; empty where that is not known.
    tags
        The stack's own tags, which CloudFormation puts on all of its resources.
    after
        Names of the stacks that are deployed before it.
    file
        Where it was read.
    """

    name: str
    text: str
    region: str = ""
    account: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    after: frozenset[str] = frozenset()
    file: Path = Path()

    @cached_property
    def identity(self) -> tuple[str, str]:
        """Name and file, by which its findings tell it apart: stacks in two regions or accounts may have one name."""
        return self.name, self.file.as_posix()

    @cached_property
    def body(self) -> dict[str, Any]:
        """The template as plain data."""
        body: dict[str, Any] = json.loads(self.text)
        return body

    def resource(self, logical_id: str) -> Mapping[str, Any]:
        """A resource of the template; empty if there is none of that id."""
        found = self.body.get("Resources", {}).get(logical_id)
        return found if isinstance(found, Mapping) else {}

    def resources(self, *types: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Logical id and resource of all resources, or of those of these types."""
        if types and self._types.isdisjoint(types):  # most rules ask of most templates what these do not have
            return
        for logical_id in self.body["Resources"]:
            resource = self.resource(logical_id)
            if not types or resource.get("Type") in types:
                yield logical_id, resource

    @cached_property
    def _types(self) -> frozenset[str]:
        return frozenset(str(resource.get("Type")) for _, resource in self.resources())

    def properties(self, logical_id: str) -> Mapping[str, Any]:
        """Properties of a resource; empty where it has none."""
        found = self.resource(logical_id).get("Properties")
        return found if isinstance(found, Mapping) else {}

    def construct_path(self, logical_id: str) -> str:
        """The construct that made a resource, as CDK notes it; empty if it does not."""
        return str(metadata_of(self.resource(logical_id)).get(_CONSTRUCT_PATH, ""))

    def finding(
        self,
        logical_id: str,
        rule: str,
        checker: str,
        severity: str,
        message: str,
        *,
        property_path: str = "",
        why: str = "",
        mend: str = "",
    ) -> Finding:
        """A finding about a resource; about another part of the template where the logical id is empty."""
        name, file = self.identity
        return Finding(
            template=name,
            logical_id=logical_id,
            rule=rule,
            checker=checker,
            severity=severity,
            message=message,
            construct_path=self.construct_path(logical_id),
            property_path=property_path,
            why=why,
            mend=mend,
            file=file,
        )


def metadata_of(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """A resource's metadata, empty where there is none."""
    metadata = resource.get("Metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def templates_at(path: Path) -> list[Template]:
    """All templates at a path: an assembly with its nested ones, or one template.

    What the manifest beside a template says of it (account, region, tags) is known of it alone, too.

    Raises
    ------
    CheckError
        If there is no template.
    """
    if not path.exists():
        raise CheckError(f"{path}: there is no such file or folder. Name a folder made by `cdk synth`, or a template")
    if path.is_file():
        of_assembly = _assembly(path.parent) if (path.parent / _MANIFEST).is_file() else ()
        return [template for template in of_assembly if template.file == path] or [_from_file(path)]
    if not (path / _MANIFEST).is_file():
        raise CheckError(f"{path}: there is no {_MANIFEST} in this folder. Name a folder made by `cdk synth`")
    templates = list(_assembly(path))
    if not templates:
        raise CheckError(f"{path}: the assembly has no stack. Check that the app defines one")
    return templates


def _assembly(folder: Path) -> Iterator[Template]:
    artifacts = _json(folder / _MANIFEST).get("artifacts", {})
    stacks = {
        artifact_id: str(artifact.get("properties", {}).get("stackName") or artifact.get("displayName") or artifact_id)
        for artifact_id, artifact in artifacts.items()
        if artifact.get("type") == "aws:cloudformation:stack"
    }
    places = set()
    for artifact_id, artifact in sorted(artifacts.items()):
        properties = artifact.get("properties", {})
        if artifact.get("type") == "cdk:cloud-assembly":
            yield from _assembly(folder / properties["directoryName"])
        elif artifact_id in stacks:
            account, region = _place(str(artifact.get("environment", "")))
            places.add((account, region))
            yield Template(
                name=stacks[artifact_id],
                text=_as_template(_json(folder / properties["templateFile"]), folder / properties["templateFile"]),
                region=region,
                account=account,
                tags={str(key): str(value) for key, value in properties.get("tags", {}).items()},
                after=frozenset(stacks[one] for one in artifact.get("dependencies", []) if one in stacks),
                file=folder / properties["templateFile"],
            )
    account, region = places.pop() if len(places) == 1 else ("", "")
    for nested in sorted(folder.glob("*.nested.template.json")):  # they are assets: the manifest does not list them
        name = nested.name.removesuffix(".nested.template.json")
        yield Template(name, _as_template(_json(nested), nested), region, account, file=nested)


def _place(environment: str) -> tuple[str, str]:
    """Account and region of `aws://account/region`, empty where they are not known at synth."""
    account, _, region = environment.removeprefix("aws://").partition("/")
    return "" if account == "unknown-account" else account, "" if region == "unknown-region" else region


def _from_file(path: Path) -> Template:
    if path.suffix == ".json":
        return Template(path.name, _as_template(_json(path), path), file=path)
    try:
        body = yaml.load(path.read_text(encoding="utf-8"), Loader=_TemplateLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CheckError(f"{path}: the template cannot be read: {error}") from None
    return Template(path.name, _as_template(body, path), file=path)


def _as_template(body: object, path: Path) -> str:
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), dict):
        raise CheckError(f"{path}: this is not a CloudFormation template: it has no Resources. Name a template")
    try:
        return json.dumps(body, default=str)
    except TypeError as error:
        raise CheckError(f"{path}: the template cannot be read: {error}") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckError(f"{path}: the file cannot be read: {error}. Synthesize again") from None
    if not isinstance(body, dict):
        raise CheckError(f"{path}: got a JSON document that is not a template or manifest. Name another file")
    return body


class _TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref x`, `!GetAtt a.b`) as their long forms."""


def _short_form(loader: _TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _short_form)
