"""docs/permissions.md, from what a team's roles may do and what they used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.cloud.harness.http_api import HttpApi
from tests.cloud.monitoring.test_reaction import MODEL, STACK
from tests.cloud.permissions import everybody
from tests.cloud.permissions.rights import Exempt, Findings, Right, Role
from tests.cloud.team import Team

PAGE = Path(__file__).parents[3] / "docs" / "permissions.md"


def page(roles: Sequence[Role], findings: Findings, placeholders: Mapping[str, str]) -> str:
    """The page, whole. `placeholders` stand for what is different in each team or deployment."""
    lines = [
        "# What each role may do, and what it does",
        "",
        "Every role of a team, with each right that its policies give: one action on one resource, with one value for each key of",
        "its conditions. `used` is a right that alone allowed a call which the role made when the cloud tests deployed a team with",
        "everything and let all its functions, state machines, training jobs and members do their work. What is not used has a",
        "reason. The tests fail where a call is not allowed, where a right is neither used nor excepted, and where an exception is",
        "not needed.",
        "",
        "To write the page anew: `python -m tests.cloud.permissions`.",
        "",
        "| role | rights | used | exceptions |",
        "|---|---|---|---|",
    ]
    rights = {role.name: role.rights() for role in roles}
    for name, of_role in rights.items():
        excepted = sum(right in findings.excepted for right in of_role)
        lines.append(f"| {name} | {len(of_role)} | {len(of_role) - excepted} | {excepted} |")
    for name, of_role in rights.items():
        lines += ["", f"## {name}", "", "| actions | on | if | |", "|---|---|---|---|"]
        rows: dict[tuple[str, str, str], list[str]] = {}
        for right in of_role:
            row = (
                _filled(right.resource, placeholders),
                _conditions(right, placeholders),
                _use(findings.excepted.get(right)),
            )
            rows.setdefault(row, []).append(right.action)
        for (resource, conditions, use), actions in sorted(rows.items(), key=lambda row: (row[1], row[0])):
            lines.append(f"| {_code(actions)} | `{resource}` | {conditions} | {use} |")
    return "\n".join(lines) + "\n"


def placeholders(team: Team, roles: Sequence[Role]) -> dict[str, str]:
    """What stands in the team's policies and is made up by CloudFormation or chosen in its team file."""
    found = {
        team.place.account: "<account>",
        team.place.region: "<region>",
        team.name: "<team>",
        MODEL: "<model>",
        _id(team.tracking): "<tracking API>",
        _id(team.model(MODEL)): "<model's API>",
        team.output(STACK, "ReactionStateMachine").rpartition(":")[2]: "<state machine>",
    }
    found |= {
        role.deployed_name: f"<{role.name}>" for role in roles if not role.name.startswith(("member", "workspace"))
    }
    for function in everybody.functions(team):
        found[function.name] = f"<{function.folder}>"
    for role in roles:
        for right in role.rights():
            if role.name.startswith("function") and right.action == "logs:PutLogEvents":
                found[right.resource.partition(":log-group:")[2]] = f"<log of {role.name.removeprefix('function: ')}>"
    for key in team.place.client("kms").list_keys()["Keys"]:
        found[key["KeyId"]] = "<key>"
    for template in team.place.client("ec2").describe_launch_templates()["LaunchTemplates"]:
        found[template["LaunchTemplateId"]] = "<launch template>"
    for url in team.place.client("sqs").list_queues(QueueNamePrefix=f"labcycle-{team.name}-")["QueueUrls"]:
        found[url.rpartition("/")[2]] = "<dead letters>"
    found |= dict.fromkeys(everybody.MEMBERS, "<member>")
    return found


def _id(api: HttpApi) -> str:
    return api.address.removeprefix("https://").partition(".")[0]


def _filled(text: str, placeholders: Mapping[str, str]) -> str:
    for value in sorted(placeholders, key=len, reverse=True):
        text = text.replace(value, placeholders[value])
    return text


def _conditions(right: Right, placeholders: Mapping[str, str]) -> str:
    told = (
        f"{operator} `{key}`: {_code(_filled(value, placeholders) for value in values)}"
        for operator, key, values in right.conditions
    )
    return "; ".join(told)


def _code(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _use(exempt: Exempt | None) -> str:
    if exempt is None:
        return "used"
    return f"{exempt.reason} [Source]({exempt.source})." if exempt.source else exempt.reason
