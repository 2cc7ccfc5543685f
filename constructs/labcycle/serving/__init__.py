"""Serving: a model of the registry behind an HTTP API."""

from labcycle.serving.model_service import ModelService

__all__ = ["ModelService"]
