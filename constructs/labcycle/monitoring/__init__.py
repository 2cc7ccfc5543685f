"""Drift of live models, and the reaction to it."""

from labcycle.monitoring.model_monitor import ModelMonitor
from labcycle.monitoring.retraining import Retraining

__all__ = ["ModelMonitor", "Retraining"]
