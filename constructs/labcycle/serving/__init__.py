"""Serving: a model of the registry behind an HTTP API, and over batches of objects."""

from labcycle.serving.batch_scoring import BatchScoring
from labcycle.serving.model_service import ModelService

__all__ = ["BatchScoring", "ModelService"]
