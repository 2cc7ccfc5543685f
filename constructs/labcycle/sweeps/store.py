"""What a sweep is made of, in the team's artifact bucket below `data/sweeps/SWEEP/`; a sweep is named by the id of its parent run.

- `manifest.json`: script, points, limits; never changed.
- `submissions/N.json`: which points were handed to AWS Batch the Nth time; written before they are.
- `jobs/N.json`: the job of it. Whoever comes first writes it, the command or a lane of the job, so that a command that was cut off
  leaves no doubt, and of two jobs of one submission one does nothing.
- `jobs/N-LANE.json`: why a lane ended before its points did.
- `../scripts/SHA256.py`: scripts, by their content.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from labcycle.config import names
from labcycle.errors import LabcycleError
from labcycle.sweeps.plan import SweepFile

_ABSENT = ("NoSuchKey", "404")
_TAKEN, _AT_THE_SAME_TIME = "PreconditionFailed", "ConditionalRequestConflict"
_TRIES = 6
_NUMBER = re.compile(r"/submissions/(\d+)\.json$")


@dataclass(frozen=True)
class Manifest:
    """A sweep, as it was begun. `file` is the sweep's file, `code` the tags that say where the script comes from."""

    sweep: str
    name: str
    experiment_id: str
    member: str
    file: dict[str, Any]
    script_sha256: str
    script_name: str
    points: list[dict[str, Any]]
    usd_hour: float
    code: dict[str, str]

    @property
    def plan(self) -> SweepFile:
        return SweepFile.model_validate(self.file)


@dataclass(frozen=True)
class Submission:
    """Points in the order of lanes: lane `k` of `lanes` has every `lanes`th from the `k`th on."""

    number: int
    points: list[int]
    lanes: int
    budget_usd: float | None
    job_name: str
    submitted_ms: int

    def of_lane(self, lane: int) -> list[int]:
        return self.points[lane :: self.lanes]


class Store:
    """Raises boto3's errors, and `LabcycleError` where what is read is not what was written."""

    def __init__(self, s3: Any, bucket: str, *, sleep: Callable[[float], object] = time.sleep) -> None:
        self._s3, self._bucket, self._sleep = s3, bucket, sleep

    def put_script(self, content: bytes) -> str:
        """Its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        self._s3.put_object(Bucket=self._bucket, Key=_script(digest), Body=content)
        return digest

    def script(self, digest: str) -> bytes:
        content: bytes = self._s3.get_object(Bucket=self._bucket, Key=_script(digest))["Body"].read()
        if hashlib.sha256(content).hexdigest() != digest:
            raise LabcycleError(
                f"the script {digest} in s3://{self._bucket}/{_script(digest)} was changed; it is not run"
            )
        return content

    def put_manifest(self, manifest: Manifest) -> None:
        self._put_once(f"{names.sweep_prefix(manifest.sweep)}manifest.json", asdict(manifest))

    def manifest(self, sweep: str) -> Manifest | None:
        found = self._get(f"{names.sweep_prefix(sweep)}manifest.json")
        return None if found is None else Manifest(**found)

    def put_submission(self, sweep: str, submission: Submission) -> bool:
        """False where somebody else has written this number."""
        return self._put_once(f"{names.sweep_prefix(sweep)}submissions/{submission.number}.json", asdict(submission))

    def submission(self, sweep: str, number: int) -> Submission | None:
        found = self._get(f"{names.sweep_prefix(sweep)}submissions/{number}.json")
        return None if found is None else Submission(**found)

    def last_submission(self, sweep: str) -> Submission | None:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{names.sweep_prefix(sweep)}submissions/"
        )
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        numbers = [int(found[1]) for key in keys if (found := _NUMBER.search(key))]
        return self.submission(sweep, max(numbers)) if numbers else None

    def claim(self, sweep: str, number: int, job: str) -> str:
        """The job of a submission: `job`, unless another one is noted already."""
        key = f"{names.sweep_prefix(sweep)}jobs/{number}.json"
        if self._put_once(key, {"job": job}):
            return job
        return self.job(sweep, number) or job

    def job(self, sweep: str, number: int) -> str | None:
        found = self._get(f"{names.sweep_prefix(sweep)}jobs/{number}.json")
        return None if found is None else str(found["job"])

    def note_lane(self, sweep: str, number: int, lane: int, why: str) -> None:
        key = f"{names.sweep_prefix(sweep)}jobs/{number}-{lane}.json"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=json.dumps({"why": why}).encode())

    def lanes_out_of_budget(self, sweep: str, number: int) -> int:
        """How many lanes of a submission ended before their points did."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{names.sweep_prefix(sweep)}jobs/{number}-"
        )
        return sum(len(page.get("Contents", ())) for page in pages)

    def _get(self, key: str) -> dict[str, Any] | None:
        try:
            content = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            raise
        found: dict[str, Any] = json.loads(content)
        return found

    def _put_once(self, key: str, document: object) -> bool:
        """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""
        body = json.dumps(document, separators=(",", ":")).encode()
        for attempt in range(1, _TRIES + 1):
            try:
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == _AT_THE_SAME_TIME and attempt < _TRIES:  # nobody has won yet
                    self._sleep(0.1 * 2**attempt)
                    continue
                if code != _TAKEN:
                    raise
                # Of a write whose answer was lost, the repetition finds its own.
                return bool(self._get(key) == json.loads(body))
            return True
        raise AssertionError("unreachable")


def _script(digest: str) -> str:
    return f"{names.sweep_prefix()}scripts/{digest}.py"
