"""Drift of live models, and the reaction to it."""

from labcycle.monitoring.dashboard import ModelDashboard, Panel
from labcycle.monitoring.model_monitor import ModelMonitor
from labcycle.monitoring.retraining import Retraining
from labcycle.monitoring.saved_queries import SavedQueries

__all__ = ["ModelDashboard", "ModelMonitor", "Panel", "Retraining", "SavedQueries"]
