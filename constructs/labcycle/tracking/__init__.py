"""Experiment tracking: the ledger, its artifacts and its API."""

from labcycle.tracking.experiment_tracking import ExperimentTracking
from labcycle.tracking.front_doors import Access

__all__ = ["Access", "ExperimentTracking"]
