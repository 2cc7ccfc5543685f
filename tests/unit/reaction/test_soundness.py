"""What keeps a challenger from going live though it is better in the mean: cohorts that lose, and rows that it cannot answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.reaction import cohorts, odd_inputs
from tests.unit.reaction.workbench import Workbench, turned
from tests.unit.serving.workshop import FEATURES, MODEL, World

ROWS = Table(["age", "kind", "sum"], [[age, "ab"[age % 2], age / 2] for age in range(120)])
TRUTH = [0] * 120


def said(values: list[int]) -> dict[str, list[int]]:
    return {"label": values}


def test_a_cohort_that_loses_is_found() -> None:
    champion = said([1 if age % 4 == 0 else 0 for age in range(120)])  # wrong for half of a
    challenger = said([1 if age % 20 == 1 else 0 for age in range(120)])  # wrong for a tenth of b
    found = cohorts.measured("accuracy", ["kind", "nowhere"], ROWS, TRUTH, challenger, champion)
    assert [(one.value, one.rows, one.challenger, one.champion) for one in found] == [
        ("a", 60, 1.0, 0.5),
        ("b", 60, 0.9, 1.0),
    ]
    assert cohorts.objections(found, None) == []
    assert cohorts.objections(found, 0.1) == [], "as much as is allowed"
    (against,) = cohorts.objections(found, 0.09)
    assert "it is worse by 0.1 for the 60 rows with kind b (0.9, live 1; allowed is 0.09)" in against


def test_lower_may_be_better_in_a_cohort() -> None:
    far, near = said([2] * 120), said([1] * 120)
    found = cohorts.measured("mae", ["kind"], ROWS, TRUTH, far, near)
    assert [one.gain for one in found] == [-1, -1]
    assert len(cohorts.objections(found, 0.5)) == 2


def test_small_cohorts_and_those_that_do_not_allow_the_metric_are_left_out() -> None:
    assert cohorts.measured("accuracy", ["age"], ROWS, TRUTH, said(TRUTH), said(TRUTH)) == []
    chances: dict[str, list[Any]] = {"label": TRUTH, "probability_0": [0.5] * 120, "probability_1": [0.5] * 120}
    assert cohorts.measured("roc_auc", ["kind"], ROWS, TRUTH, chances, chances) == []


def test_only_the_largest_cohorts_are_measured() -> None:
    rows = Table(["c"], [[n % 25] for n in range(25 * 50 + 1)])
    truth = [0] * len(rows.rows)
    found = cohorts.measured("accuracy", ["c"], rows, truth, said(truth), said(truth))
    assert len(found) == cohorts.MOST and found[0].value == "0"


def fine(table: Table) -> list[dict[str, Any]]:
    return [{"label": 1, "chances": {"0": 0.5, "1": 0.5}} for _ in table.rows]


def where(column: str, test: Any, answer: Mapping[str, Any] | None) -> Any:
    """A version that answers `answer`, or fails, where the value of the column is such a one."""

    def asked(table: Table) -> list[Mapping[str, Any]]:
        value = table.rows[0][(table.columns or []).index(column)]
        if not test(value):
            return list(fine(table))
        if answer is None:
            raise invalid("it does not know what to do")
        return [answer]

    return asked


@pytest.mark.parametrize(
    ("column", "test", "what"),
    [
        ("age", lambda value: value is None, "age is missing"),
        ("age", lambda value: value is not None and value > 500, "age is far above what was seen"),
        ("sum", lambda value: value is not None and value < 0, "sum is far below what was seen"),
        ("kind", lambda value: value == "never seen before", "kind was never seen"),
        ("kind", lambda value: value == "", "kind is empty"),
    ],
)
def test_what_the_live_version_answers_the_new_one_must_answer(column: str, test: Any, what: str) -> None:
    broken = where(column, test, None)
    asked, (against,) = odd_inputs.objections(ROWS, broken, fine)
    assert (
        against == f"it fails where {what}, which the live version answers: it does not know what to do" and asked > 20
    )
    assert odd_inputs.objections(ROWS, broken, broken)[1] == [], "what the live version does not answer either"
    assert odd_inputs.objections(ROWS, fine, broken)[1] == []


@pytest.mark.parametrize(
    "answer", [{"label": None}, {"label": math.inf}, {"label": 1, "chances": {"0": None}}, {"x": [1.0, None]}]
)
def test_an_answer_that_is_no_finite_number_is_none(answer: dict[str, Any]) -> None:
    odd = where("age", lambda value: value == 0 and isinstance(value, int), answer)
    against = odd_inputs.objections(ROWS, odd, fine)[1]
    assert against and all("is no finite number where" in one for one in against)
    assert odd_inputs.objections(ROWS, odd, odd)[1] == []


def test_few_of_many_objections_are_told() -> None:
    def never(table: Table) -> list[Mapping[str, Any]]:
        raise invalid("no")

    asked, against = odd_inputs.objections(ROWS, never, fine)
    assert len(against) == 6 and against[-1] == f"and {asked - 5} more rows"


CELLS = st.sampled_from([None, 0, -3, 10**6, 0.5, -2.25, math.nan, "", "a"])


@given(st.integers(0, 60), st.integers(0, 30), st.data())
def test_odd_rows_are_few_whole_and_ask_each_column(width: int, height: int, data: st.DataObject) -> None:
    columns = [f"c{n}" for n in range(width)]
    row = data.draw(st.lists(CELLS, min_size=width, max_size=width))
    rows = [row[n % width :] + row[: n % width] if width else [] for n in range(height)]
    found = odd_inputs.odd_rows(Table(columns, rows))
    assert len(found) <= odd_inputs.MOST_ROWS
    assert all(len(row) == len(columns) for _, row in found)
    if rows:
        for column in columns:
            assert any(what.startswith(f"{column} ") for what, _ in found)


def test_a_challenger_that_loses_in_a_cohort_does_not_go_live(world: World) -> None:
    """All rows of the holdout are one cohort here, so that the loss is that of the whole."""
    bench = Workbench(world, cohorts=["kind"], maximum_cohort_loss=0.05)
    bench.champion()
    begun = bench.do("begin")
    bench.trained(begun, turned(), flipped=True)
    version = bench.do("register", begun=begun)["version"]
    with pytest.MonkeyPatch.context() as patch:
        one = cohorts.Cohort("kind", "b", 60, 0.5, 0.9, -0.4)
        patch.setattr(cohorts, "measured", lambda *_: [one])
        compared = bench.do("compare", begun=begun, version=version)
    assert compared["challenger"] > compared["champion"] and compared["decision"] == "keep"
    assert compared["cohorts"] == [
        {"field": "kind", "value": "b", "rows": 60, "challenger": 0.5, "champion": 0.9, "gain": -0.4}
    ]
    message = bench.do("keep", compared=compared)["notice"]["message"]
    assert "Version 2 does not go live: it is worse by 0.4 for the 60 rows with kind b" in message
    assert "60 rows with kind b: 0.5 (live 0.9)" in message
    assert bench.live() == 1 and bench.actions()[-1] == "challenger_rejected"


def test_real_models_are_probed(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    compared = bench.through_compare()
    assert compared["probed_rows"] == 20 + 4 * len(FEATURES) and compared["objections"] == []
    assert bench.do("promote", compared=compared)["outcome"] == "promoted"
    assert world.deployments.current(MODEL).live
