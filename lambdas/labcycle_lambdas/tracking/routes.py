"""Which endpoint is served by what.

Paths are MLflow's, below /api/<2.0|3.0>/ or /ajax-api/<2.0|3.0>/. What MLflow knows and this function does not serve
answers 501, what nobody knows 404: the client retries neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.mlflow_error import ENDPOINT_NOT_FOUND, NOT_IMPLEMENTED, MlflowError, json_body
from labcycle_lambdas.responding import answered
from labcycle_lambdas.tracking import (
    experiments,
    logged_models,
    metrics,
    model_versions,
    presigned,
    proxied,
    registered_models,
    replay,
    rights,
    run_search,
    runs,
    server,
)
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.ledgers import Call, Ledgers
from labcycle_lambdas.tracking.unserved import UNSERVED

Serve = Callable[[Call], dict[str, Any] | Response]

ROUTES: dict[tuple[str, str], Serve] = {
    ("POST", "/2.0/mlflow/experiments/create"): experiments.create,
    ("GET", "/2.0/mlflow/experiments/get"): experiments.get,
    ("GET", "/2.0/mlflow/experiments/get-by-name"): experiments.get_by_name,
    ("POST", "/2.0/mlflow/experiments/search"): experiments.search,
    ("GET", "/2.0/mlflow/experiments/search"): experiments.search,
    ("POST", "/2.0/mlflow/experiments/search-datasets"): experiments.search_datasets,
    ("POST", "/2.0/mlflow/experiments/delete"): experiments.delete,
    ("POST", "/2.0/mlflow/experiments/restore"): experiments.restore,
    ("POST", "/2.0/mlflow/experiments/update"): experiments.update,
    ("POST", "/2.0/mlflow/experiments/set-experiment-tag"): experiments.set_tag,
    ("POST", "/2.0/mlflow/experiments/delete-experiment-tag"): experiments.delete_tag,
    ("POST", "/2.0/mlflow/runs/create"): runs.create,
    ("GET", "/2.0/mlflow/runs/get"): runs.get,
    ("POST", "/2.0/mlflow/runs/update"): runs.update,
    ("POST", "/2.0/mlflow/runs/delete"): runs.delete,
    ("POST", "/2.0/mlflow/runs/restore"): runs.restore,
    ("POST", "/2.0/mlflow/runs/log-metric"): runs.log_metric,
    ("POST", "/2.0/mlflow/runs/log-parameter"): runs.log_parameter,
    ("POST", "/2.0/mlflow/runs/set-tag"): runs.set_tag,
    ("POST", "/2.0/mlflow/runs/delete-tag"): runs.delete_tag,
    ("POST", "/2.0/mlflow/runs/log-batch"): runs.log_batch,
    ("POST", "/2.0/mlflow/runs/log-inputs"): runs.log_inputs,
    ("POST", "/2.0/mlflow/runs/outputs"): runs.log_outputs,
    ("POST", "/2.0/mlflow/runs/search"): run_search.search,
    ("POST", "/2.0/mlflow/runs/log-model"): runs.log_model,
    ("GET", "/2.0/mlflow/metrics/get-history"): metrics.get_history,
    ("GET", "/2.0/mlflow/metrics/get-history-bulk"): metrics.get_history_bulk,
    ("GET", "/2.0/mlflow/metrics/get-history-bulk-interval"): metrics.get_history_bulk_interval,
    ("GET", "/2.0/mlflow/artifacts/list"): runs.list_artifacts,
    ("POST", "/2.0/mlflow/logged-models"): logged_models.create,
    ("POST", "/2.0/mlflow/logged-models/search"): logged_models.search,
    ("GET", "/2.0/mlflow/logged-models/{model_id}"): logged_models.get,
    ("PATCH", "/2.0/mlflow/logged-models/{model_id}"): logged_models.finalize,
    ("DELETE", "/2.0/mlflow/logged-models/{model_id}"): logged_models.delete,
    ("PATCH", "/2.0/mlflow/logged-models/{model_id}/tags"): logged_models.set_tags,
    ("DELETE", "/2.0/mlflow/logged-models/{model_id}/tags/{tag_key...}"): logged_models.delete_tag,
    ("POST", "/2.0/mlflow/logged-models/{model_id}/params"): logged_models.log_params,
    ("GET", "/2.0/mlflow/logged-models/{model_id}/artifacts/directories"): logged_models.list_artifacts,
    ("POST", "/2.0/mlflow/registered-models/create"): registered_models.create,
    ("GET", "/2.0/mlflow/registered-models/get"): registered_models.get,
    ("GET", "/2.0/mlflow/registered-models/search"): registered_models.search,
    ("POST", "/2.0/mlflow/registered-models/rename"): registered_models.rename,
    ("PATCH", "/2.0/mlflow/registered-models/update"): registered_models.update,
    ("DELETE", "/2.0/mlflow/registered-models/delete"): registered_models.delete,
    ("POST", "/2.0/mlflow/registered-models/set-tag"): registered_models.set_tag,
    ("DELETE", "/2.0/mlflow/registered-models/delete-tag"): registered_models.delete_tag,
    ("POST", "/2.0/mlflow/registered-models/get-latest-versions"): registered_models.get_latest_versions,
    ("GET", "/2.0/mlflow/registered-models/get-latest-versions"): registered_models.get_latest_versions,
    ("POST", "/2.0/mlflow/registered-models/alias"): registered_models.set_alias,
    ("GET", "/2.0/mlflow/registered-models/alias"): registered_models.get_by_alias,
    ("DELETE", "/2.0/mlflow/registered-models/alias"): registered_models.delete_alias,
    ("POST", "/2.0/mlflow/model-versions/create"): model_versions.create,
    ("GET", "/2.0/mlflow/model-versions/get"): model_versions.get,
    ("GET", "/2.0/mlflow/model-versions/search"): model_versions.search,
    ("GET", "/2.0/mlflow/model-versions/get-download-uri"): model_versions.get_download_uri,
    ("PATCH", "/2.0/mlflow/model-versions/update"): model_versions.update,
    ("POST", "/2.0/mlflow/model-versions/transition-stage"): model_versions.transition_stage,
    ("POST", "/2.0/mlflow/model-versions/set-tag"): model_versions.set_tag,
    ("DELETE", "/2.0/mlflow/model-versions/delete-tag"): model_versions.delete_tag,
    ("DELETE", "/2.0/mlflow/model-versions/delete"): model_versions.delete,
    ("PUT", "/2.0/mlflow-artifacts/artifacts/{artifact_path...}"): proxied.upload,
    ("GET", "/2.0/mlflow-artifacts/artifacts/{artifact_path...}"): proxied.download,
    ("DELETE", "/2.0/mlflow-artifacts/artifacts/{artifact_path...}"): proxied.delete,
    ("GET", "/2.0/mlflow-artifacts/artifacts"): proxied.listing,
    ("GET", "/2.0/mlflow-artifacts/presigned/{artifact_path...}"): proxied.presigned,
    ("POST", "/2.0/mlflow-artifacts/mpu/create/{artifact_path...}"): proxied.begin_upload,
    ("POST", "/2.0/mlflow-artifacts/mpu/complete/{artifact_path...}"): proxied.complete_upload,
    ("POST", "/2.0/mlflow-artifacts/mpu/abort/{artifact_path...}"): proxied.abort_upload,
    ("POST", "/2.0/mlflow/artifacts/presigned-upload-url"): presigned.upload_url,
    ("POST", "/2.0/mlflow/artifacts/presigned-download-url"): presigned.download_url,
    ("POST", "/2.0/mlflow/upload-artifact"): presigned.upload,
    ("GET", "/2.0/mlflow/logged-models/{model_id}/artifacts/files"): presigned.file_of_logged_model,
    ("GET", "/get-artifact"): presigned.file_of_run,
    ("GET", "/model-versions/get-artifact"): presigned.file_of_version,
    ("GET", "/3.0/mlflow/server-info"): server.info,
    ("GET", "/version"): server.version,
    ("GET", "/health"): server.health,
}


_FILES = (proxied.upload, presigned.upload)  # their body is a file


def answer(ledgers: Ledgers, request: Request) -> Response:
    """The answer to a request, errors of the caller included."""
    return answered(lambda: _do(ledgers, request))


def _do(ledgers: Ledgers, request: Request) -> Response:
    serve, path = _find(request.method, _plain(request.path))
    ledgers.members.require(rights.needed(request.method, serve), request)
    ledgers.shedding.admit(request)
    has_body = request.method not in ("GET", "HEAD") and serve not in _FILES
    arguments = Arguments(json_body(request)) if has_body else Arguments.from_query(request.query)
    call = Call(ledgers, request, path, arguments)
    found = replay.answer(call, serve)
    return found if isinstance(found, Response) else Response(body=call.presented(found))


def _plain(path: str) -> str:
    """The path below /api or /ajax-api."""
    for base in ("/ajax-api/", "/api/"):
        if path.startswith(base):
            return path[len(base) - 1 :]
    return path


def _find(method: str, path: str) -> tuple[Serve, dict[str, str]]:
    if serve := ROUTES.get((method, path)):
        return serve, {}
    for (verb, template), serve in ROUTES.items():
        if verb == method and "{" in template and (match := _pattern(template).fullmatch(path)):
            return serve, match.groupdict()
    shown = f"{method} {path[:200]}"
    if any(verb == method and _pattern(template).fullmatch(path) for verb, template in UNSERVED):
        raise MlflowError(
            NOT_IMPLEMENTED,
            f"{shown} is not served by labcycle. Experiments, runs, logged models and the model registry are; artifacts go "
            f"straight to S3.",
        )
    raise MlflowError(ENDPOINT_NOT_FOUND, f"There is no endpoint {shown}.")


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """`{name}` stands for one segment, `{name...}` for all that follow."""
    pattern = re.escape(template).replace(r"\{", "{").replace(r"\}", "}").replace(r"\.\.\.", "...")
    pattern = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", pattern)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), re.DOTALL)
