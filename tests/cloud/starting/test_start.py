"""A model whose functions start ahead: the API calls the alias of the published version, and everything else is as ever."""

from __future__ import annotations

from tests.cloud.serving.test_life_cycle import LARGE, MODEL, score
from tests.cloud.team import Team


def test_the_api_reaches_the_version_by_its_alias(fraud: Team) -> None:
    scientist, reviewer = fraud.member("scientist-1"), fraud.member("reviewer-1")
    version = scientist.log_model(MODEL, LARGE)
    reviewer.promote(MODEL, version)
    answer = score(reviewer, -2.0, 1.0)
    assert (answer.json(), answer.headers["x-labcycle-model-version"]) == ({"predictions": [0, 1]}, str(version))
