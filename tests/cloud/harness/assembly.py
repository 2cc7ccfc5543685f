"""A synthesized cloud assembly, read from its folder: stacks in the order of their dependencies, and asset files."""

from __future__ import annotations

import graphlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cloud.harness.place import Place

VENDORED_MANIFEST = "vendored.json"
_ENVIRONMENT = re.compile(r"aws://([^/]+)/([^/]+)")
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Stack:
    name: str
    place: Place
    template: dict[str, Any]


@dataclass(frozen=True)
class AssetFile:
    """A file or zipped folder, and where the templates look for it."""

    source: Path
    zipped: bool
    bucket: str
    key: str

    def content(self) -> bytes:
        """The bytes to upload.

        Packages that came from wheels are left out of a zip: they are built for Lambda's Python, and the functions
        here run with the host's (see functions.py).
        """
        if not self.zipped:
            return self.source.read_bytes()
        manifest = self.source / VENDORED_MANIFEST
        vendored = set(json.loads(manifest.read_text())["names"]) if manifest.exists() else set()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path in sorted(p for p in self.source.rglob("*") if p.is_file()):
                inner = path.relative_to(self.source)
                if inner.parts[0] not in vendored:
                    archive.writestr(zipfile.ZipInfo(inner.as_posix(), _FIXED_TIME), path.read_bytes())
        return buffer.getvalue()


@dataclass(frozen=True)
class Assembly:
    directory: Path
    default: Place

    def stacks(self) -> list[Stack]:
        """The stacks of this assembly and of the stages nested in it, each behind those it depends on."""
        artifacts = self._artifacts()
        order = graphlib.TopologicalSorter({
            name: [d for d in artifact.get("dependencies", ()) if d in artifacts] for name, artifact in artifacts.items()
        })  # fmt: skip
        found: list[Stack] = []
        for name in order.static_order():
            artifact = artifacts[name]
            if artifact["type"] == "aws:cloudformation:stack":
                found.append(self._stack(name, artifact))
            elif artifact["type"] == "cdk:cloud-assembly":
                found += self._nested(artifact).stacks()
        return found

    def assets(self, place: Place) -> Iterator[AssetFile]:
        """The files that the stacks of this assembly and its stages need in `place`."""
        for artifact in self._artifacts().values():
            if artifact["type"] == "cdk:cloud-assembly":
                yield from self._nested(artifact).assets(place)
            elif artifact["type"] == "cdk:asset-manifest":
                manifest = json.loads((self.directory / artifact["properties"]["file"]).read_text())
                for entry in manifest["files"].values():
                    for destination in entry["destinations"].values():
                        bucket = (
                            destination["bucketName"]
                            .replace("${AWS::AccountId}", place.account)
                            .replace("${AWS::Region}", place.region)
                        )
                        source = self.directory / entry["source"]["path"]
                        yield AssetFile(source, entry["source"]["packaging"] == "zip", bucket, destination["objectKey"])

    def _artifacts(self) -> dict[str, dict[str, Any]]:
        manifest = json.loads((self.directory / "manifest.json").read_text())
        if manifest.get("missing"):
            raise AssertionError(f"the assembly needs look-ups in an account: {manifest['missing']}")
        artifacts: dict[str, dict[str, Any]] = manifest["artifacts"]
        return artifacts

    def _nested(self, artifact: dict[str, Any]) -> Assembly:
        return Assembly(self.directory / artifact["properties"]["directoryName"], self.default)

    def _stack(self, name: str, artifact: dict[str, Any]) -> Stack:
        match = _ENVIRONMENT.fullmatch(artifact["environment"])
        assert match, artifact["environment"]
        account, region = match.groups()
        place = Place(
            self.default.account if account == "unknown-account" else account,
            self.default.region if region == "unknown-region" else region,
        )
        template = json.loads((self.directory / artifact["properties"]["templateFile"]).read_text())
        return Stack(artifact["properties"].get("stackName", name), place, template)
