"""What each operation takes. Who may `read` may ask with GET; the table names the rest.

Logging is what a training does, whoever runs it. What others rely on (names in the registry), and what takes something
out of sight, takes a member with the right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labcycle_lambdas.members import Right
from labcycle_lambdas.tracking import (
    experiments,
    logged_models,
    model_versions,
    presigned,
    proxied,
    registered_models,
    run_search,
    runs,
)

RIGHTS: dict[Callable[..., Any], Right] = {
    experiments.create: "log",
    experiments.search: "read",
    experiments.search_datasets: "read",
    experiments.delete: "administer",
    experiments.restore: "administer",
    experiments.update: "administer",
    experiments.set_tag: "log",
    experiments.delete_tag: "log",
    runs.create: "log",
    runs.update: "log",
    runs.delete: "administer",
    runs.restore: "administer",
    runs.log_metric: "log",
    runs.log_parameter: "log",
    runs.set_tag: "log",
    runs.delete_tag: "log",
    runs.log_batch: "log",
    runs.log_inputs: "log",
    runs.log_outputs: "log",
    runs.log_model: "log",
    run_search.search: "read",
    logged_models.create: "log",
    logged_models.search: "read",
    logged_models.finalize: "log",
    logged_models.delete: "administer",
    logged_models.set_tags: "log",
    logged_models.delete_tag: "log",
    logged_models.log_params: "log",
    registered_models.create: "register",
    registered_models.rename: "administer",
    registered_models.update: "register",
    registered_models.delete: "administer",
    registered_models.set_tag: "register",
    registered_models.delete_tag: "register",
    registered_models.get_latest_versions: "read",
    registered_models.set_alias: "register",
    registered_models.delete_alias: "register",
    model_versions.create: "register",
    model_versions.update: "register",
    model_versions.transition_stage: "register",
    model_versions.set_tag: "register",
    model_versions.delete_tag: "register",
    model_versions.delete: "administer",
    proxied.upload: "log",
    proxied.begin_upload: "log",
    proxied.complete_upload: "log",
    proxied.abort_upload: "log",
    proxied.delete: "administer",
    presigned.upload_url: "log",
    presigned.download_url: "read",
    presigned.upload: "log",
}


def needed(method: str, operation: Callable[..., Any]) -> Right:
    """The right that an operation takes: the strongest, where somebody forgot to say."""
    return RIGHTS.get(operation, "read" if method in ("GET", "HEAD") else "administer")
