"""What a version must bring to go live, with real model folders."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pandas as pd
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from labcycle.client import reference
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.lifecycle.preflight import notes
from labcycle_lambdas.profiles import Reference
from tests.unit.serving.workshop import (
    BUCKET,
    FEATURES,
    MODEL,
    World,
    classifier,
    reference_table,
    with_external_weights,
)


def test_a_sound_version_is_prepared_from_its_pinned_bytes(world: World) -> None:
    run_id = world.run({"reference.json": reference_table()})
    number = world.register(classifier(), run_id=run_id)
    deployed = world.preflight.prepare(MODEL, str(number))
    files = classifier().files()
    assert deployed.version == 1
    assert deployed.source_run == run_id
    assert {f.path: (f.sha256, f.size) for f in deployed.files} == {
        path: (hashlib.sha256(body).hexdigest(), len(body)) for path, body in files.items()
    }
    assert deployed.model_file.path == "model.onnx"
    assert deployed.signature is not None
    assert [column["name"] for column in deployed.signature["inputs"]] == FEATURES
    assert deployed.reference is not None
    assert [c.name for c in Reference.from_doc(deployed.reference).columns] == [*FEATURES, "prediction"]
    assert notes(deployed) == []


def test_a_fitted_reference_is_taken_as_the_table_of_the_same_rows_is(world: World) -> None:
    table = json.loads(reference_table())
    frame = pd.DataFrame(table["data"], columns=table["columns"])
    fitted = json.dumps(reference.fit(frame)).encode()
    made = [
        world.preflight.prepare(
            MODEL, world.register(classifier(), run_id=world.run({"reference.json": body}))
        ).reference
        for body in (reference_table(), fitted)
    ]
    of_table, of_frame = (Reference.from_doc(doc) for doc in made if doc)
    assert [(c.name, c.bins, c.counts) for c in of_frame.columns] == [
        (c.name, c.bins, c.counts) for c in of_table.columns
    ]
    by_cohort = json.dumps(reference.fit(frame.assign(half=[i % 2 for i in range(len(frame))]), cohorts=["half"]))
    number = world.register(classifier(), run_id=world.run({"reference.json": by_cohort.encode()}))
    kept = world.preflight.prepare(MODEL, number).reference
    assert kept is not None and set(kept["cohorts"]["half"]) == {"0", "1"}


def test_a_table_is_counted_by_the_cohorts_that_are_watched(world: World) -> None:
    table = json.loads(reference_table())
    rows = [[*row, i % 2] for i, row in enumerate(table["data"])]
    body = json.dumps({"columns": [*table["columns"], "half"], "data": rows}).encode()
    number = world.register(classifier(), run_id=world.run({"reference.json": body}))
    watching = replace(world.preflight, cohorts=lambda model: ["half", "no column of it"])
    kept = watching.prepare(MODEL, number).reference
    assert kept is not None and set(kept["cohorts"]) == {"half"}
    plain = world.preflight.prepare(MODEL, number).reference
    assert plain is not None and "cohorts" not in plain


def test_what_is_written_after_registration_changes_nothing(world: World) -> None:
    number = world.register(classifier())
    key = "experiments/0/models/m-1/artifacts/model.onnx"
    world.s3.put_object(Bucket=BUCKET, Key=key, Body=b"something else")
    deployed = world.preflight.prepare(MODEL, number)
    assert deployed.model_file.sha256 == hashlib.sha256(classifier().files()["model.onnx"]).hexdigest()


def test_what_is_missing_is_noted(world: World) -> None:
    deployed = world.preflight.prepare(MODEL, world.register(classifier(), run_id=world.run()))
    assert deployed.reference is None
    said = notes(replace(deployed, signature=None))
    assert [line.split(":")[0] for line in said] == ["No drift check", "No input check"]


@pytest.mark.parametrize("version", [2, "7", "x", "99999999999999"])
def test_an_unknown_version_is_not_found(world: World, version: int | str) -> None:
    world.register(classifier())
    with pytest.raises(NotFound):
        world.preflight.prepare(MODEL, version)


def test_another_flavor_is_refused_with_what_to_log_instead(world: World) -> None:
    files = {"MLmodel": b"flavors:\n  sklearn: {pickled_model: model.pkl}\n  python_function: {}\n", "model.pkl": b"x"}
    with pytest.raises(Refused, match=r"flavors: sklearn, python_function.*mlflow.onnx.log_model"):
        world.preflight.prepare(MODEL, world.register(files))


@pytest.mark.parametrize(
    ("description", "says"),
    [
        (b"{", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"[1]", "names no flavors"),
        (b"flavors: 3", "names no flavors"),
        (b"flavors: {onnx: {data: other.onnx}}", "other.onnx"),
        (b"flavors: {onnx: {}}\nsignature: {inputs: '{'}", "signature"),
        (b"flavors: {onnx: {}}\nsignature: 7", "signature"),
        (b"""flavors: {onnx: {}}\nsignature: {inputs: '[{"type": "datetime", "name": "at"}]'}""", "'at'.*datetime"),
        (b"!!python/object/apply:os.system ['true']", "not valid YAML"),
        (b"[" * 5000, "not valid YAML"),
    ],
)
def test_a_broken_description_is_refused(world: World, description: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says):
        world.preflight.prepare(MODEL, world.register({"MLmodel": description, "model.onnx": b"x"}))


def test_a_version_without_pinned_files_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="no pinned files"):
        world.preflight.prepare(MODEL, world.register(classifier(), pinned=False))


def test_a_folder_that_is_no_model_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="no MLmodel file"):
        world.preflight.prepare(MODEL, world.register({"model.onnx": b"x"}))


def test_a_file_that_was_removed_for_good_is_refused(world: World) -> None:
    number = world.register(classifier())
    key = "experiments/0/models/m-1/artifacts/model.onnx"
    version_id = world.s3.head_object(Bucket=BUCKET, Key=key)["VersionId"]
    world.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version_id)
    with pytest.raises(Refused, match="gone"):
        world.preflight.prepare(MODEL, number)


@pytest.mark.parametrize("code", ["AccessDenied", "403"])
def test_a_file_that_may_not_be_read_is_refused_like_one_that_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """S3 answers so where nothing is there and the caller may not list the bucket."""
    number = world.register(classifier())

    def refused(self: S3Client, **_: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "Access Denied"}}, "GetObject")

    monkeypatch.setattr(world.s3, "get_object", refused.__get__(world.s3))
    with pytest.raises(Refused, match="gone"):
        world.preflight.prepare(MODEL, number)


def test_a_model_too_large_for_its_server_is_refused_by_how_much(world: World) -> None:
    number = world.register({"MLmodel": b"flavors: {onnx: {}}", "model.onnx": b"x" * 10_000_000})
    asked: list[str] = []

    def memory(model: str) -> int:
        asked.append(model)
        return 300

    with pytest.raises(Refused, match=r"10 MB of files need 306 MB.*has 300 MB: 6 MB too few"):
        replace(world.preflight, server_memory_mb=memory).prepare(MODEL, number)
    assert asked == [MODEL]
    replace(world.preflight, server_memory_mb=lambda _: 307).prepare(MODEL, number)


def test_weights_in_files_of_their_own_are_part_of_the_version(world: World) -> None:
    paths = [file.path for file in world.preflight.prepare(MODEL, world.register(with_external_weights())).files]
    assert len([p for p in paths if p not in {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"}]) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b"{}",
        json.dumps({"columns": ["a"], "data": [[1, 2]]}).encode(),
        b'{"columns": [], "data": []}',
        b'{"columns": ["a", "b"]}',
        b'{"columns": [{"name": "x", "kind": "numeric", "edges": [1.0], "counts": [1]}]}',
    ],
)
def test_a_reference_that_is_neither_table_nor_fitted_is_refused(world: World, body: bytes) -> None:
    number = world.register(classifier(), run_id=world.run({"reference.json": body}))
    with pytest.raises(Refused, match=r"reference.json.*is neither.*reference.log\(.*mlflow.log_table"):
        world.preflight.prepare(MODEL, number)


def test_an_artifact_with_a_longer_name_is_no_reference(world: World) -> None:
    number = world.register(classifier(), run_id=world.run({"reference.json.bak": b"x"}))
    assert world.preflight.prepare(MODEL, number).reference is None


def test_a_busy_bucket_is_told_from_a_missing_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    number = world.register(classifier())

    def busy(self: S3Client, **_: object) -> None:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "x"}}, "GetObject")

    monkeypatch.setattr(world.s3, "get_object", busy.__get__(world.s3))
    with pytest.raises(Throttled):
        world.preflight.prepare(MODEL, number)
