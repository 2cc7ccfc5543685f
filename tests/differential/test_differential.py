from __future__ import annotations

from collections.abc import Iterator

import pytest

from labcycle_lambdas.tracking.routes import ROUTES
from tests.differential.comparison import difference, message_class
from tests.differential.differences import DIFFERENCES, does_not_fit
from tests.differential.page import PAGE, page
from tests.differential.scenarios import ENDPOINTS, scenario
from tests.differential.sessions import session
from tests.differential.sides import Pair, both
from tests.differential.steps import Step
from tests.differential.trial import Tally, Trial

SEED = 2
SCENARIOS = range(100, 124)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with both() as made:
        yield made


def test_raw_requests(pair: Pair) -> None:
    tally = Tally()
    found = [(n, s.where, str(s.exchange.step)) for n in SCENARIOS for s in Trial(pair, tally).run(scenario(SEED, n))]
    assert found == []
    assert tally.calls > len(SCENARIOS) * 15
    assert tally.malformed > tally.calls // 7


def test_the_stock_client(pair: Pair) -> None:
    assert [where for number in range(2) if (where := session(pair, SEED, number)[1])] == []


def test_a_wrong_answer_is_found(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees one tag that is not stored, in an answer that nobody asked for."""
    create = Step(0, "POST runs/create", "/api/2.0/mlflow/runs/create", {"experiment_id": "0", "start_time": 1})
    tag = Step(1, "POST runs/set-tag", "/api/2.0/mlflow/runs/set-tag", {"run_id": "@run#0", "key": "k", "value": "1"})
    assert Trial(pair, Tally()).run([create, tag]) == []
    monkeypatch.setitem(ROUTES, ("POST", "/2.0/mlflow/runs/set-tag"), lambda call: {})
    found = Trial(pair, Tally()).run([create, tag])
    assert {surprise.exchange.step.endpoint for surprise in found} == {"POST runs/search", "GET runs/get"}


def test_scenarios_are_the_same_for_the_same_number() -> None:
    assert scenario(1, 7) == scenario(1, 7)
    assert scenario(1, 7) != scenario(1, 8)


def test_every_endpoint_of_experiments_runs_and_models_is_asked() -> None:
    served = {
        f"{method} {path.removeprefix('/2.0/mlflow/')}".replace("...}", "}")
        for method, path in ROUTES
        if path.startswith("/2.0/mlflow/")
    }
    without = {f"{method} {path}" for method, path in _TRANSFERS}
    assert served - without == set(ENDPOINTS)


_TRANSFERS = (
    ("POST", "artifacts/presigned-download-url"),
    ("POST", "artifacts/presigned-upload-url"),
    ("GET", "logged-models/{model_id}/artifacts/files"),
    ("POST", "upload-artifact"),
)


def test_a_body_that_does_not_fit() -> None:
    def step(**values: object) -> Step:
        return Step(0, "POST runs/log-metric", "", {"run_id": "x", "key": "k", "value": 1, "timestamp": 1, **values})

    assert not does_not_fit(step(step="3", value="NaN"))
    assert does_not_fit(step(step=1.5))
    assert does_not_fit(step(timestamp=2**63))
    assert does_not_fit(step(key=5))


def test_where_answers_part() -> None:
    assert difference({"a": [{"b": 1}]}, {"a": [{"b": 1}]}) == ""
    assert difference({"a": [{"b": 1}]}, {"a": [{"b": 2}]}) == ".a[0].b: stock 1, ours 2"
    assert difference({"a": 1}, {}).startswith(".a: only stock")
    assert difference([1], [True]) != ""
    assert message_class("Invalid value 5 for parameter 'x'") == "Invalid value"


def test_the_page_lists_the_differences() -> None:
    assert PAGE.read_text() == page()
    assert len({known.name for known in DIFFERENCES}) == len(DIFFERENCES)
