"""The `labcycle` command as a user calls it: exit codes, one paragraph for each trouble, no traceback."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from labcycle import cli
from labcycle.cli import MOUNTED, Mounted, app
from labcycle.errors import LabcycleError
from tests.unit.config.files import TARGET, TEAM, bent, line_of, written


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good team and target."""
    written(tmp_path / "infra/teams", "fraud.yaml", TEAM)
    written(tmp_path / "infra/targets", "eu-production.yaml", TARGET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_validate_reads_the_folders_of_the_repository_by_default(repository: Path) -> None:
    result = call("validate")
    assert result.exit_code == 0
    assert "team fraud: production in eu-production, 2 members, models: card-fraud" in result.stdout
    assert result.stdout.endswith("valid\n")


def test_validate_lists_every_problem_on_stderr_and_exits_2(repository: Path) -> None:
    text = bent(TEAM, ("stage: production", "stage: prod"), ("volume_gib: 100", "volume_gib: 1"))
    written(repository / "infra/teams", "fraud.yaml", text)
    result = call("validate")
    assert result.exit_code == 2
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith(f"infra/teams/fraud.yaml:{line_of(text, 'stage: prod')}:8: stage: got prod; allowed")
    assert second.startswith(
        f"infra/teams/fraud.yaml:{line_of(text, 'volume_gib')}:15: workspaces.volume_gib: got 1; allowed"
    )


def test_validate_as_json_gives_the_places_too(repository: Path) -> None:
    assert json.loads(call("validate", "--json").stdout) == {
        "valid": True,
        "teams": ["fraud"],
        "targets": ["eu-production"],
        "problems": [],
    }
    written(repository / "infra/teams", "fraud.yaml", bent(TEAM, ("volume_gib: 100", "volume_gib: 1")))
    result = call("validate", "--json")
    assert result.exit_code == 2
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["path"], problem["line"], problem["column"]) == ("workspaces.volume_gib", 17, 15)


def test_validate_takes_single_files_and_knows_teams_from_targets(repository: Path) -> None:
    assert call("validate", "infra/teams/fraud.yaml").exit_code == 0
    assert call("validate", "infra/targets/eu-production.yaml").exit_code == 0
    assert call("validate", "infra").exit_code == 0


@pytest.mark.parametrize("path", ["infra", "infra/teams", "infra/teams/fraud.yaml"])
def test_a_team_whose_target_is_not_beside_it_is_refused(repository: Path, path: str) -> None:
    text = bent(TEAM, ("target: eu-production", "target: eu-productoin"))
    written(repository / "infra/teams", "fraud.yaml", text)
    result = call("validate", path)
    assert result.exit_code == 2
    place = f"infra/teams/fraud.yaml:{line_of(text, 'target: eu')}:9: target"
    assert result.stderr == (
        f"{place}: got eu-productoin; allowed the targets in infra/targets (eu-production). Did you mean eu-production?\n"
    )


def test_a_link_to_nowhere_is_not_passed_over(repository: Path) -> None:
    (repository / "infra/teams/growth.yaml").symlink_to(repository / "nowhere.yaml")
    result = call("validate", "infra")
    assert (result.exit_code, result.stderr.count("there is no such file")) == (2, 1)


def test_a_single_team_file_is_checked_with_the_target_beside_it(repository: Path) -> None:
    written(repository / "infra/targets", "eu-production.yaml", bent(TARGET, ("egress: nat", "egress: none")))
    result = call("validate", "infra/teams/fraud.yaml")
    assert result.exit_code == 2
    assert "no way to the tracking API" in result.stderr


