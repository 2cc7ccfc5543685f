"""Acknowledgements: a resource's own metadata says which finding is meant to be, and why.

```yaml
Metadata:
  "labcycle:acknowledge":
    - {id: W3045, reason: "The log bucket of ... is written by a service that needs ACLs."}
```
The id is the exact id of a rule, and it holds for that resource alone: there is none for a stack or an app. A reason has 20
characters or more. What acknowledges nothing that was found is a finding itself, so that none outlives its cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .finding import Acknowledged, Finding
from .template import Template, metadata_of

METADATA_KEY = "labcycle:acknowledge"
SHORTEST_REASON = 20
_RULE = "labcycle-acknowledge"


def sort_out(template: Template, findings: Iterable[Finding]) -> tuple[list[Finding], list[Acknowledged]]:
    """The findings that stand, and those that are acknowledged; a malformed or needless acknowledgement is a finding itself."""
    reasons: dict[tuple[str, str], str] = {}
    standing = []
    for logical_id in template.body["Resources"]:
        entries = metadata_of(template.resource(logical_id)).get(METADATA_KEY, [])
        for problem in _malformed(entries):
            standing.append(_about(template, logical_id, problem))
        for rule, reason in _well_formed(entries):
            reasons[logical_id, rule] = reason
    acknowledged = []
    for finding in findings:
        known = (finding.logical_id, finding.rule)
        if known in reasons:
            acknowledged.append(Acknowledged(finding, reasons[known]))
        else:
            standing.append(finding)
    found = {(known.finding.logical_id, known.finding.rule) for known in acknowledged}
    for logical_id, rule in reasons.keys() - found:
        standing.append(
            _about(template, logical_id, f"got {rule}, which was not found here. Remove the acknowledgement")
        )
    return standing, acknowledged


def _well_formed(entries: object) -> Iterator[tuple[str, str]]:
    for entry in entries if isinstance(entries, list) else []:
        if not list(_malformed([entry])):
            yield entry["id"], entry["reason"]


def _malformed(entries: object) -> Iterator[str]:
    if not isinstance(entries, list):
        yield f"got {entries!r}; allowed a list of {{id, reason}}"
        return
    for entry in entries:
        if not isinstance(entry, Mapping) or set(entry) != {"id", "reason"}:
            yield f"got {entry!r}; allowed exactly the keys id and reason"
        elif not all(isinstance(entry[key], str) and entry[key].strip() for key in ("id", "reason")):
            yield f"got {entry!r}; allowed an exact rule id and a reason in words"
        elif len(entry["reason"].strip()) < SHORTEST_REASON:
            yield f"got the reason {entry['reason']!r}; allowed {SHORTEST_REASON} characters and more. Say why it is meant to be"


def _about(template: Template, logical_id: str, message: str) -> Finding:
    return template.finding(logical_id, _RULE, "labcycle", "error", message, property_path=f"Metadata.{METADATA_KEY}")
