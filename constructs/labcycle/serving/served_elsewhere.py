"""A model that is served elsewhere, by what sends its records."""

from __future__ import annotations

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._runtime import ModelRuntime
from labcycle.config import Monitor, names
from labcycle.serving._capture import kept
from labcycle.serving.model_api import publish_runtime


class ServedElsewhere(Construct):
    """Tells the tracking API that `model` is served elsewhere, so that it takes its records (docs/records.md): profiles and predictions
    of them are kept as those of a model server are. Where predictions are kept, `ExperimentTracking.let_keep_records` gives it the right.

    It costs nothing, unless names of columns in `monitor` fill more than 4 KB: then 0.05 USD a month (estimate, January 2026).

    Parameters
    ----------
    team, model
        Names of the team and of the registered model.
    monitor
        What is watched. It decides whether predictions are kept, and what of them (docs/capture.md). Absent: profiles alone.
    runtime
        What versions are loaded with where they are compared. Absent: ONNX Runtime, and versions of other flavours may be live, but
        are compared with none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        monitor: Monitor | None = None,
        runtime: ModelRuntime | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        ssm.StringParameter(
            self,
            "Records",
            parameter_name=names.records_parameter(team, model),
            string_value=kept(monitor) or "{}",
            tier=ssm.ParameterTier.INTELLIGENT_TIERING,
            description=f"What is kept of the records of {model}",
        )
        if runtime is not None:
            publish_runtime(self, team, model, runtime)
