"""Files that are broken in one way are refused when they are read, with place and mend; never later, never otherwise.

A fault has ten examples, each in another valid configuration; both ways of reading files must refuse them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from labcycle.config import ConfigError, load_all, load_paths
from tests.generated.faults import FAULTS, Draw, Files, whole_files
from tests.generated.strategies import STYLES

EXAMPLES_OF_A_FAULT = 10
_MEND = re.compile(
    r"(Add|Check|Choose|Copy|Give|Indent|Keep|Name|Push|Remove|Rename|Save|Set|Shorten|Start|Use|Write|Did you mean|See) ?[^.]*"
)
generated = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@settings(generated, max_examples=30)
@given(files=whole_files(), style=st.sampled_from(STYLES))
def test_what_is_broken_here_was_valid(files: Files, style: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files.write(Path(folder), style)
        teams, _ = load_all(Path(folder) / "teams", Path(folder) / "targets")
        assert [team.team for team in teams] == [files.team["team"]]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.__name__))
def test_it_is_refused_with_place_and_mend(fault: Callable[[Draw, Files], None]) -> None:
    seen = []

    @settings(generated, max_examples=EXAMPLES_OF_A_FAULT)
    @given(data=st.data(), files=whole_files(), style=st.sampled_from(STYLES))
    def broken(data: st.DataObject, files: Files, style: str) -> None:
        fault(data.draw, files)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files.write(folder, style)
            with pytest.raises(ConfigError) as by_kind:
                load_all(folder / "teams", folder / "targets")
            with pytest.raises(ConfigError) as by_content:
                load_paths([folder])
            for refused in (by_kind, by_content):
                for problem in refused.value.problems:
                    text = str(problem)
                    assert "\n" not in text
                    assert Path(problem.file).is_file() and problem.line > 0 and problem.column > 0, text
                    assert _MEND.search(problem.message.partition("; allowed ")[2] or problem.message), text
        seen.append(fault)

    broken()
    assert len(seen) == EXAMPLES_OF_A_FAULT
