"""How records look in MLflow's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labcycle_lambdas.ledger.experiments import Experiment
from labcycle_lambdas.ledger.logged_models import LoggedModel
from labcycle_lambdas.ledger.points import Metric, json_number
from labcycle_lambdas.ledger.registry import ModelVersion, RegisteredModel
from labcycle_lambdas.ledger.run_record import DatasetInput, Run

Doc = dict[str, Any]


def pairs(mapping: Mapping[str, str]) -> list[Doc]:
    return [{"key": key, "value": value} for key, value in mapping.items()]


def filled(**fields: Any) -> Doc:
    """Without the empty lists, and without what is None: protobuf leaves them out."""
    return {key: value for key, value in fields.items() if value is not None and value != []}


def experiment(item: Experiment) -> Doc:
    return filled(
        experiment_id=item.experiment_id,
        name=item.name,
        artifact_location=item.artifact_location,
        lifecycle_stage=item.lifecycle_stage,
        last_update_time=item.last_update_time,
        creation_time=item.creation_time,
        tags=pairs(item.tags),
        workspace="default",  # the only one, where there are no workspaces
    )


def metric(item: Metric) -> Doc:
    return {"key": item.key, "value": json_number(item.value), "timestamp": item.timestamp, "step": item.step}


def run_info(item: Run) -> Doc:
    return filled(
        run_uuid=item.run_id,
        run_id=item.run_id,
        run_name=item.name,
        experiment_id=item.experiment_id,
        user_id=item.user_id,
        status=item.status,
        start_time=item.start_time,
        end_time=item.end_time or None,
        artifact_uri=item.artifact_uri,
        lifecycle_stage=item.lifecycle_stage,
    )


def run(item: Run, datasets: Sequence[DatasetInput] = (), *, whole: bool = True) -> Doc:
    """`whole`: with the models that it used, which are left out of searches."""
    inputs = filled(
        dataset_inputs=[dataset_input(dataset) for dataset in datasets],
        model_inputs=[{"model_id": model_id} for model_id in item.model_inputs] if whole else None,
    )
    outputs = filled(model_outputs=[{"model_id": model_id, "step": step} for model_id, step in item.model_outputs])
    data = filled(metrics=[metric(m) for m in item.latest.values()], params=pairs(item.params), tags=pairs(item.tags))
    return {"info": run_info(item), "data": data, "inputs": inputs, "outputs": outputs}


def dataset_input(item: DatasetInput) -> Doc:
    dataset = filled(
        name=item.dataset.name,
        digest=item.dataset.digest,
        source_type=item.dataset.source_type,
        source=item.dataset.source,
        schema=item.dataset.schema or None,
        profile=item.dataset.profile or None,
    )
    return filled(tags=pairs(item.tags), dataset=dataset)


def logged_model(item: LoggedModel) -> Doc:
    metrics = [
        metric(point)
        | {"model_id": item.model_id, "run_id": run_id}
        | ({"dataset_name": point.dataset_name, "dataset_digest": point.dataset_digest} if point.dataset_name else {})
        for run_id, point in item.metrics
    ]
    info = filled(
        model_id=item.model_id,
        experiment_id=item.experiment_id,
        name=item.name,
        creation_timestamp_ms=item.creation_timestamp,
        last_updated_timestamp_ms=item.last_updated_timestamp,
        artifact_uri=item.artifact_uri,
        status=item.status,
        model_type=item.model_type,
        source_run_id=item.source_run_id,
        tags=pairs(item.tags),
    )
    return {"info": info, "data": filled(params=pairs(item.params), metrics=metrics)}


def model_version(item: ModelVersion) -> Doc:
    return filled(
        name=item.name,
        version=str(item.version),
        creation_timestamp=item.creation_timestamp,
        last_updated_timestamp=item.last_updated_timestamp,
        user_id=item.user_id or None,
        current_stage=item.stage,
        description=item.description,
        source=item.source,
        run_id=item.run_id,
        status="READY",
        tags=pairs(item.tags),
        run_link=item.run_link,
        aliases=list(item.aliases),
    )


def registered_model(item: RegisteredModel) -> Doc:
    return filled(
        name=item.name,
        creation_timestamp=item.creation_timestamp,
        last_updated_timestamp=item.last_updated_timestamp,
        description=item.description or None,
        latest_versions=[model_version(version) for version in item.latest_versions()],
        tags=pairs(item.tags),
        aliases=[{"alias": alias, "version": str(version)} for alias, version in sorted(item.aliases.items())],
    )
