"""Jobs for experiments, on machines that are there only while something runs."""

from labcycle.compute.experiment_compute import ExperimentCompute

__all__ = ["ExperimentCompute"]
