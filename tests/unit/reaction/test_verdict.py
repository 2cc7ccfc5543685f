"""Which version shall be live: by tables and by properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.reaction.scoring import LOWER_IS_BETTER, METRICS, gain
from labcycle_lambdas.reaction.verdict import Verdict, decide

VALUES = st.floats(0, 1).map(lambda value: round(value, 3))


@pytest.mark.parametrize(
    ("challenger", "champion", "previous", "minimum_gain", "expected"),
    [
        (0.9, 0.8, None, 0, Verdict.PROMOTE),
        (0.8, 0.8, None, 0, Verdict.KEEP),  # equal is not better
        (0.8, 0.9, None, 0, Verdict.KEEP),
        (0.9, 0.8, 0.5, 0, Verdict.PROMOTE),
        (0.9, 0.8, 0.9, 0, Verdict.PROMOTE),  # no worse than the version before
        (0.9, 0.8, 0.95, 0, Verdict.ROLL_BACK),
        (0.7, 0.8, 0.9, 0, Verdict.ROLL_BACK),
        (0.7, 0.8, 0.1, 0, Verdict.KEEP),
        (0.7, 0.8, 0.8, 0, Verdict.KEEP),
        (0.95, 0.9, None, 0.05, Verdict.PROMOTE),  # whatever 0.95 - 0.9 is in a computer
        (0.94, 0.9, None, 0.05, Verdict.KEEP),
        (0.5, 0.9, 0.95, 0.05, Verdict.ROLL_BACK),
        (0.94, 0.9, 0.93, 0.05, Verdict.KEEP),
        (0.93, 0.9, 0.96, 0.05, Verdict.ROLL_BACK),
    ],
)
def test_what_is_decided(
    challenger: float, champion: float, previous: float | None, minimum_gain: float, expected: Verdict
) -> None:
    assert decide("accuracy", minimum_gain, challenger=challenger, champion=champion, previous=previous) is expected


@given(st.sampled_from(list(METRICS)), st.floats(0, 0.5), VALUES, VALUES, st.none() | VALUES)
def test_what_goes_live_is_never_worse_than_any_by_more_than_the_minimum_gain(
    metric: str, minimum_gain: float, challenger: float, champion: float, previous: float | None
) -> None:
    verdict = decide(metric, minimum_gain, challenger=challenger, champion=champion, previous=previous)
    chosen = {Verdict.PROMOTE: challenger, Verdict.ROLL_BACK: previous, Verdict.KEEP: champion}[verdict]
    assert chosen is not None
    for other in (challenger, champion, previous):
        if other is not None:
            assert gain(metric, other, chosen) <= (minimum_gain if verdict is Verdict.KEEP else 0)
    if verdict is not Verdict.KEEP:
        gained = gain(metric, chosen, champion)
        assert gained > 0 and gained == pytest.approx(max(gained, minimum_gain))


@given(st.floats(0, 0.5), VALUES, VALUES, st.none() | VALUES)
def test_the_direction_of_the_metric_is_all_that_differs(
    minimum_gain: float, challenger: float, champion: float, previous: float | None
) -> None:
    turned = {
        "challenger": -challenger,
        "champion": -champion,
        "previous": None if previous is None else -previous,
    }
    for metric in LOWER_IS_BETTER:
        assert decide(metric, minimum_gain, **turned) is decide(  # type: ignore[arg-type]
            "accuracy", minimum_gain, challenger=challenger, champion=champion, previous=previous
        )
