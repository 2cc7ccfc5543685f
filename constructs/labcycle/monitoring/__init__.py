"""Drift of live models, and the reaction to it."""

from labcycle.monitoring.dashboard import ModelDashboard, Panel
from labcycle.monitoring.model_monitor import ModelMonitor
from labcycle.monitoring.reaction import ModelReaction
from labcycle.monitoring.saved_queries import SavedQueries

__all__ = ["ModelDashboard", "ModelMonitor", "ModelReaction", "Panel", "SavedQueries"]