@pytest.mark.parametrize("path", ["none.yaml", "empty"])
def test_a_path_without_files_exits_2(repository: Path, path: str) -> None:
    (repository / "empty").mkdir()
    result = call("validate", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(path) and "Traceback" not in result.output


@pytest.mark.parametrize("kind", ["team", "target"])
def test_schema_prints_a_json_schema(kind: str) -> None:
    result = call("schema", kind)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == f"labcycle {kind} file"


def test_schema_of_something_else_exits_2() -> None:
    result = call("schema", "model")
    assert result.exit_code == 2
    assert result.stderr == "labcycle schema: got model; allowed team or target. Name one of them\n"


def test_an_unknown_command_exits_2_and_names_the_nearest() -> None:
    result = call("vaildate")
    assert result.exit_code == 2
    assert "validate" in result.output


def test_help_lists_every_command_without_importing_the_mounted_ones() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from labcycle.cli import app\n"
        "result = CliRunner().invoke(app, ['--help']); assert result.exit_code == 0, result.output\n"
        "print(result.stdout); print('MODULES', *sorted(sys.modules), file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("validate", "schema", "check", *MOUNTED):
        assert command in run.stdout
    loaded = set(run.stderr.partition("MODULES")[2].split())
    assert not loaded & {
        "aws_cdk",
        "jsii",
        "cfnlint",
        "cloudformation_validate",
        "ministack",
        "moto",
        "mlflow",
        "numpy",
    }
    assert not loaded & {one.module for one in MOUNTED.values()}


class _Missing:
    """Finder that makes a package look as if it were not installed."""

    def __init__(self, *packages: str) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self._packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def module_from(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> str:
    written(folder, f"{name}.py", source)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    return name


@pytest.mark.parametrize(
    "source",
    [
        "import nowhere_installed\ndef register(app): ...",
        "def register(app):\n    @app.command()\n    def demo() -> None:\n        import nowhere_installed\n",
    ],
    ids=["at import", "when it runs"],
)
def test_a_command_whose_extra_is_missing_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    name = module_from(tmp_path, monkeypatch, f"mounted_{abs(hash(source))}", source)
    monkeypatch.setitem(MOUNTED, "demo", Mounted(name, "local", "A demo."))
    result = call("demo")
    assert result.exit_code == 2
    assert result.stderr == (
        "labcycle demo: the Python package nowhere_installed is missing. Install it with: pip install 'labcycle[local]'\n"
    )


def test_check_without_its_extra_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cfnlint", "cloudformation_validate")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Missing("cloudformation_validate"), *sys.meta_path])
    result = call("check", str(written(tmp_path, "t.json", '{"Resources": {}}')))
    assert result.exit_code == 2
    assert "pip install 'labcycle[check]'" in result.stderr


def test_a_mounted_group_runs_and_its_known_errors_are_one_paragraph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import typer\nfrom labcycle.errors import LabcycleError\napp = typer.Typer()\n"
        "@app.command()\ndef up(port: int = 4566) -> None:\n    if port == 1:\n        raise LabcycleError('port 1 is in use. Choose another with --port')\n"
        "    typer.echo(f'up on {port}')\n"
        "@app.command()\ndef down() -> None: ...\n"
    )
    name = module_from(tmp_path, monkeypatch, "mounted_group", source)
    monkeypatch.setitem(MOUNTED, "local", Mounted(name, "local", "A group."))
    assert call("local", "up", "--port", "7").stdout == "up on 7\n"
    assert "down" in call("local", "--help").stdout
    result = call("local", "up", "--port", "1")
    assert (result.exit_code, result.stderr) == (2, "port 1 is in use. Choose another with --port\n")


def test_what_aws_refuses_is_one_paragraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from botocore.exceptions import NoCredentialsError\n"
        "def register(app):\n    @app.command()\n    def promote() -> None:\n        raise NoCredentialsError()\n"
    )
    name = module_from(tmp_path, monkeypatch, "mounted_promote", source)
    monkeypatch.setitem(MOUNTED, "promote", Mounted(name, "", "Promote."))
    result = call("promote")
    assert result.exit_code == 2
    assert result.stderr.startswith("AWS: Unable to locate credentials") and "Traceback" not in result.output


def test_a_defect_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "def register(app):\n    @app.command()\n    def promote() -> None:\n        raise ZeroDivisionError\n"
    name = module_from(tmp_path, monkeypatch, "mounted_defect", source)
    monkeypatch.setitem(MOUNTED, "promote", Mounted(name, "", "Promote."))
    assert isinstance(call("promote").exception, ZeroDivisionError)


@pytest.mark.parametrize("command", list(MOUNTED))
def test_every_mounted_command_is_there(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_main_exits_2_on_a_known_error(repository: Path) -> None:
    written(repository / "infra/teams", "fraud.yaml", "")
    run = subprocess.run(
        [sys.executable, "-m", "labcycle.cli", "validate"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr == (
        "infra/teams/fraud.yaml:1:1: got an empty file; allowed a mapping of keys to values. Start from an example in infra/\n"
    )
    assert issubclass(cli.MissingExtra, LabcycleError) and isinstance(app, typer.Typer)
