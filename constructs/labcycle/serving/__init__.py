"""Serving: a model of the registry behind an API, over batches of objects, reports of what it did, and how a version gets there."""

from labcycle._runtime import ModelRuntime
from labcycle.serving._asynchronous import Asynchronous
from labcycle.serving.batch_scoring import BatchScoring
from labcycle.serving.fargate_service import FargateModelService
from labcycle.serving.model_promotion import ModelPromotion
from labcycle.serving.model_service import ModelService
from labcycle.serving.sagemaker_service import RealTime, SageMakerModelService, Serverless
from labcycle.serving.scheduled_report import ScheduledReport
from labcycle.serving.served_elsewhere import ServedElsewhere

__all__ = [
    "Asynchronous",
    "BatchScoring",
    "FargateModelService",
    "ModelPromotion",
    "ModelRuntime",
    "ModelService",
    "RealTime",
    "SageMakerModelService",
    "ScheduledReport",
    "ServedElsewhere",
    "Serverless",
]
