from __future__ import annotations

import os

# aws-cdk-lib's own validation costs 9 seconds a process; the gate does it.
os.environ.setdefault("CDK_VALIDATION", "false")
