"""Reactions of a model: what they did, what the next one would do, and the review of what one trained."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.reactions import APPROVED, REJECTED, Busy, Reactions
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.decisions import reason_of
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.reaction.cannot_react import CannotReact
from labcycle_lambdas.reaction.material import Material
from labcycle_lambdas.reaction.policies import RETRAIN, Policies, Policy, spending_of

LISTED = 50


def review(call: Call) -> dict[str, Any]:
    """`decision` is `approve` or `reject`, which needs a `reason`. With `execution`, only if it is this reaction's version that waits."""
    who, body, model = call.who, call.body(), call.path["model"]
    decision, reason = body.get("decision"), reason_of(body)
    if decision not in (APPROVED, REJECTED):
        raise invalid(f"Parameter 'decision' must be {APPROVED} or {REJECTED}.")
    if decision == REJECTED and not reason:
        raise invalid("Parameter 'reason' must say why it is rejected.")
    reactions = _reactions(call)
    Registry(call.table).model(model)
    expected = body.get("execution")
    waiting = expected if isinstance(expected, str) and expected else reactions.lock(model).waiting
    if not waiting:
        raise Refused(f"No version of {model} waits for a review.")
    reactions.decide(model, waiting, decision, who, reason)
    # Written first, so that it counts whatever becomes of the token: see reaction/review.py.
    if call.machines and (token := reactions.token(model, waiting)):
        call.machines.wake(token)
    return {"execution": waiting, "decision": decision}


def listing(call: Call) -> dict[str, Any]:
    """The newest reactions first, with their stages; who holds the lock, and what waits for a review."""
    model, reactions = call.path["model"], _reactions(call)
    Registry(call.table).model(model)
    return {
        "reactions": reactions.listing(model, LISTED),
        "waiting": reactions.waiting(model) or None,
        "lock": asdict(reactions.lock(model)),
    }


def plan(call: Call) -> dict[str, Any]:
    """What a reaction on the `cause` (absent: manual) would do now, and whether it may begin; nothing is changed."""
    model, now = call.path["model"], datetime.now(UTC)
    Registry(call.table).model(model)
    published = call.machines.reaction(model) if call.machines else None
    if published is None:
        raise Refused(f"{model} has no reaction: its stack was deployed without react in the team file.")
    policies = Policies.read_doc(published)
    asked = call.asked("cause")
    try:
        number, cause = policies.chosen({} if asked is None else {"cause": asked})
    except CannotReact as error:
        raise invalid(f"{error}.") from None
    policy, reactions = policies.each[number], _reactions(call)
    problems = []
    try:
        reactions.check(model, "", policy.do, now)
    except Busy as busy:
        problems.append(busy.reason)
    said: dict[str, Any] = {
        "model": model,
        "cause": cause,
        "policy": number,
        "do": policy.do,
        "promote": policy.promote,
        "otherwise": policy.otherwise,
        "machine": published["machine"],
        "lock": asdict(reactions.lock(model)),
        "training": None,
    }
    if policy.do == RETRAIN:
        said["training"], found = _training(call, policies, policy, now)
        problems += found
    return {**said, "may_begin": not problems, "problems": problems}


def _training(call: Call, policies: Policies, policy: Policy, now: datetime) -> tuple[dict[str, Any], list[str]]:
    """What would be trained with and on, what it would take, and what stands against it."""
    model, training, bucket = call.path["model"], policies.training, call.preflight.bucket
    assert training  # a stack with such a policy publishes one
    spent, budget, estimate = _reactions(call).spent(model, now), policy.monthly_budget_usd, training.estimate
    said: dict[str, Any] = {
        "instance_type": training.instance_type,
        "maximum_minutes": training.maximum_minutes,
        "metric": training.metric,
        "minimum_gain": training.minimum_gain,
        "cohorts": list(training.cohorts),
        "maximum_cohort_loss": training.maximum_cohort_loss,
        "estimated_usd": estimate,
        "monthly_budget_usd": budget,
        "spent_usd": round(spent, 4),
        "month": f"{now:%Y-%m}",
    }
    problems = []
    material = Material(model, bucket, call.preflight.s3, Deployments(call.table), Runs(call.table))
    try:
        spending_of(training, policy, "")
        if budget is not None and estimate is not None and spent + estimate > budget:
            problems.append(
                f"it may take {estimate:.2f} USD; of {budget:.2f} USD, {spent:.2f} USD are spent this month"
            )
        said["version"], run = material.champion()
        said["run_id"], said["parameters"] = run.run_id, run.params
        said["recipe"] = f"s3://{bucket}/{material.recipe(run)}"
        prefix, said["data_files"], _ = material.data()
        said["data"] = f"s3://{bucket}/{prefix}"
    except CannotReact as error:
        problems.append(str(error))
    return said, problems


def _reactions(call: Call) -> Reactions:
    return Reactions(call.table, Custody(call.table))
