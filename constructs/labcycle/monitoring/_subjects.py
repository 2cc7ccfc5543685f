"""What is watched of a model: the metric of each subject, and what its alarm tells people to do."""

from __future__ import annotations

from labcycle.config import Drift, DriftMethod, Freshness, Outcome, Performance

METRICS = {  # as labcycle_lambdas/monitoring/metrics.py publishes them
    "drift": "DriftDetected",
    "performance": "PerformanceFell",
    "business": "ValueFell",
    "freshness": "DataStale",
}
_FIGURES: dict[DriftMethod, str] = {
    "psi": "population stability index",
    "jensen_shannon": "Jensen-Shannon distance",
    "wasserstein": "Wasserstein distance (in standard deviations of the training data)",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov statistic",
}


def drift_alarm(model: str, team: str, drift: Drift) -> str:
    return (
        f"The live version of {model} (team {team}) sees other data than it was trained on: in {drift.persistence} evaluation(s) "
        f"in a row, of at least {drift.minimum_rows} rows, a feature or the prediction had a {_FIGURES[drift.method]} of "
        f"{drift.limit:g} or more. Its predictions may be wrong. See what moved: labcycle monitor report {model}. Then check the "
        f"data's source; retrain: labcycle monitor react {model} (a policy for drift does so by itself and reports); or take the "
        f"version back: labcycle models rollback {model}."
    )


def performance_alarm(model: str, team: str, performance: Performance) -> str:
    return (
        f"The predictions of {model} (team {team}) are not good enough: in {performance.persistence} evaluation(s) in a row with new outcomes, "
        f"{performance.metric} of those whose truth is known, at least {performance.minimum_rows} of {performance.window_days} day(s), missed the "
        f"limit {performance.limit:g} beyond chance. See by version, day and cohort: labcycle outcomes show {model}. Then check that the truths are "
        f"right; retrain: labcycle monitor react {model}; or take the version back: labcycle models rollback {model}."
    )


def business_alarm(model: str, team: str, outcome: Outcome) -> str:
    return (
        f"The model {model} (team {team}) is worth too little: in {outcome.persistence} evaluation(s) in a row with new outcomes, "
        f"{outcome.metric} summed up over {outcome.window_days} whole day(s) was below {outcome.minimum:g}, and so was the live version's share of "
        f"it. See since when: labcycle monitor status {model}; and by version and day: labcycle outcomes show {model}. Then take the version back: labcycle models rollback {model}; or, where the "
        f"business changed and not the model, set another minimum in the team file."
    )


def freshness_alarm(model: str, team: str, freshness: Freshness) -> str:
    limits = []
    if freshness.training_days:
        limits.append(f"its live version was trained more than {freshness.training_days} day(s) ago")
    if freshness.traffic_hours:
        limits.append(f"nobody asked it for a prediction for more than {freshness.traffic_hours} hour(s)")
    return (
        f"The model {model} (team {team}) lives on old data: {', or '.join(limits)}. See which: labcycle monitor status {model}. After "
        f"a silence look at what sends it data, and whether its API answers; an old training is mended by a new one: labcycle monitor "
        f"react {model}."
    )
