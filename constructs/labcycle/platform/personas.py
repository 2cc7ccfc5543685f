"""What members may do, by their roles in the team: one table, from which grants and docs/personas.md are made.

To write the page anew: `python -c "from labcycle.platform.personas import page; print(page(), end='')" > docs/personas.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from labcycle.config import Role

Right = Literal[
    "read",
    "log",
    "register",
    "promote",
    "administer",
    "erase",
    "use workspaces",
    "run jobs",
    "invoke models",
    "operate",
    "publish wheels",
]


@dataclass(frozen=True)
class Persona:
    """A role of the team file, and the rights of those who have it."""

    role: Role
    rights: frozenset[Right]


RIGHTS: dict[Right, str] = {
    "read": "read runs, models, deployments, histories and their anchors, and download artifacts",
    "log": "log experiments, runs and models; upload training data below `data/`; send what models that are served elsewhere predicted, and what became of predictions, and read those that are kept",
    "register": "register models and versions, set their aliases, stages and tags",
    "promote": "make a registered version the live one, or roll back; review what a reaction trained",
    "administer": "rename, delete and restore experiments, runs, models and versions",
    "erase": "let go what the team's retention rules let go: artifacts and points of runs, for good",
    "use workspaces": "start, stop and enter workspaces of one's own, which log and invoke in one's name",
    "run jobs": "submit sweeps and other jobs of one's own, see how they go and stop them; they read `data/`, and log in one's name",
    "invoke models": "send scoring requests; put in, start and read batches; run the saved queries of the logs of models",
    "operate": "judge now what is watched, start, stop and redrive the reaction, see alarms, dashboards and executions, hand out the keys of consumers",
    "publish wheels": "put the wheel of labcycle below `wheels/` for the workspaces",
}

PERSONAS: tuple[Persona, ...] = (
    Persona(
        "data_scientist",
        frozenset({"read", "log", "register", "administer", "use workspaces", "run jobs", "invoke models"}),
    ),
    Persona("lead", frozenset({"read", "promote", "erase", "invoke models"})),
    Persona("reviewer", frozenset({"read", "promote", "invoke models"})),
    Persona("operator", frozenset({"read", "invoke models", "operate"})),
    Persona("stakeholder", frozenset({"read"})),
    Persona("platform_engineer", frozenset({"read", "publish wheels"})),
)


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """What a member with these roles may do: the sum."""
    held = set(roles)
    return frozenset(right for persona in PERSONAS if persona.role in held for right in persona.rights)


def page() -> str:
    """docs/personas.md, whole."""
    lines = [
        "# Who may do what",
        "",
        "`members[].roles` in the team file decides; a member with several roles has the sum of their rights. Each right is an",
        "IAM policy with exact actions on exact resources, attached to the member's role `labcycle-<team>-<member>`; the team's",
        "permissions boundary is the ceiling. The tracking API holds read, log, register, promote, administer and erase against every",
        "call itself, also of those who come with a token (access.md). Deployments run under the roles of the CDK bootstrap, not",
        "under a member's role.",
        "",
        f"| right | {' | '.join(persona.role for persona in PERSONAS)} | what it means |",
        f"|---|{'---|' * (len(PERSONAS) + 1)}",
    ]
    for right, meaning in RIGHTS.items():
        marks = " | ".join("yes" if right in persona.rights else "" for persona in PERSONAS)
        lines.append(f"| {right} | {marks} | {meaning} |")
    lines += [
        "",
        "Data scientists do not promote what they built: somebody with the role lead or reviewer does. A member may have both",
        "roles in a small team; the ledger records who did what all the same.",
    ]
    return "\n".join(lines) + "\n"
