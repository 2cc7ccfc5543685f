"""A team with a model in each form, so that every resource type that a team can have is there."""

from __future__ import annotations

from typing import Any

from tests.synth.platform.test_variants import (
    API,
    BATCH,
    CONSUMERS,
    LATER,
    REPORT,
    RETRAIN,
    SERVERLESS,
    TARGET,
    TEAM,
    model,
)

NIGHTS = {"begin": "cron(0 20 ? * MON-FRI *)", "end": "cron(0 7 ? * MON-FRI *)", "time_zone": "Europe/Berlin"}
WATCHED = {
    "drift": {"every_minutes": 60},
    "performance": {"limit": 0.9},
    "outcome": {"metric": "money-saved", "minimum": 1},
    "freshness": {"training_days": 90, "traffic_hours": 24},
    "capture": {},
    "dashboard": True,
}
EVERY_FORM: dict[str, Any] = TEAM | {
    "models": [
        model("plain"),
        model("asked", deliver=[API | {"consumers": CONSUMERS, "shadow": {}}, {"form": "app"}], promotion={}),
        model("ready", deliver=[API | {"memory_mb": 1024, "start": {"mode": "provisioned", "concurrency": 2, "off_hours": {**NIGHTS, "concurrency": 0}}}]),
        model("snapped", deliver=[API | {"memory_mb": 2048, "start": {"mode": "snap_start"}}]),
        model(
            "watched",
            deliver=[API, REPORT, BATCH | {"schedule": "rate(1 day)"}],
            monitor=WATCHED,
            retrain=RETRAIN,
            react=[{"on": ["drift"], "do": "retrain"}, {"on": ["schedule"], "do": "retrain", "schedule": "rate(30 days)"}],
        ),
        model("on-tasks", deliver=[{"form": "api", "runtime": "fargate", "cpu": 1024, "memory_mb": 2048, "minimum_tasks": 2, "off_hours": {**NIGHTS, "tasks": 0}}]),
        model("on-instances", deliver=[{"form": "api", "runtime": "sagemaker", "mode": "real_time", "minimum_instances": 2}]),
        model("on-demand", deliver=[SERVERLESS]),
        model("later", deliver=[LATER]),
        model("elsewhere", deliver=[{"form": "external"}], monitor={"capture": {}}),
    ]
}  # fmt: skip
EVERY_TARGET: dict[str, Any] = TARGET | {"api_gateway_logs": "made"}
