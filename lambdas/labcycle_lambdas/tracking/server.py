"""What the server says of itself."""

from __future__ import annotations

from labcycle_lambdas.http import Response
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.shapes import Doc

MLFLOW_VERSION = "3.17.2"  # the protocol that is spoken; clients ask before they send spans


def info(call: Call) -> Doc:
    return {
        "store_type": "LabcycleStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": True,
        "multipart_downloads_enabled": True,
        "presigned_upload_run_id_supported": True,
        "presigned_upload_model_id_supported": True,
        "features_enabled": {"gateway": False},
    }


def version(call: Call) -> Response:
    return Response(body=MLFLOW_VERSION, headers={"content-type": "text/plain; charset=utf-8"})


def health(call: Call) -> Response:
    return Response(body="OK", headers={"content-type": "text/plain; charset=utf-8"})
