"""Every endpoint that a team's API serves: what it takes and what it answers.

The protocol is MLflow's (https://mlflow.org/docs/latest/api_reference/rest-api.html), below /api/2.0 and /api/3.0; the life
cycle's own endpoints are below /labcycle/1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from labcycle.openapi.records import (
    EXPERIMENT_ID,
    MODEL_ID,
    MODEL_STATUS,
    RUN_ID,
    RUN_STATUS,
    STAGE,
    TIME,
    TOKEN,
    VERSION,
)
from labcycle.openapi.schema import (
    ANYTHING,
    BOOLEAN,
    DOUBLE,
    INT32,
    INT64,
    MILLISECONDS,
    STRING,
    Schema,
    array,
    either,
    nullable,
    one_of,
    ref,
    shape,
    text,
    whole,
)

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
VIEW = {**one_of("ACTIVE_ONLY", "DELETED_ONLY", "ALL"), "default": "ACTIVE_ONLY"}
FILTER = text("MLflow's grammar: `metrics.loss < 0.5 AND tags.team = 'a'`.")
ORDER = array(STRING, description="`metrics.loss DESC`, the first one first.")
METRIC: dict[str, Schema] = {
    "key!": text(longest=250, shortest=1),
    "value!": DOUBLE,
    "timestamp!": {**MILLISECONDS, "minimum": 0},
    "step": {**INT64, "default": 0},
    "model_id": text("Of a logged model, to which the point belongs too."),
    "dataset_name": text(longest=500),
    "dataset_digest": text(longest=36),
}
PARAM: dict[str, Schema] = {"key!": text(longest=250, shortest=1), "value": text("Cut at 6,000 characters.")}
TAG: dict[str, Schema] = {"key!": text(longest=250, shortest=1), "value": text("Cut at 8,000 characters.")}
NEW_TAGS = array(shape(TAG))
NEW_PARAMS = array(shape(PARAM))
NAME = text(shortest=1)
MODEL_NAME = text("Without `/` and `:`.", shortest=1, longest=256)
DESCRIPTION = text(longest=5_000)
REGISTRY_VALUE = text(longest=100_000)
EXPERIMENT, RUN, MODEL, VERSION_REF = ref("Experiment"), ref("Run"), ref("RegisteredModel"), ref("ModelVersion")
NOTHING = shape({})
LOGGED = shape({"model!": ref("LoggedModel")})
ONE_MODEL = shape({"registered_model!": MODEL})
ONE_VERSION = shape({"model_version!": VERSION_REF})
VERSIONS = shape({"model_versions": array(VERSION_REF)})
RUNS_SERIES = array(RUN_ID, most=100)


@dataclass(frozen=True)
class Endpoint:
    """`fields` are parameters of the query of a GET, and of the JSON body of all else, `query` of the query of all else.

    `answer` None: plain text; "page": HTML; "sent on": 307 to an address in S3, with method and body. `takes_file`: the body is a file.
    """

    method: Method
    path: str
    summary: str
    fields: Mapping[str, Schema] = field(default_factory=dict)
    answer: Schema | Literal["page", "sent on"] | None = field(default_factory=lambda: NOTHING)
    query: Mapping[str, Schema] = field(default_factory=dict)
    takes_file: bool = False


def files(*names: str) -> dict[str, Schema]:
    return {**{f"{name}!": STRING for name in names}, "root_uri!": STRING, "files": array(ref("FileInfo"))}


_EXPERIMENTS = "/api/2.0/mlflow/experiments/"
_SEARCH_EXPERIMENTS: dict[str, Schema] = {
    "max_results!": whole(1, 50_000),
    "filter": FILTER,
    "order_by": ORDER,
    "view_type": VIEW,
    "page_token": TOKEN,
}
_FOUND_EXPERIMENTS = shape({"experiments": array(EXPERIMENT), "next_page_token": TOKEN})

EXPERIMENTS = (
    Endpoint(
        "POST",
        _EXPERIMENTS + "create",
        "Create an experiment.",
        {
            "name!": text(shortest=1, longest=500),
            "artifact_location": text("Below the team's artifact root; absent: a folder of its own there."),
            "tags": array(shape({"key!": text(longest=250, shortest=1), "value": text(longest=20_000)})),
        },
        shape({"experiment_id!": EXPERIMENT_ID}),
    ),
    Endpoint(
        "GET",
        _EXPERIMENTS + "get",
        "One experiment.",
        {"experiment_id!": EXPERIMENT_ID},
        shape({"experiment!": EXPERIMENT}),
    ),
    Endpoint(
        "GET",
        _EXPERIMENTS + "get-by-name",
        "One experiment by its name, a deleted one too.",
        {"experiment_name!": NAME},
        shape({"experiment!": EXPERIMENT}),
    ),
    Endpoint("POST", _EXPERIMENTS + "search", "Search experiments.", _SEARCH_EXPERIMENTS, _FOUND_EXPERIMENTS),
    Endpoint("GET", _EXPERIMENTS + "search", "Search experiments.", _SEARCH_EXPERIMENTS, _FOUND_EXPERIMENTS),
    Endpoint(
        "POST",
        _EXPERIMENTS + "search-datasets",
        "The data sets that runs of some experiments used.",
        {"experiment_ids!": {**array(EXPERIMENT_ID, most=20), "minItems": 1}},
        shape({"dataset_summaries": array(ref("DatasetSummary"))}),
    ),
    Endpoint("POST", _EXPERIMENTS + "delete", "Hide an experiment and its runs.", {"experiment_id!": EXPERIMENT_ID}),
    Endpoint("POST", _EXPERIMENTS + "restore", "Show a hidden experiment again.", {"experiment_id!": EXPERIMENT_ID}),
    Endpoint(
        "POST",
        _EXPERIMENTS + "update",
        "Rename an experiment.",
        {"experiment_id!": EXPERIMENT_ID, "new_name": text(longest=500)},
    ),
    Endpoint(
        "POST",
        _EXPERIMENTS + "set-experiment-tag",
        "Set a tag of an experiment.",
        {"experiment_id!": EXPERIMENT_ID, "key!": text(shortest=1, longest=250), "value": text(longest=20_000)},
    ),
    Endpoint(
        "POST",
        _EXPERIMENTS + "delete-experiment-tag",
        "Remove a tag of an experiment.",
        {"experiment_id!": EXPERIMENT_ID, "key!": NAME},
    ),
)

_RUNS = "/api/2.0/mlflow/runs/"
RUNS = (
    Endpoint(
        "POST",
        _RUNS + "create",
        "Create a run. A repeat with the same `Idempotency-Key` answers the same run.",
        {
            "experiment_id!": EXPERIMENT_ID,
            "run_name": text("Absent: a readable one is made."),
            "start_time": MILLISECONDS,
            "user_id": text("Recorded only where the request is not signed."),
            "tags": NEW_TAGS,
        },
        shape({"run!": RUN}),
    ),
    Endpoint("GET", _RUNS + "get", "One run.", {"run_id!": RUN_ID}, shape({"run!": RUN})),
    Endpoint(
        "POST",
        _RUNS + "update",
        "Change the status, the end or the name of a run.",
        {"run_id!": RUN_ID, "status": RUN_STATUS, "end_time": MILLISECONDS, "run_name": STRING},
        shape({"run_info!": ref("RunInfo")}),
    ),
    Endpoint("POST", _RUNS + "delete", "Hide a run.", {"run_id!": RUN_ID}),
    Endpoint("POST", _RUNS + "restore", "Show a hidden run again.", {"run_id!": RUN_ID}),
    Endpoint(
        "POST",
        _RUNS + "log-metric",
        "Add a point. It is known by its content: a repeat changes nothing.",
        {"run_id!": RUN_ID, **METRIC},
    ),
    Endpoint(
        "POST", _RUNS + "log-parameter", "Add a parameter, which never changes again.", {"run_id!": RUN_ID, **PARAM}
    ),
    Endpoint("POST", _RUNS + "set-tag", "Set a tag of a run.", {"run_id!": RUN_ID, **TAG}),
    Endpoint("POST", _RUNS + "delete-tag", "Remove a tag of a run.", {"run_id!": RUN_ID, "key!": NAME}),
    Endpoint(
        "POST",
        _RUNS + "log-batch",
        "Add points, parameters and tags, 1,000 together at most.",
        {
            "run_id!": RUN_ID,
            "metrics": array(shape(METRIC), most=1000),
            "params": array(shape(PARAM), most=100),
            "tags": array(shape(TAG), most=100),
        },
    ),
    Endpoint(
        "POST",
        _RUNS + "log-inputs",
        "Add data sets and models that a run used.",
        {
            "run_id!": RUN_ID,
            "datasets": array(
                shape(
                    {
                        "dataset!": shape(
                            {
                                "name!": text(shortest=1, longest=500),
                                "digest": text(longest=36),
                                "source_type": text(longest=36),
                                "source": text(longest=65_535),
                                "schema": text(longest=1_048_575),
                                "profile": text(longest=16_777_215),
                            }
                        ),
                        "tags": array(
                            shape({"key!": text(shortest=1, longest=255), "value": text(longest=500)}), most=100
                        ),
                    }
                )
            ),
            "models": array(shape({"model_id!": MODEL_ID})),
        },
    ),
    Endpoint(
        "POST",
        _RUNS + "outputs",
        "Add logged models that a run made.",
        {"run_id!": RUN_ID, "models": array(shape({"model_id!": MODEL_ID, "step": INT64}))},
    ),
    Endpoint(
        "POST",
        _RUNS + "log-model",
        "Record a model of a client before MLflow 3.",
        {"run_id!": RUN_ID, "model_json!": text("The MLmodel file, as JSON text.")},
    ),
    Endpoint(
        "POST",
        _RUNS + "search",
        "Search runs.",
        {
            "experiment_ids": array(EXPERIMENT_ID),
            "filter": FILTER,
            "run_view_type": VIEW,
            "max_results": whole(1, 50_000, 1_000),
            "order_by": ORDER,
            "page_token": TOKEN,
        },
        shape({"runs": array(RUN), "next_page_token": TOKEN}),
    ),
    Endpoint(
        "GET",
        "/api/2.0/mlflow/artifacts/list",
        "Files and folders right below a path of a run.",
        {"run_id!": RUN_ID, "path": STRING, "page_token": TOKEN},
        shape({**files(), "next_page_token": TOKEN}),
    ),
)

_METRICS = "/api/2.0/mlflow/metrics/"
METRICS = (
    Endpoint(
        "GET",
        _METRICS + "get-history",
        "All points of a metric, by timestamp, step and value.",
        {"run_id!": RUN_ID, "metric_key!": NAME, "max_results": whole(1, 2**31 - 1, 25_000), "page_token": TOKEN},
        shape({"metrics": array(ref("Metric")), "next_page_token": TOKEN}),
    ),
    Endpoint(
        "GET",
        _METRICS + "get-history-bulk",
        "Points of a metric of several runs.",
        {"run_id!": RUNS_SERIES, "metric_key!": STRING, "max_results": whole(1, 2**31 - 1, 25_000)},
        shape({"metrics": array(ref("MetricOfRun"))}),
    ),
    Endpoint(
        "GET",
        _METRICS + "get-history-bulk-interval",
        "Points of a metric of several runs, evenly sampled.",
        {
            "run_ids!": RUNS_SERIES,
            "metric_key!": NAME,
            "start_step": INT32,
            "end_step": INT32,
            "max_results": whole(1, 2_500, 2_500),
        },
        shape({"metrics": array(ref("MetricOfRun"))}),
    ),
)

_LOGGED = "/api/2.0/mlflow/logged-models"
LOGGED_MODELS = (
    Endpoint(
        "POST",
        _LOGGED,
        "Create a logged model.",
        {
            "experiment_id!": EXPERIMENT_ID,
            "name": text("None of `/ : . % \" '`; absent: a readable one is made.", shortest=1, longest=500),
            "model_type": text(longest=500),
            "source_run_id": text(longest=256),
            "params": NEW_PARAMS,
            "tags": NEW_TAGS,
        },
        LOGGED,
    ),
    Endpoint(
        "POST",
        _LOGGED + "/search",
        "Search logged models.",
        {
            "experiment_ids!": array(EXPERIMENT_ID),
            "filter": FILTER,
            "datasets": array(shape({"dataset_name!": NAME, "dataset_digest": STRING})),
            "max_results": whole(1, 1_000, 50),
            "order_by": array(
                shape(
                    {
                        "field_name!": NAME,
                        "ascending": {**BOOLEAN, "default": True},
                        "dataset_name": STRING,
                        "dataset_digest": STRING,
                    }
                )
            ),
            "page_token": TOKEN,
        },
        shape({"models": array(ref("LoggedModel")), "next_page_token": TOKEN}),
    ),
    Endpoint("GET", _LOGGED + "/{model_id}", "One logged model.", {"allow_deleted": BOOLEAN}, LOGGED),
    Endpoint(
        "PATCH",
        _LOGGED + "/{model_id}",
        "Say that a logged model is ready, or failed.",
        {"status!": MODEL_STATUS},
        LOGGED,
    ),
    Endpoint("DELETE", _LOGGED + "/{model_id}", "Hide a logged model."),
    Endpoint("PATCH", _LOGGED + "/{model_id}/tags", "Set tags of a logged model.", {"tags": NEW_TAGS}),
    Endpoint("DELETE", _LOGGED + "/{model_id}/tags/{tag_key}", "Remove a tag of a logged model."),
    Endpoint("POST", _LOGGED + "/{model_id}/params", "Add parameters of a logged model.", {"params": NEW_PARAMS}),
    Endpoint(
        "GET",
        _LOGGED + "/{model_id}/artifacts/directories",
        "Files and folders right below a path of a logged model.",
        {"artifact_directory_path": STRING, "page_token": TOKEN},
        shape({**files(), "next_page_token": TOKEN}),
    ),
)

_MODELS = "/api/2.0/mlflow/registered-models/"
_LATEST: dict[str, Schema] = {"name!": NAME, "stages": array(STRING)}
REGISTERED_MODELS = (
    Endpoint(
        "POST",
        _MODELS + "create",
        "Register a model.",
        {
            "name!": MODEL_NAME,
            "description": DESCRIPTION,
            "tags": array(shape({"key!": NAME, "value": REGISTRY_VALUE})),
        },
        ONE_MODEL,
    ),
    Endpoint("GET", _MODELS + "get", "One registered model.", {"name!": NAME}, ONE_MODEL),
    Endpoint(
        "GET",
        _MODELS + "search",
        "Search registered models.",
        {"filter": FILTER, "max_results": whole(1, 1_000, 100), "order_by": ORDER, "page_token": TOKEN},
        shape({"registered_models": array(MODEL), "next_page_token": TOKEN}),
    ),
    Endpoint(
        "POST", _MODELS + "rename", "Rename a registered model.", {"name!": NAME, "new_name!": MODEL_NAME}, ONE_MODEL
    ),
    Endpoint(
        "PATCH",
        _MODELS + "update",
        "Describe a registered model.",
        {"name!": NAME, "description": DESCRIPTION},
        ONE_MODEL,
    ),
    Endpoint("DELETE", _MODELS + "delete", "Delete a registered model with its versions.", {"name!": NAME}),
    Endpoint(
        "POST",
        _MODELS + "set-tag",
        "Set a tag of a registered model.",
        {"name!": NAME, "key!": text(shortest=1, longest=250), "value": REGISTRY_VALUE},
    ),
    Endpoint("DELETE", _MODELS + "delete-tag", "Remove a tag of a registered model.", {"name!": NAME, "key!": NAME}),
    Endpoint("POST", _MODELS + "get-latest-versions", "The highest version of each stage.", _LATEST, VERSIONS),
    Endpoint("GET", _MODELS + "get-latest-versions", "The highest version of each stage.", _LATEST, VERSIONS),
    Endpoint(
        "POST",
        _MODELS + "alias",
        "Point an alias at a version.",
        {"name!": NAME, "alias!": text("Letters, digits, `_` and `-`.", shortest=1, longest=255), "version!": VERSION},
    ),
    Endpoint("GET", _MODELS + "alias", "The version of an alias.", {"name!": NAME, "alias!": NAME}, ONE_VERSION),
    Endpoint("DELETE", _MODELS + "alias", "Remove an alias.", {"name!": NAME, "alias!": NAME}),
)

_VERSIONS = "/api/2.0/mlflow/model-versions/"
_WHICH: dict[str, Schema] = {"name!": NAME, "version!": VERSION}
MODEL_VERSIONS = (
    Endpoint(
        "POST",
        _VERSIONS + "create",
        "Register a version of a model. Its bytes are fixed from then on.",
        {
            "name!": NAME,
            "source!": text(
                "`models:/...`, `runs:/...`, or below the team's artifact root.", shortest=1, longest=1_000
            ),
            "run_id": text(longest=256),
            "model_id": text(longest=64),
            "description": DESCRIPTION,
            "run_link": text(longest=500),
            "tags": array(shape({"key!": NAME, "value": REGISTRY_VALUE})),
        },
        ONE_VERSION,
    ),
    Endpoint("GET", _VERSIONS + "get", "One version of a model.", _WHICH, ONE_VERSION),
    Endpoint(
        "GET",
        _VERSIONS + "search",
        "Search versions.",
        {"filter": FILTER, "max_results": whole(1, 200_000, 200_000), "order_by": ORDER, "page_token": TOKEN},
        shape({"model_versions": array(VERSION_REF), "next_page_token": TOKEN}),
    ),
    Endpoint(
        "GET",
        _VERSIONS + "get-download-uri",
        "Where the bytes of a version are.",
        _WHICH,
        shape({"artifact_uri!": STRING}),
    ),
    Endpoint("PATCH", _VERSIONS + "update", "Describe a version.", {**_WHICH, "description": DESCRIPTION}, ONE_VERSION),
    Endpoint(
        "POST",
        _VERSIONS + "transition-stage",
        "Move a version to another stage.",
        {**_WHICH, "stage!": STAGE, "archive_existing_versions": BOOLEAN},
        ONE_VERSION,
    ),
    Endpoint(
        "POST",
        _VERSIONS + "set-tag",
        "Set a tag of a version.",
        {**_WHICH, "key!": text(shortest=1, longest=250), "value": REGISTRY_VALUE},
    ),
    Endpoint("DELETE", _VERSIONS + "delete-tag", "Remove a tag of a version.", {**_WHICH, "key!": NAME}),
    Endpoint("DELETE", _VERSIONS + "delete", "Delete a version.", _WHICH),
)

_ARTIFACTS = "/api/2.0/mlflow-artifacts/"
_SECONDS = whole(1, 3_600)
_HEADERS: dict[str, Schema] = {"headers!": shape({})}
ARTIFACTS = (
    Endpoint(
        "GET",
        _ARTIFACTS + "artifacts",
        "Files and folders right below a path.",
        {"path": STRING},
        shape({"files": array(ref("FileInfo"))}),
    ),
    Endpoint("GET", _ARTIFACTS + "artifacts/{artifact_path}", "Read a file.", answer="sent on"),
    Endpoint("PUT", _ARTIFACTS + "artifacts/{artifact_path}", "Write a file.", answer="sent on", takes_file=True),
    Endpoint("DELETE", _ARTIFACTS + "artifacts/{artifact_path}", "Hide a file, or all below a folder."),
    Endpoint(
        "GET",
        _ARTIFACTS + "presigned/{artifact_path}",
        "Where a file can be read for five minutes, in ranges too.",
        answer=shape({"url!": STRING, **_HEADERS, "file_size!": INT64}),
    ),
    Endpoint(
        "POST",
        _ARTIFACTS + "mpu/create/{artifact_path}",
        "Begin an upload in parts: where each part can be put.",
        {
            "path!": text("Of the file at the client; its last part names the file.", shortest=1),
            "num_parts": whole(1, 10_000, 1),
        },
        shape(
            {
                "upload_id!": STRING,
                "credentials!": array(shape({"url!": STRING, "part_number!": INT64, **_HEADERS})),
            }
        ),
    ),
    Endpoint(
        "POST",
        _ARTIFACTS + "mpu/complete/{artifact_path}",
        "Make the file of its parts.",
        {
            "path!": NAME,
            "upload_id!": NAME,
            "parts!": {**array(shape({"part_number!": whole(1, 10_000), "etag!": NAME})), "minItems": 1},
        },
    ),
    Endpoint(
        "POST", _ARTIFACTS + "mpu/abort/{artifact_path}", "Give an upload up.", {"path!": NAME, "upload_id!": NAME}
    ),
    Endpoint(
        "POST",
        "/api/2.0/mlflow/artifacts/presigned-upload-url",
        "Where a file of a run or of a logged model can be put. Exactly one of `run_id` and `model_id`.",
        {"run_id": RUN_ID, "model_id": MODEL_ID, "path!": NAME, "expiration": {**_SECONDS, "default": 900}},
        shape({"presigned_url!": STRING, **_HEADERS}),
    ),
    Endpoint(
        "POST",
        "/api/2.0/mlflow/artifacts/presigned-download-url",
        "Where a file of a run can be read.",
        {"run_id!": RUN_ID, "path!": NAME, "expiration": {**_SECONDS, "default": 300}},
        shape({"presigned_url!": STRING, **_HEADERS, "file_size!": INT64}),
    ),
    Endpoint(
        "POST",
        "/api/2.0/mlflow/upload-artifact",
        "Write a small file of a run, as MLflow's pages do. 4 MB at most.",
        query={"run_uuid!": RUN_ID, "path!": NAME},
        takes_file=True,
    ),
    Endpoint(
        "GET",
        _LOGGED + "/{model_id}/artifacts/files",
        "Read a file of a logged model.",
        {"artifact_file_path!": NAME},
        "sent on",
    ),
    Endpoint("GET", "/get-artifact", "Read a file of a run.", {"run_id!": RUN_ID, "path!": NAME}, "sent on"),
    Endpoint(
        "GET",
        "/model-versions/get-artifact",
        "Read a file of a version: the bytes that were registered.",
        {**_WHICH, "path!": NAME},
        "sent on",
    ),
)

SERVER = (
    Endpoint(
        "GET",
        "/api/3.0/mlflow/server-info",
        "What the server can do.",
        answer=shape(
            {
                "store_type!": STRING,
                "workspaces_enabled!": BOOLEAN,
                "trace_archival_enabled!": BOOLEAN,
                "multipart_uploads_enabled!": BOOLEAN,
                "multipart_downloads_enabled!": BOOLEAN,
                "presigned_upload_run_id_supported!": BOOLEAN,
                "presigned_upload_model_id_supported!": BOOLEAN,
                "features_enabled!": shape({"gateway!": BOOLEAN}),
            }
        ),
    ),
    Endpoint("GET", "/version", "The version of MLflow whose protocol is spoken.", answer=None),
    Endpoint("GET", "/health", "`OK`.", answer=None),
)

_LIFECYCLE = "/labcycle/1.0/"
_NUMBER = either(INT64, VERSION)
_LOCK = shape(
    {
        "execution!": text("Of the reaction that is under way; empty for none."),
        "run_id!": STRING,
        "expires_at!": STRING,
        "waiting!": text("The execution whose version waits for its review; empty for none."),
        "waiting_until!": STRING,
        "cool_downs!": ANYTHING,
    }
)
_DEPLOYMENT = ref("Deployment")
_PROMOTION = nullable(ref("Promotion"))
_WENT_LIVE = shape({"version!": INT64, "promoted_at!": STRING, "promoted_by!": STRING})
_FIGURES: dict[str, Schema] = {
    "days!": INT64,
    "registered!": INT64,
    "deployments!": INT64,
    "rolled_back!": INT64,
    "rollbacks!": INT64,
    "lead_times_seconds!": array(DOUBLE),
    "median_lead_time_seconds!": nullable(DOUBLE),
    "longest_lead_time_seconds!": nullable(DOUBLE),
    "deployments_per_30_days!": DOUBLE,
    "rollbacks_per_30_days!": DOUBLE,
    "rolled_back_share!": nullable(DOUBLE),
    "iterations_per_deployed_version!": nullable(DOUBLE),
}
_PACE = shape({"model!": STRING, **_FIGURES, "verified!": BOOLEAN})
_STANDING = shape(
    {
        "model!": STRING,
        "at!": STRING,
        "business_owner!": nullable(STRING),
        "live!": nullable(_WENT_LIVE),
        "subjects!": array(
            shape(
                {
                    "subject!": STRING,
                    "verdict!": STRING,
                    "reason!": STRING,
                    "figures!": ANYTHING,
                    "since!": STRING,
                    "since_whole!": BOOLEAN,
                }
            )
        ),
        "evaluation!": nullable(ANYTHING),
        "trend!": array(
            shape(
                {
                    "at!": STRING,
                    "version!": nullable(INT64),
                    "rows!": INT64,
                    "verdict!": STRING,
                    "figures!": {"type": "object", "additionalProperties": nullable(DOUBLE)},
                }
            )
        ),
        "requests!": nullable(
            shape(
                {
                    "requests!": INT64,
                    "failed!": INT64,
                    "p50_ms!": nullable(DOUBLE),
                    "p99_ms!": nullable(DOUBLE),
                    "whole!": BOOLEAN,
                }
            )
        ),
        "reaction!": shape(
            {
                "under_way!": nullable(STRING),
                "until!": nullable(STRING),
                "cool_downs!": {"type": "object", "additionalProperties": STRING},
                "policies!": array(ANYTHING),
            }
        ),
        "next_evaluation_at!": nullable(STRING),
    }
)
_USAGE = shape(
    {
        "model!": STRING,
        "days!": INT64,
        "since!": STRING,
        "whole!": BOOLEAN,
        "runs_on!": nullable(ANYTHING),
        "needed_mb!": nullable(INT64),
        "first_at!": nullable(STRING),
        "last_at!": nullable(STRING),
        "observed_seconds!": INT64,
        "requests!": INT64,
        "failed!": INT64,
        "starts!": INT64,
        "servers!": INT64,
        "most_servers_at_once!": INT64,
        "p50_ms!": nullable(DOUBLE),
        "p99_ms!": nullable(DOUBLE),
        "mean_ms!": nullable(DOUBLE),
        "cpu_ms_a_request!": nullable(DOUBLE),
        "peak_memory_mb!": nullable(INT64),
        "busiest_processors!": DOUBLE,
        "busiest_processors_a_server!": DOUBLE,
        "windows_of_other_sizes!": INT64,
    }
)
_SIDE: dict[str, Schema] = {
    "version!": INT64,
    "requests!": INT64,
    "failed!": INT64,
    "failed_share!": DOUBLE,
    "p50_ms!": nullable(DOUBLE),
    "p99_ms!": nullable(DOUBLE),
    "profiled_rows!": INT64,
    "prediction_psi!": nullable(DOUBLE),
}
_OUTCOME = shape(
    {
        "prediction_id!": text(
            "`x-labcycle-prediction-id` of the answer, with the number of the row added to its last part.", longest=160
        ),
        "truth": either(text(longest=100, shortest=1), DOUBLE, BOOLEAN),
        "value": {**DOUBLE, "description": "What the decision was worth, such as money."},
        "at": text(
            "When it became known, ISO 8601. Of several outcomes of a prediction the latest counts; without it, the first."
        ),
    }
)
_PREDICTED = either(STRING, DOUBLE, BOOLEAN)
_RECORD = shape(
    {
        "prediction!": _PREDICTED,
        "features!": {
            "type": "object",
            "additionalProperties": nullable(_PREDICTED),
            "description": "What the model was given, by the names that it was trained with.",
        },
        "chances": {
            "type": "object",
            "additionalProperties": {**DOUBLE, "minimum": 0, "maximum": 1},
            "description": "Of the classes, where the model gives them.",
        },
        "id": text("How the sender calls the prediction.", longest=200),
        "at": text("When it was made, ISO 8601."),
    }
)
_KNOWN: dict[str, Schema] = {
    "rows!": {**INT64, "description": "Predictions with a truth."},
    "unmeasured!": {**INT64, "description": "Those whose truth is of another kind than the metric takes."},
    "contradicted!": {**INT64, "description": "Predictions of which different things were said."},
    "metrics!": {"type": "object", "additionalProperties": DOUBLE},
    "value!": shape(
        {"rows!": INT64, "sum!": DOUBLE, "standard_error!": nullable(DOUBLE), "mean!": nullable(DOUBLE)},
    ),
}
_TAKEN = shape(
    {
        "object!": STRING,
        "arrived!": STRING,
        "taken_in!": STRING,
        **{f"{name}!": INT64 for name in ("rows", "new", "duplicates", "contradictory", "unknown", "invalid")},
        "rejected": text("Object in the artifact bucket that lists the rows that came to nothing."),
        "first": shape({"row!": INT64, "prediction_id!": STRING, "kind!": STRING, "reason!": STRING}),
    }
)
LIFECYCLE = (
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/promote",
        "Make a version the live one: in steps where the model's policy has some, unless `now` is set. With `percent`, try it with "
        "this share of the requests beside the live one.",
        {
            "version!": _NUMBER,
            "percent": whole(1, 99),
            "new_inputs": BOOLEAN,
            "now": BOOLEAN,
            "reason": text(longest=1_000),
        },
        shape({"deployment!": _DEPLOYMENT, "changed!": BOOLEAN, "notes!": array(STRING), "promotion!": _PROMOTION}),
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/rollback",
        "Take back a promotion that is under way, or the version that is tried; else make the version live that was live before.",
        {"from_version": _NUMBER, "reason": text(longest=1_000)},
        shape({"deployment!": _DEPLOYMENT, "changed!": BOOLEAN}),
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/pause",
        "Let the model answer `answer` for each row instead of a prediction; without it, an error.",
        {"answer": ANYTHING, "reason": text(longest=1_000)},
        shape({"deployment!": _DEPLOYMENT, "changed!": BOOLEAN}),
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/resume",
        "Let a paused model predict again.",
        {"reason": text(longest=1_000)},
        shape({"deployment!": _DEPLOYMENT, "changed!": BOOLEAN}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/promotion",
        "How far the promotion in steps is that is under way, or how the last one ended.",
        answer=shape({"promotion!": _PROMOTION}),
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/review",
        "Say whether the version goes live that a retraining made, and that waits for its review. A rejection needs a reason.",
        {"decision!": one_of("approve", "reject"), "execution": STRING, "reason": text(longest=1_000)},
        shape({"execution!": STRING, "decision!": one_of("approve", "reject")}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/reactions",
        "What reactions did, the newest first, with the times of their stages; what waits for a review, and who holds the lock.",
        answer=shape(
            {
                "reactions!": array(
                    shape(
                        {
                            "execution!": STRING,
                            "cause!": nullable(STRING),
                            "do!": nullable(STRING),
                            "run_id!": nullable(RUN_ID),
                            "outcome!": nullable(STRING),
                            "reason!": nullable(STRING),
                            "review!": nullable(one_of("approve", "reject", "none")),
                            "stages!": array(shape({"stage!": STRING, "at!": TIME, "seconds!": nullable(DOUBLE)})),
                            "seconds!": DOUBLE,
                        }
                    )
                ),
                "waiting!": nullable(STRING),
                "lock!": _LOCK,
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/reactions/plan",
        "What a reaction on `cause` (absent: manual) would do now, and whether it may begin. Nothing is changed.",
        {"cause": one_of("drift", "performance", "business", "schedule", "manual")},
        shape(
            {
                "model!": STRING,
                "cause!": STRING,
                "policy!": INT64,
                "do!": one_of("retrain", "roll_back", "pause", "tell"),
                "promote!": one_of("automatic", "after_review"),
                "otherwise!": one_of("keep", "pause"),
                "machine!": STRING,
                "lock!": _LOCK,
                "training!": nullable(
                    shape(
                        {
                            "instance_type!": STRING,
                            "maximum_minutes!": INT64,
                            "metric!": STRING,
                            "minimum_gain!": DOUBLE,
                            "cohorts!": array(STRING),
                            "maximum_cohort_loss!": nullable(DOUBLE),
                            "estimated_usd!": nullable(DOUBLE),
                            "monthly_budget_usd!": nullable(DOUBLE),
                            "spent_usd!": DOUBLE,
                            "month!": STRING,
                            "version": INT64,
                            "run_id": RUN_ID,
                            "parameters": ANYTHING,
                            "recipe": STRING,
                            "data": STRING,
                            "data_files": INT64,
                        }
                    )
                ),
                "may_begin!": BOOLEAN,
                "problems!": array(STRING),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/trial",
        "What the live version and the one that is tried answered since the trial began, and whether the latter is bad.",
        answer=shape(
            {
                "model!": STRING,
                "percent!": nullable(INT64),
                "since!": nullable(STRING),
                "sides!": array(
                    shape(
                        {
                            "side!": one_of("live", "canary"),
                            **_SIDE,
                        }
                    )
                ),
                "verdict!": nullable(one_of("bad", "not_enough", "good")),
                "reasons!": array(STRING),
            }
        ),
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/shadow",
        "Let a version score what the live one answers, without answering; or change the share of the requests that it is shown.",
        {"version!": _NUMBER, "percent": {**whole(1, 100), "default": 100}, "reason": text(longest=1_000)},
        shape({"deployment!": _DEPLOYMENT, "changed!": BOOLEAN, "notes!": array(STRING)}),
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/shadow/end",
        "Let no version be the shadow of the live one.",
        {"reason": text(longest=1_000)},
        shape({"deployment!": _DEPLOYMENT, "changed!": BOOLEAN}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/shadow",
        "What the shadow saw since it began, or since another version is live, and how its predictions agree with the live ones.",
        answer=shape(
            {
                "model!": STRING,
                "version!": nullable(INT64),
                "percent!": nullable(INT64),
                "since!": nullable(STRING),
                "requests!": nullable(
                    shape(
                        {
                            "offered!": INT64,
                            "seen!": INT64,
                            "failed!": INT64,
                            "too_large!": INT64,
                            "not_taken!": INT64,
                            "not_arrived!": INT64,
                        }
                    )
                ),
                "sides!": array(shape({"side!": one_of("live", "shadow"), **_SIDE})),
                "agreement!": nullable(
                    shape(
                        {
                            "rows!": INT64,
                            "same!": INT64,
                            "same_share!": nullable(DOUBLE),
                            "numbers!": INT64,
                            "mean_absolute_difference!": nullable(DOUBLE),
                        }
                    )
                ),
                "problem!": nullable(STRING),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/consumers",
        "How much those consumers have used whose quota is hard, by day, week or month.",
        answer=shape(
            {
                "team!": STRING,
                "model!": STRING,
                "used!": array(
                    shape({"consumer!": STRING, "period!": STRING, "requests!": INT64, "current_of!": nullable(STRING)})
                ),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/deployment",
        "Which version is live and which is tried, and the promotion that is under way.",
        answer=shape({"deployment!": _DEPLOYMENT, "promotion!": _PROMOTION}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/custody",
        "What happened to a model, and whether the chain of it is whole.",
        answer=shape({"events!": array(ref("Event")), "verified!": BOOLEAN, "problems!": array(STRING)}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models",
        "The team's models by name, each with its newest and its live version; `next` asks for those behind.",
        {"after": STRING},
        shape(
            {
                "team!": STRING,
                "models!": array(
                    shape(
                        {
                            "name!": STRING,
                            "description!": STRING,
                            "versions!": INT64,
                            "newest!": nullable(
                                shape({"version!": INT64, "registered_at!": STRING, "registered_by!": STRING})
                            ),
                            "live!": nullable(_WENT_LIVE),
                        }
                    )
                ),
                "next!": nullable(STRING),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/overview",
        "One model: what is live, its newest versions, the decisions of 14 days, traffic and drift of the live version.",
        answer=shape(
            {
                "model!": STRING,
                "description!": STRING,
                "at!": STRING,
                "generation!": INT64,
                "live!": nullable(_WENT_LIVE),
                "pause!": nullable(ANYTHING),
                "canary!": nullable(ANYTHING),
                "shadow!": nullable(ANYTHING),
                "previous!": array(_WENT_LIVE),
                "versions!": array(
                    shape(
                        {
                            "version!": INT64,
                            "registered_at!": STRING,
                            "registered_by!": STRING,
                            "run_id!": STRING,
                            "source!": STRING,
                            "description!": STRING,
                            "tags!": ANYTHING,
                            "aliases!": array(STRING),
                        }
                    )
                ),
                "versions_left_out!": INT64,
                "traffic!": nullable(ANYTHING),
                "drift!": nullable(ANYTHING),
                "decisions!": array(ref("Event")),
                "notes!": array(STRING),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/completeness",
        "Which parts of their runs the newest versions of a model lack.",
        answer=shape({"versions!": array(shape({"version!": INT64, "complete!": BOOLEAN, "missing!": array(STRING)}))}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/pace",
        "Lead time, deployments and roll backs of a model in the last `days`, out of its chain of custody.",
        {"days": whole(1, 3_650, 90)},
        _PACE,
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/usage",
        "What the servers of a model used of what they run on in the last `days`, of the size that they have now.",
        {"days": whole(1, 92, 7)},
        _USAGE,
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/outcomes",
        "Send what became of predictions, by the ids that the answers carried. The model's evaluator takes it in; what was sent before "
        "changes nothing.",
        {"outcomes!": array(_OUTCOME, most=5_000)},
        shape({"model!": STRING, "object!": STRING, "rows!": INT64}),
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "models/{model}/records",
        "Send predictions of a model that is served elsewhere. They count for the time when they come; what was sent before, in the same "
        "parts, changes nothing. `prediction_ids` are those by which outcomes are sent, one a row; none where predictions are not kept.",
        {"version!": _NUMBER, "records!": array(_RECORD, most=5_000), "dry_run": BOOLEAN},
        shape({"model!": STRING, "version!": INT64, "rows!": INT64, "prediction_ids!": array(STRING)}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/outcomes",
        "What is known of the predictions of the last `days`, by version and day (UTC, of the prediction); how many objects wait to be "
        "taken in (1,000 at most are counted), and what became of the last 20.",
        {"days": whole(1, 92, 28)},
        shape(
            {
                "model!": STRING,
                "since!": STRING,
                "versions!": array(
                    shape({"version!": INT64, **_KNOWN, "days!": array(shape({"day!": STRING, **_KNOWN}))})
                ),
                "waiting!": INT64,
                "objects!": array(_TAKEN),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/monitoring",
        "What the monitor found of a model last, since when, and the figures of the evaluations before it.",
        answer=_STANDING,
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/monitoring/check",
        "What the live version saw in the last `hours` (absent: as long as an evaluation looks back) beside its training data, column by "
        "column; nothing is recorded.",
        {"hours": whole(1, 744)},
        shape(
            {
                "model!": STRING,
                "version!": INT64,
                "hours!": INT64,
                "since!": STRING,
                "until!": STRING,
                "whole!": BOOLEAN,
                "rows!": INT64,
                "method!": STRING,
                "threshold!": DOUBLE,
                "minimum_rows!": INT64,
                "verdict!": one_of("not_enough_data", "stable", "drifting"),
                "reason!": STRING,
                "columns!": array(ANYTHING),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/monitoring/report",
        "The last evaluation of `at` or before as a page that asks for nothing else; absent: the newest.",
        {"at": text("A time in ISO 8601; without a zone it is UTC.")},
        "page",
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "monitoring",
        "The same as of one model of all models of the team, in pages: `next` asks for those behind.",
        {"after": TOKEN},
        shape({"team!": STRING, "models!": array(_STANDING), "next!": nullable(STRING)}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "orphans",
        "Models without an owner, a live version, traffic in the last `days`, outcomes, evaluations, or with versions that were never promoted; "
        "`next` asks for those behind.",
        {"after": TOKEN, "days": whole(1, 999, 30)},
        shape(
            {
                "team!": STRING,
                "days!": INT64,
                "models!": array(
                    shape({"model!": STRING, "findings!": array(shape({"rule!": STRING, "evidence!": STRING}))})
                ),
                "looked_at!": INT64,
                "next!": nullable(STRING),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "pace",
        "The same of every model of the team, and of all together. `whole` is false beyond 1,000 models.",
        {"days": whole(1, 3_650, 90)},
        shape({"team!": STRING, "models!": array(_PACE), "together!": shape(_FIGURES), "whole!": BOOLEAN}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "custody/subjects",
        "What has a chain of custody: models, experiments, runs.",
        {"after": TOKEN},
        shape({"subjects!": array(STRING), "next!": nullable(STRING), "broken!": BOOLEAN}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "custody/events",
        "The events of one subject behind number `after`, as they are kept.",
        {"subject!": NAME, "after": _NUMBER},
        shape({"events!": array(ANYTHING), "next!": nullable(INT64), "head!": nullable(ANYTHING)}),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "custody/registration",
        "What is kept of the registration that event `seq` of a subject tells.",
        {"subject!": NAME, "seq!": _NUMBER},
        ANYTHING,
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "custody/state",
        "The last anchor, and the events that wait to be anchored.",
        {"after": TOKEN},
        shape(
            {
                "team!": STRING,
                "last_anchor!": nullable(ANYTHING),
                "waiting!": array(shape({"subject!": STRING, "seq!": INT64, "at!": STRING, "hash!": STRING})),
                "next!": nullable(STRING),
                "broken!": BOOLEAN,
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "models/{model}/explanation",
        "How a version came to be, back to code and data. Absent version and alias: the live one, else the newest.",
        {"version": VERSION, "alias": STRING},
        shape(
            {
                "model!": STRING,
                "version!": ANYTHING,
                "deployment!": ANYTHING,
                "files!": array(ANYTHING),
                "files_left_out!": INT64,
                "run!": nullable(ANYTHING),
                "events!": array(ref("Event")),
                "events_left_out!": INT64,
                "verified!": BOOLEAN,
                "problems!": array(STRING),
            }
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "runs/{run_id}/completeness",
        "The six parts of a run: what is recorded, and what is missing.",
        answer=shape(
            {"run_id!": RUN_ID, "complete!": BOOLEAN, "parts!": array(ref("Part")), "inputs!": array(ANYTHING)}
        ),
    ),
    Endpoint(
        "GET",
        _LIFECYCLE + "runs/{run_id}/ancestry",
        "The runs that a run comes from, the nearest first.",
        answer=shape({"run_id!": RUN_ID, "name!": STRING, "ancestry!": array(ref("Ancestor"))}),
    ),
)

_RULE = shape({"status!": STRING, "days!": INT64})
RETENTION = (
    Endpoint(
        "GET",
        _LIFECYCLE + "retention/plan",
        "Which runs of an experiment the team's rules would let go, and what keeps them; `next` asks for those behind. Only where a "
        "team has rules.",
        {"experiment_id": STRING, "after": STRING},
        shape(
            {
                "rules!": array(_RULE),
                "experiment_id!": STRING,
                "runs!": array(
                    shape(
                        {
                            "run_id!": RUN_ID,
                            "name!": STRING,
                            "status!": STRING,
                            "lifecycle_stage!": STRING,
                            "idle_days!": INT64,
                            "rule!": nullable(_RULE),
                            "kept_for!": nullable(STRING),
                        }
                    )
                ),
                "next!": nullable(shape({"experiment_id!": STRING, "after!": STRING})),
            }
        ),
    ),
    Endpoint(
        "POST",
        _LIFECYCLE + "retention/erase",
        "Let a run go that the rules let go: its artifacts and points. Again, until it is finished.",
        {"run_id!": RUN_ID},
        shape({"run_id!": RUN_ID, "finished!": BOOLEAN}),
    ),
)

GROUPS: dict[str, tuple[Endpoint, ...]] = {
    "Experiments": EXPERIMENTS,
    "Runs": RUNS,
    "Metrics": METRICS,
    "Logged models": LOGGED_MODELS,
    "Registered models": REGISTERED_MODELS,
    "Model versions": MODEL_VERSIONS,
    "Artifacts": ARTIFACTS,
    "Server": SERVER,
    "Life cycle": LIFECYCLE,
    "Retention": RETENTION,
}
