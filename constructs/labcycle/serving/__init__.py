"""Serving: a model of the registry behind an HTTP API, over batches of objects, and reports of what it did."""

from labcycle.serving.batch_scoring import BatchScoring
from labcycle.serving.fargate_service import FargateModelService
from labcycle.serving.model_promotion import ModelPromotion
from labcycle.serving.model_service import ModelService
from labcycle.serving.scheduled_report import ScheduledReport

__all__ = ["BatchScoring", "FargateModelService", "ModelPromotion", "ModelService", "ScheduledReport"]
