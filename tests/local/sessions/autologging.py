"""A session of the stock MLflow client, which knows nothing of labcycle. Prints one line of JSON."""

from __future__ import annotations

import json

import mlflow
import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LogisticRegression

MODEL = "card-fraud"


def main() -> None:
    random = np.random.default_rng(7)
    features = pd.DataFrame(random.normal(size=(80, 3)), columns=["amount", "hour", "risk"])
    labels = (features.sum(axis=1) > 0).astype(int)
    mlflow.set_experiment("over a token")
    mlflow.sklearn.autolog(log_datasets=True, log_models=False, silent=True)
    with mlflow.start_run(run_name="sweep") as parent:
        mlflow.log_input(mlflow.data.from_pandas(features, name="baseline"), context="training")
        for strength in (0.1, 1.0):
            with mlflow.start_run(run_name=f"C={strength}", nested=True):
                best = LogisticRegression(C=strength).fit(features, labels)
        mlflow.log_dict({"seed": 7}, "settings.json")
        logged = mlflow.sklearn.log_model(
            best,
            name="model",
            input_example=features.head(2),
            registered_model_name=MODEL,
            pip_requirements=["scikit-learn"],
        )
    client = MlflowClient()
    client.set_registered_model_alias(MODEL, "champion", logged.registered_model_version)
    loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    experiment = mlflow.get_experiment_by_name("over a token")
    children = client.search_runs(
        [experiment.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}' and params.C != '7 %'"
    )
    read = client.get_run(parent.info.run_id)
    print(
        json.dumps(
            {
                "version": logged.registered_model_version,
                "alike": bool((loaded.predict(features) == best.predict(features)).all()),
                "artifact_uri": read.info.artifact_uri,
                "user": read.data.tags["mlflow.user"],
                "inputs": [one.dataset.name for one in read.inputs.dataset_inputs],
                "children": sorted(child.data.params["C"] for child in children),
                "scores": sorted(child.data.metrics["training_accuracy_score"] > 0.5 for child in children),
                "settings": mlflow.artifacts.load_dict(f"{read.info.artifact_uri}/settings.json"),
            }
        )
    )


if __name__ == "__main__":
    main()
