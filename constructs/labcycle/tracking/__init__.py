"""Experiment tracking: the ledger, its artifacts and its API."""

from labcycle.tracking.experiment_tracking import ExperimentTracking

__all__ = ["ExperimentTracking"]
