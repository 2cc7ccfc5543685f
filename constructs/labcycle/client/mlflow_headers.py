"""MLflow's request-header entry point: every call of the stock client carries a key of its own.

The client repeats a call whose answer was lost up to seven times. It asks for headers once a call and repeats them, so that
the ledger knows by the key that it is the same run, model or version. Nothing of MLflow is imported here: it finds this
class by its entry point.
"""

from __future__ import annotations

import os
import uuid

IDEMPOTENCY_HEADER = "Idempotency-Key"
# A file that is put to an `mlflow-artifacts:` root is sent to the API before S3, which takes 4.5 MB at most (6 MB in base64,
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html); larger ones must go up in parts. MLflow's own
# threshold is 500 MB. Zero would break empty files.
LARGEST_PUT = 4 * 1024**2
os.environ.setdefault("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(LARGEST_PUT))


class LabcycleHeaderProvider:
    """What MLflow's registry of request-header providers expects."""

    def in_context(self) -> bool:
        return True

    def request_headers(self) -> dict[str, str]:
        return {IDEMPOTENCY_HEADER: uuid.uuid4().hex}
