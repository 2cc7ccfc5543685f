"""The requirements that generated files name, and the wheels of them, which hold nothing."""

from __future__ import annotations

from pathlib import Path

from tests.wheels import wheel

_VERSION = "0.0.1+generated"  # of which no index has a package
_PACKAGES = {
    "sklearn": ("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"),
    "xgboost": ("xgboost-cpu", "numpy", "scipy"),
    "lightgbm": ("lightgbm", "numpy", "scipy"),
    "pyfunc": ("mlflow-skinny", "numpy", "pandas", "pyyaml"),
}


def write_locks(teams: Path) -> None:
    """Beside the files of teams in a folder, what they name; their wheels lie there too."""
    folder = teams / "requirements"
    folder.mkdir(parents=True, exist_ok=True)
    for flavour, packages in _PACKAGES.items():
        lines = [wheel(wheels_of(teams), package, _VERSION) for package in packages]
        (folder / f"{flavour}.txt").write_text("\n".join([*lines, ""]))


def wheels_of(teams: Path) -> Path:
    """Where pip finds the wheels."""
    return teams / "wheels"
