"""The deployable app: a stage a target, a stage a team, from the files in infra/targets and infra/teams.

Context (`cdk ... -c key=value`):

- `team=NAME`: read and build this team and its target alone; other files are not looked at.
- `target=NAME`: read and build this target alone.
- `config=DIR`: take the folders `teams` and `targets` from DIR instead of infra.

Without team or target all files are read, checked and built. Whatever is wrong is printed, all of it, and the exit code is 2.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aws_cdk import App

from labcycle.config import ConfigError, Problem, Target, Team, check_together, load_all, load_target, load_team
from labcycle.config.loader import SUFFIXES, file_of, unknown_target
from labcycle.errors import WRONG, LabcycleError
from labcycle.platform import TargetPlatform, TeamPlatform

HERE = Path(__file__).parent


def build(app: App) -> None:
    """Add the stages that the context asks for; targets first, since their teams' stacks read what they publish.

    Raises
    ------
    ConfigError
        With every problem of the files that were read.
    """
    folder = Path(_asked(app, "config") or HERE)
    team_name, target_name = _asked(app, "team"), _asked(app, "target")
    if team_name and target_name:
        raise ConfigError(
            [Problem("got both; allowed one of them: the team's own target is always built", "-c team, target")]
        )
    if team_name:
        team = load_team(_file(folder / "teams", team_name, "team"))
        target = load_target(_target_file(folder / "targets", team))
        check_together(team, target)
        TargetPlatform(app, target=target)
        TeamPlatform(app, team=team, target=target)
    elif target_name:
        TargetPlatform(app, target=load_target(_file(folder / "targets", target_name, "target")))
    else:
        teams, targets = load_all(folder / "teams", folder / "targets")
        for target in _by_name(targets):
            TargetPlatform(app, target=target)
        for team in teams:
            TeamPlatform(app, team=team, target=targets[team.target])


def _asked(app: App, key: str) -> str | None:
    value = app.node.try_get_context(key)
    return str(value) if value else None


def _by_name(targets: dict[str, Target]) -> list[Target]:
    return [targets[name] for name in sorted(targets)]


def _target_file(folder: Path, team: Team) -> Path:
    """The file of the team's target; told with the place in the team file where there is none."""
    file = file_of(folder, team.target)
    if file is None:
        raise ConfigError([unknown_target(team, folder, _names(folder))])
    return file


def _names(folder: Path) -> list[str]:
    return sorted({file.stem for file in folder.glob("*") if file.suffix in SUFFIXES})


def _file(folder: Path, name: str, key: str) -> Path:
    """The file of this name in the folder; never a path outside of it."""
    file = file_of(folder, name)
    if file is None:
        known = ", ".join(_names(folder)) or "none: the folder is empty or missing"
        raise ConfigError(
            [Problem(f"got {name}; allowed the files of {folder}: {known}. Name one of them, or add {name}.yaml", key)]
        )
    return file


def settings() -> dict[str, object]:
    """Context of every synth: the feature flags of cdk.json, which the CDK CLI passes by itself, and no stack traces.

    So the templates are the same with and without the CLI, and the assembly does not hold the names of the temporary
    folders that the CDK is unpacked to.
    """
    file = HERE.parent / "cdk.json"
    flags: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))["context"] if file.is_file() else {}
    return flags | {"aws:cdk:disable-stack-trace": True, "aws:cdk:disable-creation-stack-traces": True}


def main() -> int:
    """Synthesize to the folder that the CLI names, or to one in CDK_OUTDIR."""
    app = App(context=settings(), analytics_reporting=False)
    try:
        build(app)
    except LabcycleError as error:
        print(error, file=sys.stderr)
        return WRONG
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
