"""What a model's servers are told to keep of what they predict, and where it goes."""

from __future__ import annotations

import json

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from labcycle._grants import allow
from labcycle.config import Monitor, names

_BY_CHANCES = ("log_loss", "roc_auc")


def kept(monitor: Monitor | None) -> str:
    """What is kept of predictions, as `labcycle_lambdas.model_server.keeping` reads it; "" for profiles of all rows alone."""
    if monitor is None or not (monitor.logs_predictions or monitor.cohorts):
        return ""
    told: dict[str, object] = {"log": monitor.logs_predictions, "cohorts": list(monitor.cohorts)}
    if capture := monitor.capture:
        told |= {"sample_percent": capture.percent, "redact": list(capture.redact)}
    if monitor.performance and monitor.performance.metric in _BY_CHANCES:
        told["chances"] = True
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def capture_environment(monitor: Monitor | None) -> dict[str, str]:
    """The variable of the server that says so; none where it only keeps profiles."""
    told = kept(monitor)
    return {"CAPTURE": told} if told else {}


def let_keep_predictions(grantee: iam.IGrantable, model: str, bucket: s3.IBucket) -> None:
    """Let `grantee` write the log of what the model predicts; it needs the key for that, too."""
    allow(grantee, ["s3:PutObject"], [bucket.arn_for_objects(f"{names.prediction_prefix(model)}*")])
