"""The metrics by which versions are compared: those that the reaction can measure, and whose better direction it knows."""

from __future__ import annotations

from typing import Literal, get_args

Metric = Literal["accuracy", "balanced_accuracy", "log_loss", "roc_auc", "rmse", "mae", "r2"]

METRICS: tuple[Metric, ...] = get_args(Metric)
