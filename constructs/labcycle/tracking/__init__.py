"""Experiment tracking: the ledger, its artifacts and its API."""

from labcycle.tracking.custody import CustodyAnchors, CustodyOutbox
from labcycle.tracking.experiment_tracking import ExperimentTracking
from labcycle.tracking.front_doors import Access
from labcycle.tracking.operations import TrackingAlarms

__all__ = ["Access", "CustodyAnchors", "CustodyOutbox", "ExperimentTracking", "TrackingAlarms"]
