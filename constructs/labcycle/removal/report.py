"""Show what has no team file, and what a destruction would end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .item import Item
from .orphans import Orphans

# https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html
KEY = "the team's key waits for its deletion, 30 days unless its template says otherwise, and can be brought back until then"
SHARED = (
    "shared things: the network of the target, the CDK's bootstrap with its assets, the log groups /aws/sagemaker/..."
)


def orphans_as_text(found: Sequence[Orphans]) -> str:
    """Teams without a file, for people."""
    lines = []
    for one in found:
        lines += ["", f"team {one.team}" if one.team else "stacks without the tag labcycle:team"]
        lines += [f"  stack {stack.name}  {stack.stage or 'stage unknown'}, {stack.status}" for stack in one.stacks]
        lines += [
            f"  {resource.kind} {resource.name}" + "".join(f"  {known}" for known in (resource.stage, remark) if known)
            for resource, remark in one.left
        ]
        if one.stacks and one.team:
            lines.append(f"  {_advice(one)}")
    teams = sum(bool(one.team) for one in found)
    lines += [
        "",
        f"{teams} teams without a file have something here" if found else "every team that is here has a file",
    ]
    return "\n".join(lines).lstrip("\n")


def orphans_as_document(found: Iterable[Orphans]) -> list[dict[str, Any]]:
    """Teams without a file, for programs."""
    return [
        {
            "team": one.team,
            "stacks": [{"name": stack.name, "stage": stack.stage, "status": stack.status} for stack in one.stacks],
            "left": [
                {
                    "kind": resource.kind,
                    "name": resource.name,
                    "arn": resource.arn,
                    "stage": resource.stage,
                    "remark": remark,
                }
                for resource, remark in one.left
            ],
        }
        for one in found
    ]


def plan_as_text(team: str, plan: Iterable[tuple[str, list[Item]]]) -> str:
    """What would be ended, in this order."""
    lines = [f"would end the sandbox {team}, in this order:"]
    count = 0
    for name, items in plan:
        count += len(items)
        lines += [f"  {name}: none"] if not items else [f"  {name}", *(f"    {item}" for item in items)]
    lines += ["what stays:", f"  {KEY}", f"  {SHARED}"]
    lines.append(
        f"Nothing was changed. To do it: labcycle team destroy {team} --yes"
        if count
        else "There is nothing to end any more."
    )
    return "\n".join(lines)


def _advice(one: Orphans) -> str:
    if all(stack.stage == "sandbox" for stack in one.stacks):
        return f"to end it: labcycle team destroy {one.team}"
    return "not a sandbox: write its file again to keep it, or `cdk destroy` it from the last version that had it"
