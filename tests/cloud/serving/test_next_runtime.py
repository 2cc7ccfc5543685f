"""A second runtime beside the first, as it is deployed: its packages are fetched, a version of it is tried, promoted, asked and taken back."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.alone import deployed
from tests.cloud.serving.test_runtimes import _TARGET, _TEAM, LABELS, MODEL, PACKAGES, PLACE, ROWS, log
from tests.cloud.team import COLUMNS, Member, Team
from tests.one_team import synthesized
from tests.wheels import wheel

OLDER = "0.1.0"


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("quark")
    for name, number in (("old", OLDER), ("new", None)):
        pins = [
            wheel(
                folder / "wheels",
                package,
                number if number and package == "scikit-learn" else f"{installed(package)}+next",
                module=module,
            )
            for package, module in PACKAGES.items()
        ]
        (folder / f"{name}.txt").write_text("\n".join(pins))
    runtime = {
        "flavour": "sklearn",
        "requirements": "old.txt",
        "next": {"flavour": "sklearn", "requirements": "new.txt"},
    }
    (one,) = _TEAM["models"]
    data = {**_TEAM, "models": [{**one, "deliver": [{"form": "api", "runtime": "lambda"}], "runtime": runtime}]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_FIND_LINKS", str(folder / "wheels"))
        assembly = synthesized(folder, data, _TARGET)
    with deployed(assembly, PLACE, "quark") as made:
        yield made


def promote(reviewer: Member, version: int) -> Any:
    body = {"version": str(version), "now": True}
    return reviewer.call("POST", f"/labcycle/1.0/models/{MODEL}/promote", body=body)


def scored(team: Team, caller: Any) -> Any:
    body = {"dataframe_split": {"columns": COLUMNS, "data": [list(row) for row in ROWS]}}
    return team.model(MODEL).call("POST", "/invocations", caller, body=body)


def test_versions_of_both_runtimes_are_promoted_and_taken_back(team: Team) -> None:
    scientist, reviewer = team.member("scientist-1"), team.member("reviewer-1")
    older, newer = log(scientist, logged_with=OLDER), log(scientist)
    assert promote(reviewer, older).status == 200
    first = scored(team, reviewer.caller)
    assert (first.status, first.headers["x-labcycle-model-version"]) == (200, str(older))

    assert promote(reviewer, newer).status == 200
    digest = reviewer.deployment(MODEL)["live"]["runtime"]["digest"]
    folder = Path("/tmp/runtimes") / digest
    shutil.rmtree(folder, ignore_errors=True)
    try:
        team.restart_servers()
        answer = scored(team, reviewer.caller)  # it is fetched, but the wheels of the lock hold nothing
        assert answer.status == 503 and "sklearn" in str(answer)
        assert sorted(path.name for path in folder.iterdir() if path.is_symlink()) == ["labcycle_lambdas"]
        shutil.rmtree(folder)
        folder.mkdir()
        for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
            (folder / path.name).symlink_to(path)
        (folder / "labcycle_lambdas").symlink_to(Path(__file__).parents[3] / "lambdas" / "labcycle_lambdas")
        team.restart_servers()
        second = scored(team, reviewer.caller)
        assert second.headers["x-labcycle-model-version"] == str(newer)
        assert second.json()["predictions"] == first.json()["predictions"]
        assert sum(said == label for said, label in zip(second.json()["predictions"], LABELS, strict=True)) > 115
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    back = reviewer.roll_back(MODEL)
    assert back["deployment"]["live"]["version"] == older
    team.restart_servers()
    assert scored(team, reviewer.caller).headers["x-labcycle-model-version"] == str(older)
    assert team.cloud.guard.refused == []
