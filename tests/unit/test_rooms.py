"""Who may import whom. The rooms stay apart only while something checks it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import constructs
import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "constructs" / "labcycle"
CAPABILITIES = {"network", "foundation", "tracking", "workspaces", "compute", "serving", "monitoring"}
CDK = {"aws_cdk", "constructs", "jsii"}


def imports(path: Path) -> Iterator[str]:
    """Dotted names of every module that a file imports, relative ones made absolute."""
    package = path.relative_to(ROOT).with_suffix("").parts[1:-1]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            module = base + (node.module or "")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def offences(folder: Path, forbidden: set[str]) -> list[str]:
    """`file: module` for each import below `folder` of something in `forbidden` (a top name, or a dotted prefix)."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for name in imports(path):
            if any(name == bad or name.startswith(bad + ".") for bad in forbidden):
                found.append(f"{path.relative_to(ROOT)}: {name}")
    return found


def test_lambda_code_runs_without_the_library_and_without_cdk() -> None:
    found = offences(ROOT / "lambdas", CDK | {"labcycle", "infra", "mlflow"})
    # The flavour pyfunc is MLflow's own, which a model's lock brings.
    assert found == ["lambdas/labcycle_lambdas/model_server/pyfunc_model.py: mlflow.pyfunc"]


def test_library_never_imports_lambda_code_or_the_app() -> None:
    assert offences(LIBRARY, {"labcycle_lambdas", "infra"}) == []


@pytest.mark.parametrize(
    "room", ["config", "client", "check", "cost", "local", "demo", "upgrade", "removal", "lineage", "sweeps"]
)
def test_rooms_that_work_without_cdk(room: str) -> None:
    assert (LIBRARY / room).is_dir()
    assert offences(LIBRARY / room, CDK) == []


@pytest.mark.parametrize("capability", sorted(CAPABILITIES))
def test_capabilities_meet_only_in_the_platform(capability: str) -> None:
    others = {f"labcycle.{other}" for other in CAPABILITIES - {capability}}
    others |= {"labcycle.platform", "labcycle.local", "labcycle.demo", "labcycle.cli"}
    assert offences(LIBRARY / capability, others) == []


def test_the_command_line_starts_without_the_extras() -> None:
    top_level = [
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.parse((LIBRARY / "cli.py").read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    heavy = CDK | {"moto", "ministack", "mlflow", "cfnlint", "labcycle.local", "labcycle.platform", "labcycle.demo"}
    assert [name for name in top_level if any(name == bad or name.startswith(bad + ".") for bad in heavy)] == []


def test_the_folder_constructs_never_hides_the_dependency_of_that_name() -> None:
    assert not (ROOT / "constructs" / "__init__.py").exists()
    assert [p.name for p in (ROOT / "constructs").glob("*.py")] == []
    assert constructs.__file__ is not None
    assert ROOT / "constructs" not in Path(constructs.__file__).resolve().parents


def test_the_rule_itself_catches_an_offence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "lambdas" / "labcycle_lambdas" / "x" / "y.py"
    bad.parent.mkdir(parents=True)
    bad.write_text("def f():\n    from aws_cdk import Stack\n    from ..ledger import table\n")
    monkeypatch.setattr("tests.unit.test_rooms.ROOT", tmp_path)
    assert offences(tmp_path, {"aws_cdk"})
    assert "labcycle_lambdas.ledger" in set(imports(bad))
