"""Performance and business, from the outcomes in the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.outcomes import Day, Outcomes
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.monitoring.judging import Moment
from labcycle_lambdas.monitoring.realised import BusinessJudge, PerformanceJudge
from labcycle_lambdas.outcomes import business, performance
from labcycle_lambdas.outcomes.sums import Row
from tests.unit.outcomes.place import summed
from tests.unit.serving.workshop import MODEL, World, classifier

AT = datetime.now(UTC).replace(hour=12) + timedelta(days=8)  # the promotion is of now


def known(world: World, version: int, days_ago: int, truths: list[int], value: float) -> None:
    rows = [Row(1, truth, value) for truth in truths]
    day = (AT - timedelta(days=days_ago)).date().isoformat()
    outcomes = Outcomes(world.table)
    outcomes.name_version(MODEL, version)
    over = outcomes.open(MODEL, version, day, [])
    outcomes.close(MODEL, over, version, day, Day(version, day, summed(rows).to_doc(), 1), {})


def test_what_came_true_of_the_live_version_is_judged(world: World) -> None:
    version = world.register(classifier())
    world.promote(version)
    profiles = Profiles(world.table)
    settings = performance.Settings("accuracy", 0.9, minimum_rows=50, persistence=1)
    judge = PerformanceJudge(MODEL, settings, Outcomes(world.table), profiles)
    moment = Moment(AT, world.deployments.current(MODEL))
    profiles.write(MODEL, version, "a", 1, AT - timedelta(hours=2), {"rows": 10, "confidence": {"sum": 8, "rows": 10}})
    found = judge.judge(moment, SubjectState())
    assert (found.judgement.verdict, found.judgement.figures["estimate"]["accuracy"]) == ("not_enough_data", 0.8)
    known(world, version, 1, [1] * 20 + [0] * 40, 1.0)
    found = judge.judge(moment, SubjectState())
    assert (judge.subject, found.judgement.verdict, found.state.in_episode) == ("performance", "failed", True)
    assert found.told["why"] == found.judgement.reason
    nothing = judge.judge(Moment(AT, replace(moment.deployment, live=None)), SubjectState())
    assert nothing.judgement.reason == "no version is live"


def test_what_the_model_was_worth_is_judged(world: World) -> None:
    version = world.register(classifier())
    world.promote(version)
    profiles = Profiles(world.table)
    for back in range(1, 8):
        profiles.write(MODEL, version, "a", back, AT - timedelta(days=back), {"rows": 10})
        if back > 2:
            known(world, version, back, [1] * 10, 5.0)
    settings = business.Settings("money-saved", 200, minimum_rows=10, persistence=1, window_days=4)
    judge = BusinessJudge(MODEL, settings, Outcomes(world.table), profiles)
    moment = Moment(AT, world.deployments.current(MODEL))
    found = judge.judge(moment, SubjectState())
    assert (judge.subject, found.judgement.verdict, found.judgement.figures["value"]) == ("business", "good", 200)
    assert found.judgement.figures["waiting_days"] == 2
    more = BusinessJudge(MODEL, replace(settings, minimum=300), Outcomes(world.table), profiles)
    assert more.judge(moment, SubjectState()).judgement.verdict == "failed"
    nothing = judge.judge(Moment(AT, replace(moment.deployment, live=None)), SubjectState())
    assert nothing.judgement.reason == "no version is live"
