"""Artifacts behind the API, for callers without AWS credentials; those in S3 are exercised by the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import urllib3

from labcycle.lineage.artifacts import ArtifactError, Artifacts
from labcycle.lineage.runs_client import RunsClient
from tests.unit.lineage.conftest import Team
from tests.unit.tracking.conftest import BUCKET

ROOT = "mlflow-artifacts:/0/größer/artifacts"


class S3ByUrl:
    """S3 as presigned addresses reach it: moto knows requests of boto3 alone."""

    def __init__(self, team: Team) -> None:
        self._s3 = team.api.s3
        self.methods: list[str] = []

    def request(self, method: str, url: str, body: bytes | None = None, **_: Any) -> urllib3.HTTPResponse:
        self.methods.append(method)
        parts = urlsplit(url)
        key, query = unquote(parts.path).lstrip("/").removeprefix(f"{BUCKET}/"), parse_qs(parts.query)
        assert BUCKET in url and "Signature" in parts.query
        if method == "GET":
            return urllib3.HTTPResponse(self._s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), status=200)
        part = {"UploadId": query["uploadId"][0], "PartNumber": int(query["partNumber"][0])}
        made = self._s3.upload_part(Bucket=BUCKET, Key=key, Body=body or b"", **cast(Any, part))
        return urllib3.HTTPResponse(b"", {"etag": made["ETag"]}, status=200)


def test_files_behind_the_api(team: Team, tmp_path: Path) -> None:
    s3 = S3ByUrl(team)
    artifacts = Artifacts(RunsClient(), cast(urllib3.PoolManager, s3))
    for path, content in (("lineage/a b.txt", b"one"), ("recipe/train.py", b"two"), ("recipe/sub/ü.txt", b"three")):
        artifacts.write(ROOT, path, content)
        assert artifacts.read(ROOT, path) == content
    assert artifacts.read("mlflow-artifacts://host/0/größer/artifacts", "recipe/train.py") == b"two"
    assert (
        team.api.s3.get_object(Bucket=BUCKET, Key="experiments/0/größer/artifacts/recipe/train.py")["Body"].read()
        == b"two"
    )
    assert s3.methods == ["PUT", "GET"] * 3 + ["GET"]
    assert sorted(artifacts.paths(f"{ROOT}/recipe")) == ["sub/ü.txt", "train.py"]
    assert len(artifacts.download(ROOT, tmp_path)) == 3
    assert (tmp_path / "recipe" / "sub" / "ü.txt").read_bytes() == b"three"
    assert artifacts.read(ROOT, "none") is None


@pytest.mark.parametrize(("content", "parts"), [(b"", 0), (b"x", 1), (b"x" * 25, 3)])
def test_a_file_goes_up_in_parts(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, parts: int
) -> None:
    monkeypatch.setattr("labcycle.lineage.artifacts._PART_BYTES", 10)
    # S3 takes small parts only as the last one.
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    file = tmp_path / "a b.bin"
    file.write_bytes(content)
    s3 = S3ByUrl(team)
    Artifacts(RunsClient(), cast(urllib3.PoolManager, s3)).upload(ROOT, "deep/a b.bin", file)
    assert len(s3.methods) == parts
    key = "experiments/0/größer/artifacts/deep/a b.bin"
    assert team.api.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == content


def test_a_file_that_is_gone_is_told(team: Team, tmp_path: Path) -> None:
    for root in (ROOT, f"s3://{BUCKET}/experiments/0/r/artifacts"):
        with pytest.raises(ArtifactError, match="cannot be written to"):
            Artifacts(RunsClient()).upload(root, "gone.bin", tmp_path / "gone.bin")


@pytest.mark.parametrize("root", ["file:///etc", "https://example.com/x", "s3:/x", ""])
def test_other_addresses_are_refused(team: Team, root: str) -> None:
    artifacts = Artifacts(RunsClient())
    for call in (
        lambda: artifacts.read(root, "x"),
        lambda: artifacts.paths(root),
        lambda: artifacts.write(root, "x", b""),
    ):
        with pytest.raises(ArtifactError, match="neither in S3 nor behind the API"):
            call()


def test_a_file_never_leaves_its_folder(team: Team, tmp_path: Path) -> None:
    team.api.file("experiments/0/r/artifacts/recipe/../../x.py")
    with pytest.raises(ArtifactError, match="would leave the folder"):
        Artifacts(RunsClient()).download(f"s3://{BUCKET}/experiments/0/r/artifacts/recipe", tmp_path)
