"""What a data scientist does: train, and log with the stock MLflow client. Two lines of it are labcycle's.

    python scientist.py RECIPE_FOLDER DATA.csv MODEL C

Runs the recipe as a training job would, logs its run, and registers the model. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow
import onnx
import pandas as pd

from labcycle.client import record


def main(recipe: Path, data: Path, model: str, c: str) -> None:
    root = Path(tempfile.mkdtemp(prefix="training-"))
    try:
        (root / "input/config").mkdir(parents=True)
        (root / "input/data/training").mkdir(parents=True)
        parameters = {"C": c, "max_iter": "2000", "seed": "7"}
        (root / "input/config/hyperparameters.json").write_text(json.dumps(parameters))
        shutil.copy(data, root / "input/data/training/data.csv")
        environment = {**os.environ, "LABCYCLE_TRAINING_ROOT": str(root)}
        subprocess.run([sys.executable, str(recipe / "train.py")], check=True, env=environment, stdout=sys.stderr)

        metrics = json.loads((root / "output/data/metrics.json").read_text())
        mlflow.set_experiment(model)
        with mlflow.start_run(run_name="first") as run:
            mlflow.log_params(parameters)
            mlflow.log_metrics(metrics)
            mlflow.log_artifacts(str(recipe), "recipe")
            mlflow.log_artifact(str(data), "data")
            source = mlflow.get_artifact_uri(f"data/{data.name}")
            dataset = mlflow.data.from_pandas(pd.read_csv(data), source, name="baseline", targets="target")
            mlflow.log_input(dataset, context="training")
            record.snapshot()
            mlflow.log_artifact(str(root / "output/data/reference.json"))
            saved = mlflow.models.Model.load(str(root / "model"))
            logged = mlflow.onnx.log_model(
                onnx.load(str(root / "model/model.onnx")),
                name="model",
                signature=saved.signature,
                registered_model_name=model,
            )
        found = mlflow.search_runs(
            experiment_names=[model], filter_string="metrics.accuracy > 0.5 and params.seed = '7'"
        )
        print(
            json.dumps(
                {
                    "run_id": run.info.run_id,
                    "model_id": logged.model_id,
                    "version": logged.registered_model_version,
                    "metrics": metrics,
                    "runs_found": found["run_id"].tolist(),
                }
            )
        )
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
