"""What a deploy made: outputs, and how real each resource type is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labcycle.errors import LabcycleError
from labcycle.local.resource_types import REAL, TYPES, Kind, Standing

KINDS: tuple[Kind, ...] = ("real", "recorded", "placeholder")


class UnknownTypesError(LabcycleError):
    """A template holds types that the local cloud neither runs nor records."""


def standing(resource_type: str) -> Standing | None:
    """How real a type is; None for one that the local cloud does not take. A custom resource runs its own function."""
    return REAL if resource_type.startswith("Custom::") else TYPES.get(resource_type)


def check_types(types_by_stack: Mapping[str, Iterable[str]]) -> None:
    """Refuse what would be neither real, nor recorded, nor a placeholder.

    Raises
    ------
    UnknownTypesError
        Naming every such type and its stacks.
    """
    unknown: dict[str, list[str]] = {}
    for stack, types in types_by_stack.items():
        for resource_type in sorted(set(types)):
            if standing(resource_type) is None:
                unknown.setdefault(resource_type, []).append(stack)
    if unknown:
        told = "; ".join(f"{resource_type} in {', '.join(names)}" for resource_type, names in sorted(unknown.items()))
        raise UnknownTypesError(
            f"The local cloud neither runs nor records: {told}. Nothing was deployed. Leave the stack out, or add the type "
            "to labcycle.local.resource_types with what makes it."
        )


@dataclass(frozen=True)
class DeployReport:
    """What one `deploy` did.

    Attributes
    ----------
    outputs
        CloudFormation stack name -> output key -> value.
    types
        Resource type -> how many of it the deployed stacks hold.
    seconds
        Wall-clock time of the CLI.
    vendored
        Code archives whose vendored packages were swapped for the host's, with both versions.
    """

    outputs: dict[str, dict[str, str]]
    types: dict[str, int]
    seconds: float
    vendored: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def stacks(self) -> list[str]:
        return list(self.outputs)

    @property
    def counts(self) -> dict[str, int]:
        """Resources by how real they are."""
        found: Counter[str] = Counter()
        for resource_type, number in self.types.items():
            found[(standing(resource_type) or REAL).kind] += number
        return {kind: found[kind] for kind in KINDS}

    def of_kind(self, kind: Kind) -> dict[str, int]:
        """Types of one kind, with how many resources."""
        return {name: n for name, n in sorted(self.types.items()) if (standing(name) or REAL).kind == kind}

    def lines(self) -> list[str]:
        """The report for people: counts, then every type that is not wholly real with its reason, then swapped wheels."""
        told = [
            f"{len(self.outputs)} stacks, {sum(self.types.values())} resources in {self.seconds:.0f} s: "
            + ", ".join(f"{number} {kind}" for kind, number in self.counts.items())
        ]
        for kind in KINDS[1:]:
            by_reason: dict[str, list[str]] = {}
            for name, number in self.of_kind(kind).items():
                by_reason.setdefault(TYPES[name].reason, []).append(f"{name.removeprefix('AWS::')} x{number}")
            told += [f"{kind}: {', '.join(names)} - {reason}" for reason, names in by_reason.items()]
        for swap in self.vendored:
            differing = [
                f"{p['package']} {p['locked']} -> {p['host'] or 'absent'}"
                for p in swap["packages"]
                if p["locked"] != p["host"]
            ]
            same = sum(p["locked"] == p["host"] for p in swap["packages"])
            told.append(
                f"vendored wheels of {str(swap['asset'])[:12]} swapped for the host's: {same} of the same version"
                + (f", other versions: {', '.join(differing)}" if differing else "")
            )
        return told

    def as_json(self) -> dict[str, Any]:
        return {
            "outputs": self.outputs,
            "counts": self.counts,
            "types": {
                name: {"count": n, "kind": (standing(name) or REAL).kind, "reason": (standing(name) or REAL).reason}
                for name, n in sorted(self.types.items())
            },
            "seconds": round(self.seconds, 1),
            "vendored": list(self.vendored),
        }
