"""Files of a run, a logged model or a registered version: addresses in S3 to read and write them, and MLflow's UI."""

from __future__ import annotations

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.mlflow_error import BAD_REQUEST, MlflowError, invalid
from labcycle_lambdas.tracking import proxied
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.artifacts import URL_SECONDS, plain_path
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.limits import check_run_id, check_version
from labcycle_lambdas.tracking.shapes import Doc

MOST_SECONDS = 3_600  # the function's own session ends some hours from now, and its addresses with it
NOTE_BYTES = 4_000_000  # Lambda takes 6 MB, in base64
_UPLOAD_SECONDS = 900


def upload_url(call: Call) -> Doc:
    arguments = call.arguments
    run_id, model_id = arguments.text("run_id"), arguments.text("model_id")
    if bool(run_id) == bool(model_id):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    path = plain_path(arguments.required_text("path"))
    seconds = _seconds(arguments, _UPLOAD_SECONDS)
    root = _of_run(call) if run_id else call.ledgers.logged_models.get(model_id).artifact_uri
    return {"presigned_url": call.ledgers.artifacts.upload_url(f"{root}/{path}", seconds=seconds), "headers": {}}


def download_url(call: Call) -> Doc:
    arguments = call.arguments
    check_run_id(arguments)
    path = plain_path(arguments.required_text("path"))
    seconds = _seconds(arguments, URL_SECONDS)
    location = f"{_of_run(call)}/{path}"
    size = call.ledgers.artifacts.size(location)
    url = call.ledgers.artifacts.download_url(location, seconds=seconds)
    return {"presigned_url": url, "headers": {}, "file_size": size}


def file_of_run(call: Call) -> Response:
    path = plain_path(call.arguments.required_text("path"))
    return _sent_to_file(call, f"{_of_run(call)}/{path}")


def file_of_logged_model(call: Call) -> Response:
    path = call.arguments.text("artifact_file_path")
    if not path:
        raise MlflowError(BAD_REQUEST, 'Request must include the "artifact_file_path" query parameter.')
    model = call.ledgers.logged_models.get(call.path["model_id"])
    return _sent_to_file(call, f"{model.artifact_uri}/{plain_path(path)}")


def file_of_version(call: Call) -> Response:
    """The bytes that the version stands for, whatever lies there today."""
    path = plain_path(call.arguments.required_text("path"))
    version = call.ledgers.registry.version(call.arguments.required_text("name"), check_version(call.arguments))
    file = next((file for file in version.files if file.path == path), None)
    if file is None:
        raise NotFound(f"No such artifact: '{path}'")
    location = f"{version.location}/{path}"
    return proxied.sent_to(call.ledgers.artifacts.download_url(location, version_id=file.version_id))


def upload(call: Call) -> Doc:
    """A picture or a file of a run's notes, as MLflow's UI sends it: the one body that passes through, since it is small."""
    query = Arguments.from_query(call.request.query)
    for name in ("run_uuid", "path"):
        if not query.text(name):
            raise invalid(f"Request must specify {name}.")
    path, content = plain_path(query.text("path")), call.request.body
    if not content:
        raise invalid("Request must specify data.")
    if len(content) > NOTE_BYTES:
        raise invalid(
            f"Artifact size is too large. Max size is {NOTE_BYTES} bytes; log larger ones with MLflow's client."
        )
    root = call.ledgers.runs.get(check_run_id(query)).artifact_uri
    content_type = call.request.headers.get("content-type") or "application/octet-stream"
    call.ledgers.artifacts.put(f"{root}/{path}", content, content_type)
    return {}


def _sent_to_file(call: Call, location: str) -> Response:
    call.ledgers.artifacts.size(location)
    return proxied.sent_to(call.ledgers.artifacts.download_url(location))


def _of_run(call: Call) -> str:
    return call.ledgers.runs.get(check_run_id(call.arguments)).artifact_uri


def _seconds(arguments: Arguments, default: int) -> int:
    seconds = arguments.integer("expiration", default)
    if not 1 <= seconds <= MOST_SECONDS:
        raise invalid(f"expiration must be between 1 and {MOST_SECONDS} seconds (got {seconds}).")
    return seconds
