"""The gate: all templates of an assembly, held against independent checkers and rules of our own. Imports no aws_cdk.

`template` and `estate` read what is to be deployed, and `gate` runs `checkers/` on it: `guard/` has our rules on one resource,
`rules/` those on several together, which stand on `iam/` (the evaluator), `delivery/`, `failures`, `statements` and the like.
`report`, `sarif` and `cli` say what was found. `isolation/` and `capacity` are other looks at the same templates.
"""

from .finding import Acknowledged, CheckError, Finding, Report
from .gate import check

__all__ = ["Acknowledged", "CheckError", "Finding", "Report", "check"]
