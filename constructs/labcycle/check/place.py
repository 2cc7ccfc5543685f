"""Where a finding stands: its line in the template's file, and the file of its construct where the assembly tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .finding import Finding
from .template import Template

_FRAME = re.compile(r"\(?((?:[A-Za-z]:)?[^\s():]+\.(?:py|ts|js|mjs|java|cs|go)):(\d+)")
_LIBRARIES = ("node_modules", "site-packages", "node:internal", "jsii")


def placed(findings: Iterable[Finding], template: Template, root: Path | None) -> Iterator[Finding]:
    """The findings about a template with file, line and source.

    Parameters
    ----------
    root
        Files are told relative to it; None: as they were named.
    """
    findings = list(findings)
    if not findings:
        return
    file = (template.file.relative_to(root) if root else template.file).as_posix()
    lines = template.file.read_text(encoding="utf-8").splitlines() if template.file.is_file() else []
    notes = _notes(template.file.parent)
    for finding in findings:
        source = _source(notes.get(f"/{finding.construct_path}", ()))
        yield replace(finding, file=file, line=_line(lines, finding.logical_id), source=source)


def _line(lines: Sequence[str], logical_id: str) -> int:
    begins = re.compile(rf'\s*"?{re.escape(logical_id)}"?\s*:')
    return next((n for n, text in enumerate(lines, 1) if logical_id and begins.match(text)), 1)


def _source(notes: Iterable[Mapping[str, Any]]) -> str:
    """The first frame of the stack in which the construct was made that is not a library's; Python's own are not noted."""
    for note in notes:
        frames = note.get("data") if note.get("type") == "aws:cdk:creationStack" else note.get("trace")
        for frame in frames if isinstance(frames, list) else []:
            found = _FRAME.search(str(frame))
            if found and not any(library in str(frame) for library in _LIBRARIES):
                return f"{found[1]}:{found[2]}"
    return ""


def _notes(assembly: Path) -> Mapping[str, list[dict[str, Any]]]:
    """What CDK noted on each construct path, from the files beside the manifest, or from the manifest itself."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in (*assembly.glob("*.metadata.json"), *assembly.glob("manifest.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        artifacts = content.get("artifacts", {}).values() if file.name == "manifest.json" else [{"metadata": content}]
        for artifact in artifacts:
            found.update(artifact.get("metadata") or {})
    return found
