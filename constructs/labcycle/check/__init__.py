"""The gate: every distinct template of an assembly, held against independent checkers. Imports no aws_cdk."""

from .finding import Acknowledged, CheckError, Finding, Report
from .gate import check

__all__ = ["Acknowledged", "CheckError", "Finding", "Report", "check"]
