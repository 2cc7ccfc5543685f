"""What is asked for and answered, by name: the components of the document."""

from __future__ import annotations

from labcycle.openapi.schema import (
    ANYTHING,
    BOOLEAN,
    DOUBLE,
    INT64,
    MILLISECONDS,
    STRING,
    Schema,
    array,
    nullable,
    one_of,
    ref,
    shape,
    text,
)

RUN_STATUS = one_of("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
MODEL_STATUS = one_of("LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED")
LIFECYCLE = one_of("active", "deleted")
STAGE = one_of("None", "Staging", "Production", "Archived")
TAGS = array(ref("Tag"))
PARAMS = array(ref("Param"))
EXPERIMENT_ID = text("A whole number, as text. `0` is the experiment `Default`.")
RUN_ID = text("32 hexadecimal digits.")
MODEL_ID = text("`m-` and 32 hexadecimal digits.")
VERSION = text("A whole number, as text.")
TIME = text("UTC in ISO 8601.")
TOKEN = text("Of the next page; absent on the last one.")

SCHEMAS: dict[str, Schema] = {
    "Tag": shape({"key!": STRING, "value!": STRING}),
    "Param": shape({"key!": STRING, "value!": STRING}),
    "Metric": shape({"key!": STRING, "value!": DOUBLE, "timestamp!": MILLISECONDS, "step!": INT64}),
    "MetricOfRun": shape(
        {"key!": STRING, "value!": DOUBLE, "timestamp!": MILLISECONDS, "step!": INT64, "run_id!": RUN_ID}
    ),
    "MetricOfModel": shape(
        {
            "key!": STRING,
            "value!": DOUBLE,
            "timestamp!": MILLISECONDS,
            "step!": INT64,
            "run_id!": RUN_ID,
            "model_id!": MODEL_ID,
            "dataset_name": STRING,
            "dataset_digest": STRING,
        }
    ),
    "Experiment": shape(
        {
            "experiment_id!": EXPERIMENT_ID,
            "name!": STRING,
            "artifact_location!": STRING,
            "lifecycle_stage!": LIFECYCLE,
            "creation_time!": MILLISECONDS,
            "last_update_time!": MILLISECONDS,
            "tags": TAGS,
            "workspace": STRING,
        }
    ),
    "RunInfo": shape(
        {
            "run_id!": RUN_ID,
            "run_uuid!": text("The same as `run_id`."),
            "run_name!": STRING,
            "experiment_id!": EXPERIMENT_ID,
            "user_id!": text("Who signed the request that created it."),
            "status!": RUN_STATUS,
            "start_time!": MILLISECONDS,
            "end_time": MILLISECONDS,
            "artifact_uri!": STRING,
            "lifecycle_stage!": LIFECYCLE,
        }
    ),
    "Dataset": shape(
        {
            "name!": STRING,
            "digest!": STRING,
            "source_type!": STRING,
            "source!": STRING,
            "schema": STRING,
            "profile": STRING,
        }
    ),
    "DatasetInput": shape({"dataset!": ref("Dataset"), "tags": TAGS}),
    "DatasetSummary": shape({"experiment_id!": EXPERIMENT_ID, "name!": STRING, "digest!": STRING, "context": STRING}),
    "Run": shape(
        {
            "info!": ref("RunInfo"),
            "data!": shape({"metrics": array(ref("Metric")), "params": PARAMS, "tags": TAGS}),
            "inputs!": shape(
                {
                    "dataset_inputs": array(ref("DatasetInput")),
                    "model_inputs": array(shape({"model_id!": MODEL_ID})),
                }
            ),
            "outputs": shape({"model_outputs": array(shape({"model_id!": MODEL_ID, "step!": INT64}))}),
        }
    ),
    "LoggedModel": shape(
        {
            "info!": shape(
                {
                    "model_id!": MODEL_ID,
                    "experiment_id!": EXPERIMENT_ID,
                    "name!": STRING,
                    "creation_timestamp_ms!": MILLISECONDS,
                    "last_updated_timestamp_ms!": MILLISECONDS,
                    "artifact_uri!": STRING,
                    "status!": MODEL_STATUS,
                    "model_type!": STRING,
                    "source_run_id": RUN_ID,
                    "tags": TAGS,
                }
            ),
            "data!": shape({"params": PARAMS, "metrics": array(ref("MetricOfModel"))}),
        }
    ),
    "ModelVersion": shape(
        {
            "name!": STRING,
            "version!": VERSION,
            "creation_timestamp!": MILLISECONDS,
            "last_updated_timestamp!": MILLISECONDS,
            "user_id": text("Who registered it."),
            "current_stage!": STAGE,
            "description!": STRING,
            "source!": STRING,
            "run_id!": STRING,
            "status!": one_of("READY"),
            "tags": TAGS,
            "run_link!": STRING,
            "aliases": array(STRING),
        }
    ),
    "RegisteredModel": shape(
        {
            "name!": STRING,
            "creation_timestamp!": MILLISECONDS,
            "last_updated_timestamp!": MILLISECONDS,
            "description": STRING,
            "latest_versions": array(ref("ModelVersion")),
            "tags": TAGS,
            "aliases": array(shape({"alias!": STRING, "version!": VERSION})),
        }
    ),
    "FileInfo": shape({"path!": STRING, "is_dir!": BOOLEAN, "file_size": INT64}),
    "Error": shape(
        {
            "error_code!": text(
                "MLflow's name of what is wrong: INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ..."
            ),
            "message!": text("What, where, what is allowed, and how to mend it."),
        }
    ),
    "Who": shape({"member!": nullable(STRING), "role!": STRING, "session!": STRING}),
    "Event": shape(
        {
            "subject!": STRING,
            "seq!": INT64,
            "at!": TIME,
            "action!": STRING,
            "who!": ref("Who"),
            "detail!": ANYTHING,
            "previous!": text("Hash of the event before it."),
            "hash!": text("SHA-256 of the event's canonical JSON."),
        }
    ),
    "DeployedFile": shape({"path!": STRING, "key!": STRING, "version_id!": STRING, "sha256!": STRING, "size!": INT64}),
    "Deployed": shape(
        {
            "version!": INT64,
            "source_run!": nullable(STRING),
            "model_file!": ref("DeployedFile"),
            "files!": array(ref("DeployedFile")),
            "signature!": nullable(ANYTHING),
            "reference!": nullable(ANYTHING),
            "promoted_at!": TIME,
            "promoted_by!": STRING,
            "runtime!": nullable(ANYTHING),
        }
    ),
    "Previous": shape(
        {
            "version!": INT64,
            "source_run!": nullable(STRING),
            "model_file!": ref("DeployedFile"),
            "promoted_at!": TIME,
            "promoted_by!": STRING,
            "detail!": STRING,
        }
    ),
    "Deployment": shape(
        {
            "model!": STRING,
            "generation!": INT64,
            "live!": nullable(ref("Deployed")),
            "previous!": array(ref("Previous")),
            "canary!": nullable(shape({"deployed!": ref("Deployed"), "percent!": INT64})),
            "shadow!": nullable(shape({"deployed!": ref("Deployed"), "percent!": INT64, "in_process!": BOOLEAN})),
            "pause!": nullable(shape({"answer!": ANYTHING, "at!": TIME, "by!": STRING, "reason!": STRING})),
        }
    ),
    "Promotion": shape(
        {
            "execution!": STRING,
            "version!": INT64,
            "state!": one_of("requested", "watching", "ended"),
            "requested_at!": TIME,
            "requested_by!": STRING,
            "lease_until!": TIME,
            "reason!": STRING,
            "new_inputs!": BOOLEAN,
            "step!": INT64,
            "percent!": INT64,
            "since!": STRING,
            "outcome!": one_of("", "live", "refused", "taken_back", "given_up", "failed"),
            "said!": array(STRING),
            "evidence!": ANYTHING,
        }
    ),
    "Part": shape(
        {
            "name!": STRING,
            "state!": STRING,
            "evidence!": array(STRING),
            "lacking!": array(STRING),
            "supply!": STRING,
        }
    ),
    "Ancestor": shape(
        {
            "relation!": STRING,
            "run_id!": STRING,
            "name!": nullable(STRING),
            "status!": STRING,
            "user_id!": STRING,
            "start_time!": MILLISECONDS,
            "lifecycle_stage!": STRING,
        }
    ),
}
