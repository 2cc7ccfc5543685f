"""Which files of a version are for what. Plain Python, so that who only fetches them need not load onnxruntime."""

from __future__ import annotations

from pathlib import PurePosixPath

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile

EXAMPLE = (
    "serving_input_example.json"  # a request that MLflow keeps beside a model that was logged with an input example
)
# What mlflow.onnx.save_model puts beside the graph; anything else there holds weights (ONNX external data).
_NO_WEIGHTS = {
    *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json"),
    *(EXAMPLE, "registered_model_meta"),
}
_EXAMPLE_BYTES = 1_000_000


def loaded_files(deployed: Deployed) -> list[DeployedFile]:
    """The files that are loaded: all of a pyfunc; else the model itself, and of ONNX what holds weights beside it."""
    flavour = (deployed.runtime or {}).get("flavour")
    if flavour:
        return list(deployed.files) if flavour == "pyfunc" else [deployed.model_file]
    folder = PurePosixPath(deployed.model_file.path).parent
    weights = [
        file
        for file in deployed.files
        if PurePosixPath(file.path).is_relative_to(folder)
        and file.path != deployed.model_file.path
        and PurePosixPath(file.path).name not in _NO_WEIGHTS
    ]
    return [deployed.model_file, *weights]


def example_of(deployed: Deployed) -> DeployedFile | None:
    """The request that MLflow keeps; None where there is none, or a very large one."""
    found = (
        file for file in deployed.files if PurePosixPath(file.path).name == EXAMPLE and file.size <= _EXAMPLE_BYTES
    )
    return next(found, None)
