"""Idle cost: what a team and one more model cost in a month in which nobody asks, beside peers as they are usually set up.

    python -m benchmarks.cost

A team with three members and a model on Lambda that is watched for drift is synthesized; `labcycle cost` reads its templates. Peers are
priced by the same list, us-east-1: an MLflow server that is highly available (two tasks of Fargate with 1 vCPU and 2 GB, an internal
load balancer, a db.t3.medium with 20 GB in one zone), a managed tracking server of SageMaker, and for the model one ml.m5.large that
serves it. All are without a network, which stands below with its choices, and without what is stored. Exits 1 where a goal is missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, report
from labcycle.check.estate import Estate
from labcycle.check.template import templates_at
from labcycle.config.price_list import AS_OF, HOURS_A_MONTH, PRICES, REGION
from labcycle.cost.egress import Choice
from labcycle.cost.estimate import Estimate, target_estimates, team_estimate

TEAM_GOAL, MODEL_GOAL = 3.0, 1.0
TARGET: dict[str, Any] = {
    "target": "measured",
    "account": "111122223333",
    "region": REGION,
    "zones": [f"{REGION}a", f"{REGION}b"],
    "network": {"name": "measured", "cidr": "10.0.0.0/16", "egress": "none"},
}
TEAM: dict[str, Any] = {
    "team": "measured",
    "owner": "owner@example.com",
    "cost_centre": "cc-1",
    "target": "measured",
    "stage": "production",
    "members": [
        {"name": name, "principal": {"iam_user": name}, "roles": roles}
        for name, roles in (("ada", ["data_scientist"]), ("grace", ["reviewer", "lead"]), ("alan", ["operator"]))
    ],
    "models": [
        {
            "name": "watched",
            "business_owner": "head@example.com",
            "deliver": [{"form": "api", "runtime": "lambda", "memory_mb": 2048}],
            "monitor": {},
        }
    ],
}
MODEL_PART = "model-watched"


def measured(folder: Path) -> tuple[Estimate, tuple[Choice, ...]]:
    """What the team costs, and its target's network otherwise."""
    for kind, data in (("team", TEAM), ("target", TARGET)):
        (folder / f"{kind}s").mkdir()
        (folder / f"{kind}s" / "measured.yaml").write_text(json.dumps(data))  # JSON is YAML
    out = folder / "cdk.out"
    environment = {**os.environ, "CDK_OUTDIR": str(out), "CDK_VALIDATION": "false"}
    environment["CDK_CONTEXT_JSON"] = json.dumps({"config": str(folder)})
    subprocess.run([sys.executable, "-m", "infra.app"], check=True, env=environment)
    estate = Estate(templates_at(out))
    ((_, choices),) = target_estimates(estate, {})
    return team_estimate(estate, "measured", {}), choices


def mlflow_on_fargate() -> float:
    task = PRICES.usd("fargate_processor_hour") + 2 * PRICES.usd("fargate_gb_hour")
    hour = 2 * task + PRICES.usd("load_balancer_hour") + PRICES.usd("rds_instance_hour.db.t3.medium")
    return HOURS_A_MONTH * hour + 20 * PRICES.usd("rds_gb_month")


def managed_tracking_server() -> float:
    return HOURS_A_MONTH * PRICES.usd("mlflow_server_hour.Small")


def endpoint() -> float:
    return HOURS_A_MONTH * PRICES.usd("sagemaker_instance_hour.ml.m5.large")


def figures(estimate: Estimate) -> Iterator[Figure]:
    """With every goal in US dollars; beside a peer the same goal stands as a share of what that costs."""
    a_model = estimate.by_part()[MODEL_PART]
    a_team = estimate.usd - a_model
    later = a_team + estimate.later_usd - estimate.usd
    yield Figure("a team", a_team, "USD", TEAM_GOAL)
    for name, peer in (("MLflow on Fargate", mlflow_on_fargate()), ("a managed server", managed_tracking_server())):
        yield Figure(f"a team, beside {name}", a_team, "USD", TEAM_GOAL / peer, peer)
    yield Figure("a team, from its third year on", later, "USD", TEAM_GOAL)
    yield Figure("one more model", a_model, "USD", MODEL_GOAL)
    yield Figure("one more model, beside an instance", a_model, "USD", MODEL_GOAL / endpoint(), endpoint())


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        estimate, choices = measured(Path(folder))
    assert not estimate.unpriced, estimate.unpriced
    print(f"idle, USD a month, {REGION} prices of {AS_OF}, an estimate")
    missed = report(figures(estimate), "peer")
    for what, (count, usd) in estimate.by_what().items():
        print(f"  of team and model: {what} {count:g}: {usd:.2f}")
    rotations = estimate.later_usd - estimate.usd
    print(f"  a key that rotates costs {rotations:.2f} more once it was rotated twice, at the end of its second year")
    for choice in choices:
        print(f"  egress {choice.egress}: {choice.usd:.2f}, {choice.made_of}")
    nat = next(choice.usd for choice in choices if choice.egress == "nat")
    print(f"  MLflow on Fargate with a NAT gateway: {mlflow_on_fargate() + nat:.2f}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
