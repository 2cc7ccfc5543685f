"""A large file goes up behind the API and comes down again, by the stock MLflow client. Prints one line of JSON.

For the API and for S3: the largest body that was sent there, and the largest that came from there.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import requests

import labcycle.client.mlflow_headers  # noqa: F401 - as MLflow does where the wheel is installed

BYTES = 200 * 1024**2
largest: dict[str, list[int]] = {"api": [0, 0], "s3": [0, 0]}
_send = requests.adapters.HTTPAdapter.send


def counted(self: Any, request: Any, **more: Any) -> Any:
    answer = _send(self, request, **more)
    sizes = largest["s3" if "X-Amz-Signature=" in urlsplit(request.url).query else "api"]
    sizes[0] = max(sizes[0], int(request.headers.get("Content-Length") or 0))
    sizes[1] = max(sizes[1], int(answer.headers.get("Content-Length") or 0))
    return answer


def digest(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    requests.adapters.HTTPAdapter.send = counted  # type: ignore[assignment, method-assign]
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "größe 1.bin")
        noise = random.Random(3).randbytes(3 * 1024**2)
        with weights.open("wb") as file:
            file.write(noise)
            file.seek(BYTES - len(noise))
            file.write(noise)
        mlflow.set_experiment("large")
        with mlflow.start_run() as run:
            mlflow.log_artifact(str(weights), "w")
        got = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path="w/größe 1.bin", dst_path=str(Path(folder, "got"))
        )
        same = digest(got) == digest(weights)
    print(json.dumps({"artifact_uri": run.info.artifact_uri, "same": same, "largest": largest}))


if __name__ == "__main__":
    main()
