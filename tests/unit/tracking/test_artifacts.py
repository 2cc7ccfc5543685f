"""Artifacts behind the API: where the function sends those who want bytes, and what it hides."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import boto3
import pytest
import requests
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from moto.core.botocore_stubber import MockRawResponse
from moto.s3.exceptions import NoSuchUpload
from moto.s3.models import S3Backend

from labcycle_lambdas.tracking import artifacts
from labcycle_lambdas.tracking.artifacts import PART_SECONDS, SIGNING, URL_SECONDS, ArtifactStore
from tests.unit.tracking.conftest import BUCKET, REGION, Api
from tests.unit.tracking.server import event, member, subject

ARTIFACTS = "/api/2.0/mlflow-artifacts"
HOST = f"{BUCKET}.s3.{REGION}.amazonaws.com"
MIB = 1024**2


@pytest.fixture(autouse=True)
def uploads_can_be_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto fails (KeyError) where S3 says that there is no such upload."""
    complete = S3Backend.complete_multipart_upload

    def answered(backend: Any, bucket_name: str, multipart_id: str, body: Any) -> Any:
        if multipart_id not in backend.get_bucket(bucket_name).multiparts:
            raise NoSuchUpload(upload_id=multipart_id)
        return complete(backend, bucket_name, multipart_id, body)

    monkeypatch.setattr(S3Backend, "complete_multipart_upload", answered)


def redirected(api: Api, method: str, path: str, query: str = "", body: bytes = b"") -> str:
    """Where the function sends its caller."""
    said = api.answer(event(method, path, query, body, member()))
    assert (said["statusCode"], said["body"]) == (307, ""), said
    assert said["headers"]["cache-control"] == "no-store"
    return str(said["headers"]["location"])


def test_an_empty_file_is_there_at_once(api: Api) -> None:
    path = f"0/{api.run()}/artifacts/__init__.py"
    said = api.answer(event("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", "", b"", member()))
    assert (said["statusCode"], said["body"]) == (200, "{}")
    assert content(api, f"experiments/{path}") == b""


def content(api: Api, key: str) -> bytes:
    return api.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def registered(api: Api, key: str = "experiments/0/m", name: str = "cards") -> str:
    """A registered model of one file below `key`, which is returned."""
    api.file(f"{key}/model.onnx", b"registered")
    api.ok("POST", "registered-models/create", {"name": name})
    api.ok("POST", "model-versions/create", {"name": name, "source": f"s3://{BUCKET}/{key}"})
    return key


@pytest.mark.parametrize("name", ["a.txt", "größe 1/ä+b?c=d&e%.bin", "[~!$'()*,;:@]/emoji-\U0001f600"])
def test_a_file_is_put_and_read_where_the_function_says(api: Api, name: str) -> None:
    path = f"{ARTIFACTS}/artifacts/7/run/artifacts/{name}"
    url = redirected(api, "PUT", path, body=b"not the file: the function does not look")
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert parts.netloc == HOST, "the bucket's own region, which answers at once"
    assert unquote(parts.path) == f"/experiments/7/run/artifacts/{name}", "bound to the key"
    assert query["X-Amz-Expires"] == [str(URL_SECONDS)] and query["X-Amz-SignedHeaders"] == ["host"]
    assert not [key for key in query if "checksum" in key], "none of a body that botocore never saw"
    assert requests.put(url, data=b"content").status_code == 200
    assert content(api, f"experiments/7/run/artifacts/{name}") == b"content"
    read = requests.get(redirected(api, "GET", path))
    assert (read.content, read.headers["content-disposition"]) == (b"content", "attachment")
    said = api.ok("GET", f"{ARTIFACTS}/presigned/7/run/artifacts/{name}")
    assert said["file_size"] == 7 and said["headers"] == {}
    assert requests.get(said["url"], headers={"Range": "bytes=0-2"}).content == b"con"


BAD = ["..", "a/../b", "a//b", "/a", "./a", "a/.", "a/%2e%2e/b", "a%252e%252e/../c", "a\0b", "a\nb", "%00", "a\\..\\b"]


def test_a_path_that_leaves_its_root_or_cannot_be_listed_is_refused(api: Api) -> None:
    run_id = api.run()
    for path in BAD:
        asked: list[tuple[str, str, Any]] = [
            ("PUT", f"{ARTIFACTS}/artifacts/{path}", None),
            ("GET", f"{ARTIFACTS}/artifacts/{path}", None),
            ("GET", f"{ARTIFACTS}/presigned/{path}", None),
            ("DELETE", f"{ARTIFACTS}/artifacts/{path}", None),
            ("GET", f"{ARTIFACTS}/artifacts", {"path": f"x/{path}"}),
            ("POST", f"{ARTIFACTS}/mpu/create/{path}", {"path": "f", "num_parts": 1}),
            ("POST", "artifacts/presigned-upload-url", {"run_id": run_id, "path": path}),
            ("POST", "artifacts/presigned-download-url", {"run_id": run_id, "path": path}),
            ("GET", "/get-artifact", {"run_id": run_id, "path": path}),
        ]
        for method, where, body in asked:
            refused = api.fails(method, where, body)
            assert refused == (400, "INVALID_PARAMETER_VALUE", "Invalid path"), (method, where)


def test_names_that_s3_or_the_client_cannot_keep_are_refused(api: Api) -> None:
    status, _, message = api.fails("PUT", f"{ARTIFACTS}/artifacts/a/" + "ü" * 600)
    assert status == 400 and "1214 bytes" in message and "1024" in message
    assert "'#'" in api.fails("PUT", f"{ARTIFACTS}/artifacts/a#b")[2]


def test_a_listing_gives_the_names_of_all_files_right_below(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_LISTED_AT_ONCE", 3)
    for number in range(7):
        api.file(f"experiments/1/r/artifacts/many/{number}")
    for name in ("a b.txt", "ä/x", "ä/y", "model/MLmodel"):
        api.file(f"experiments/1/r/artifacts/{name}", b"12345")
    listed = api.ok("GET", f"{ARTIFACTS}/artifacts", {"path": "1/r/artifacts"})["files"]
    assert listed == [
        {"path": "a b.txt", "is_dir": False, "file_size": 5},
        {"path": "many", "is_dir": True},
        {"path": "model", "is_dir": True},
        {"path": "ä", "is_dir": True},
    ]
    many = api.ok("GET", f"{ARTIFACTS}/artifacts", {"path": "1/r/artifacts/many/"})["files"]
    assert [file["path"] for file in many] == list("0123456")
    for path in ("1/r/artifacts/a b.txt", "nothing/here"):
        assert api.ok("GET", f"{ARTIFACTS}/artifacts", {"path": path}) == {}
    assert [file["path"] for file in api.ok("GET", f"{ARTIFACTS}/artifacts")["files"]] == ["1"]
    for limit, value in (("_ANSWER_BYTES", 400), ("MOST_LISTED", 6)):
        monkeypatch.setattr(artifacts, limit, value)
        refused = api.fails("GET", f"{ARTIFACTS}/artifacts", {"path": "1/r/artifacts/many"})
        assert refused[0] == 400 and "more than one answer can name" in refused[2]
        monkeypatch.setattr(artifacts, "_ANSWER_BYTES", 10_000)
    assert api.fails("DELETE", f"{ARTIFACTS}/artifacts/1/r")[0] == 400


def test_what_is_not_there_is_a_404_in_mlflows_shape(api: Api) -> None:
    run_id = api.run()
    model_id = api.ok("POST", "logged-models", {"experiment_id": "0"})["model"]["info"]["model_id"]
    registered(api)
    api.file("experiments/0/longer.txt")  # of which the name asked for is the beginning
    asked: list[tuple[str, str, Any]] = [
        ("GET", f"{ARTIFACTS}/artifacts/0/longer", None),
        ("GET", f"{ARTIFACTS}/presigned/0/longer", None),
        ("GET", "/get-artifact", {"run_id": run_id, "path": "no"}),
        ("GET", "/get-artifact", {"run_id": "0" * 32, "path": "no"}),
        ("GET", f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files", {"artifact_file_path": "no"}),
        ("GET", "/model-versions/get-artifact", {"name": "cards", "version": "1", "path": "no"}),
        ("GET", "/model-versions/get-artifact", {"name": "cards", "version": "2", "path": "model.onnx"}),
        ("POST", "artifacts/presigned-download-url", {"run_id": run_id, "path": "no"}),
    ]
    for method, path, body in asked:
        assert api.fails(method, path, body)[:2] == (404, "RESOURCE_DOES_NOT_EXIST"), path


def begin(api: Api, parts: int = 1, path: str = "/home/ada/C:\\weights é.bin") -> dict[str, Any]:
    body = {"path": path, "num_parts": parts}
    return dict(api.ok("POST", f"{ARTIFACTS}/mpu/create/3/r/artifacts", body))


def forget_uploads(api: Api) -> None:
    """S3 says from now on that there is no such upload, as of one that is over."""

    def answered(request: Any, **rest: Any) -> AWSResponse:
        headers = HTTPHeaders.from_dict({"content-type": "application/xml"})
        text = "<Error><Code>NoSuchUpload</Code><Message>The specified upload does not exist.</Message></Error>"
        return AWSResponse(request.url, 404, headers, MockRawResponse(text))

    api.s3.meta.events.register_first("before-send.s3.CompleteMultipartUpload", answered)  # type: ignore[arg-type]


def finish(api: Api, upload: dict[str, Any], etags: list[str], path: str = "weights é.bin") -> tuple[int, Any]:
    parts = [{"part_number": n, "etag": etag, "url": "u"} for n, etag in enumerate(etags, 1)]
    body = {"path": path, "upload_id": upload["upload_id"], "parts": parts}
    return api.call("POST", f"{ARTIFACTS}/mpu/complete/3/r/artifacts", body)


def test_a_large_file_goes_up_in_parts_and_a_repeated_end_is_one(api: Api) -> None:
    upload = begin(api, 2)
    assert [credential["part_number"] for credential in upload["credentials"]] == [1, 2]
    urls = [credential["url"] for credential in upload["credentials"]]
    assert {parse_qs(urlsplit(url).query)["X-Amz-Expires"][0] for url in urls} == {str(PART_SECONDS)}
    sent = [b"a" * 5 * MIB, b"end"]
    etags = [requests.put(url, data=data).headers["ETag"] for url, data in zip(urls, sent, strict=True)]
    assert finish(api, upload, etags) == (200, {})
    assert content(api, "experiments/3/r/artifacts/weights é.bin") == b"".join(sent)
    forget_uploads(api)
    assert finish(api, upload, etags) == (200, {}), "its answer was lost"
    assert len(api.s3.list_object_versions(Bucket=BUCKET, Prefix="experiments/3/")["Versions"]) == 1
    assert finish(api, {"upload_id": f"other{upload['upload_id']}"}, etags)[0] == 404, "another upload of this file"


def test_an_upload_that_is_given_up_leaves_nothing(api: Api) -> None:
    upload = begin(api)
    etag = requests.put(upload["credentials"][0]["url"], data=b"x").headers["ETag"]
    body = {"path": "weights é.bin", "upload_id": upload["upload_id"]}
    for _ in range(2):
        assert api.ok("POST", f"{ARTIFACTS}/mpu/abort/3/r/artifacts", body) == {}
    assert "Uploads" not in api.s3.list_multipart_uploads(Bucket=BUCKET)
    status, said = finish(api, upload, [etag])
    assert (status, said["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), "also where S3 gave it up after days"
    assert "aborted" in said["message"]
    assert "Contents" not in api.s3.list_objects_v2(Bucket=BUCKET)


def test_parts_that_are_not_what_was_uploaded_are_the_callers_mistake(api: Api) -> None:
    upload = begin(api, 2)
    requests.put(upload["credentials"][0]["url"], data=b"x")
    for etags in (['"0"'], ['"0"', '"1"'], []):
        status, said = finish(api, upload, etags)
        assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), said
    small = begin(api, 2)
    etags = [requests.put(c["url"], data=b"too small").headers["ETag"] for c in small["credentials"]]
    assert finish(api, small, etags)[0] == 400


@pytest.mark.parametrize("parts", [0, -1, 10_001])
def test_a_number_of_parts_that_s3_does_not_know_is_refused(api: Api, parts: int) -> None:
    status, _, message = api.fails("POST", f"{ARTIFACTS}/mpu/create/x", {"path": "f", "num_parts": parts})
    assert status == 400 and "MLFLOW_MULTIPART_UPLOAD" in message


def with_client(api: Api, **more: Any) -> Api:
    """The function with another S3 client, which does not try again."""
    retries = Config(retries={"mode": "standard", "total_max_attempts": 1})
    client = boto3.client("s3", region_name=REGION, config=SIGNING.merge(retries), **more)
    ledgers = dataclasses.replace(api.ledgers, artifacts=ArtifactStore(lambda: client, BUCKET))
    return dataclasses.replace(api, ledgers=ledgers, s3=client)


def test_the_addresses_of_all_parts_fit_into_one_answer(api: Api) -> None:
    session = {"aws_access_key_id": "a", "aws_secret_access_key": "s", "aws_session_token": "/+=" * 400}
    lambdas = with_client(api, **session)
    status, _, message = lambdas.fails("POST", f"{ARTIFACTS}/mpu/create/x", {"path": "f", "num_parts": 10_000})
    most = int(re.findall(r"(\d+) are possible", message)[0])
    assert status == 400 and 500 < most < 5000
    assert "Uploads" not in api.s3.list_multipart_uploads(Bucket=BUCKET), "refused before it began"
    said = lambdas.answer(event("POST", f"{ARTIFACTS}/mpu/create/x", "", b'{"path": "f", "num_parts": 20}', member()))
    assert len(said["body"]) * most / 20 < 6_000_000


def test_a_delete_hides_and_erases_nothing(api: Api) -> None:
    for key in ("experiments/1/r/a/x", "experiments/1/r/a/y/z", "experiments/1/r/ab"):
        api.file(key, b"old")
    for _ in range(2):
        assert api.ok("DELETE", f"{ARTIFACTS}/artifacts/1/r/a/") == {}
    assert [item["Key"] for item in api.s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["experiments/1/r/ab"]
    versions = api.s3.list_object_versions(Bucket=BUCKET)
    assert len(versions["Versions"]) == 3 and len(versions["DeleteMarkers"]) == 2
    assert api.ok("DELETE", f"{ARTIFACTS}/artifacts/1/r/ab") == {}
    assert api.fails("DELETE", f"{ARTIFACTS}/artifacts/1/r/ab", arn="")[:2] == (403, "PERMISSION_DENIED")


def test_what_a_registered_version_stands_on_is_not_hidden(api: Api) -> None:
    key = registered(api, "experiments/1/r/m")
    api.file(f"{key}/later.txt")
    api.file("experiments/1/r/m2")
    for path in ("1/r/m/model.onnx", "1/r/m", "1/r", "1"):
        status, code, message = api.fails("DELETE", f"{ARTIFACTS}/artifacts/{path}")
        assert (status, code) == (409, "RESOURCE_CONFLICT"), path
        assert "version 1 of the registered model 'cards'" in message
    for path in ("1/r/m/later.txt", "1/r/m2"):
        api.ok("DELETE", f"{ARTIFACTS}/artifacts/{path}")
    assert content(api, f"{key}/model.onnx") == b"registered"
    api.ok("DELETE", "model-versions/delete", {"name": "cards", "version": "1"})
    api.ok("DELETE", f"{ARTIFACTS}/artifacts/1/r")


def test_addresses_for_files_of_a_run_and_of_a_logged_model(api: Api) -> None:
    run_id = api.run()
    model_id = api.ok("POST", "logged-models", {"experiment_id": "0"})["model"]["info"]["model_id"]
    for owner, root in (({"run_id": run_id}, f"0/{run_id}"), ({"model_id": model_id}, f"0/models/{model_id}")):
        said = api.ok("POST", "artifacts/presigned-upload-url", {**owner, "path": "a b/ü.txt"})
        assert requests.put(said["presigned_url"], data=b"up", headers=said["headers"]).status_code == 200
        assert content(api, f"experiments/{root}/artifacts/a b/ü.txt") == b"up"
    down = api.ok("POST", "artifacts/presigned-download-url", {"run_id": run_id, "path": "a b/ü.txt", "expiration": 7})
    assert requests.get(down["presigned_url"], headers=down["headers"]).content == b"up"
    assert down["file_size"] == 2 and "X-Amz-Expires=7&" in down["presigned_url"]
    for body in ({}, {"run_id": run_id, "model_id": model_id}):
        assert api.fails("POST", "artifacts/presigned-upload-url", {**body, "path": "p"})[0] == 400
    for seconds in (0, 3601):
        for what in ("upload", "download"):
            body = {"run_id": run_id, "path": "a b/ü.txt", "expiration": seconds}
            assert "between 1 and 3600" in api.fails("POST", f"artifacts/presigned-{what}-url", body)[2]


def test_the_ui_reads_files_of_runs_models_and_versions(api: Api) -> None:
    run_id = api.run()
    model_id = api.ok("POST", "logged-models", {"experiment_id": "0"})["model"]["info"]["model_id"]
    api.file(f"experiments/0/{run_id}/artifacts/p q.txt", b"of the run")
    api.file(f"experiments/0/models/{model_id}/artifacts/MLmodel", b"of the model")
    key = registered(api)
    api.file(f"{key}/model.onnx", b"overwritten since")
    for path, query, expected in (
        ("/get-artifact", f"run_uuid={run_id}&path=p+q.txt", b"of the run"),
        (f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files", "artifact_file_path=MLmodel", b"of the model"),
        ("/model-versions/get-artifact", "name=cards&version=1&path=model.onnx", b"registered"),
    ):  # fmt: skip
        assert requests.get(redirected(api, "GET", path, query)).content == expected
    missing = api.fails("GET", f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files")
    assert missing[:2] == (400, "BAD_REQUEST")


def test_a_note_of_the_ui_is_small(api: Api) -> None:
    run_id = api.run()
    path = "/ajax-api/2.0/mlflow/upload-artifact"

    def upload(query: str, body: bytes) -> int:
        made = event("POST", path, query, body, member(), {"content-type": "image/png"})
        return int(api.answer(made)["statusCode"])

    assert upload(f"run_uuid={run_id}&path={quote('notes/ä.png')}", b"\x89PNG") == 200
    found = api.s3.get_object(Bucket=BUCKET, Key=f"experiments/0/{run_id}/artifacts/notes/ä.png")
    assert (found["Body"].read(), found["ContentType"]) == (b"\x89PNG", "image/png")
    for query, body in (
        (f"run_uuid={run_id}&path=x", b""),
        (f"run_uuid={run_id}&path=x", b"x" * 4_000_001),
        (f"run_uuid={run_id}", b"x"),
        ("path=x", b"x"),
    ):
        assert upload(query, body) == 400


def test_who_has_no_credentials_of_aws_is_shown_roots_behind_the_api(api: Api) -> None:
    experiment = api.experiment()
    run_id = api.run(experiment)
    root = f"{experiment}/{run_id}/artifacts"
    api.file(f"experiments/{root}/m/f")
    asked = {"experiment_id": experiment, "source_run_id": run_id}
    model_id = api.ok("POST", "logged-models", asked)["model"]["info"]["model_id"]
    dataset = {"name": "d", "digest": "1", "source_type": "s3", "source": f"s3://{BUCKET}/experiments/data"}
    api.ok("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset}]})
    api.ok("POST", "registered-models/create", {"name": "cards"})
    made = {"name": "cards", "source": f"mlflow-artifacts:/{root}/m", "run_id": run_id}
    version = api.ok("POST", "model-versions/create", made, arn=subject())["model_version"]
    assert version["source"] == f"mlflow-artifacts:/{root}/m"

    def seen(arn: str) -> list[str]:
        run = api.ok("GET", "runs/get", {"run_id": run_id}, arn=arn)["run"]
        assert run["inputs"]["dataset_inputs"][0]["dataset"]["source"] == dataset["source"]
        found = api.ok("POST", "experiments/search", {"max_results": 9}, arn=arn)["experiments"]
        which = {"name": "cards", "version": "1"}
        return [
            run["info"]["artifact_uri"],
            api.ok("POST", "runs/search", {"experiment_ids": [experiment]}, arn=arn)["runs"][0]["info"]["artifact_uri"],
            *(e["artifact_location"] for e in found if e["experiment_id"] == experiment),
            api.ok("GET", f"logged-models/{model_id}", arn=arn)["model"]["info"]["artifact_uri"],
            api.ok("GET", "artifacts/list", {"run_id": run_id}, arn=arn)["root_uri"],
            api.ok("GET", "model-versions/get", which, arn=arn)["model_version"]["source"],
            api.ok("GET", "model-versions/get-download-uri", which, arn=arn)["artifact_uri"],
            api.ok("GET", "registered-models/get", {"name": "cards"}, arn=arn)["registered_model"]["latest_versions"][0][
                "source"
            ],
        ]  # fmt: skip

    below = [root, root, experiment, f"{experiment}/models/{model_id}/artifacts", root, *[f"{root}/m"] * 3]
    assert seen(member()) == [f"s3://{BUCKET}/experiments/{path}" for path in below]
    assert seen(subject()) == seen("") == [f"mlflow-artifacts:/{path}" for path in below]
    own = api.ok("POST", "experiments/create", {"name": "own", "artifact_location": "mlflow-artifacts:/shared/ü"})
    assert api.ledgers.experiments.get(own["experiment_id"]).artifact_location == f"s3://{BUCKET}/experiments/shared/ü"
    for location in ("mlflow-artifacts://host/x", "mlflow-artifacts:/", "mlflow-artifacts:/a/../b"):
        body = {"name": "bad", "artifact_location": location}
        assert api.fails("POST", "experiments/create", body)[0] == 400, location


@pytest.mark.parametrize(
    ("operation", "method", "path", "body"),
    [
        ("ListObjectsV2", "GET", f"{ARTIFACTS}/artifacts", {"path": "0"}),
        ("ListObjectsV2", "GET", f"{ARTIFACTS}/artifacts/0/f", None),
        ("ListObjectsV2", "DELETE", f"{ARTIFACTS}/artifacts/0/f", None),
        ("DeleteObjects", "DELETE", f"{ARTIFACTS}/artifacts/0/f", None),
        ("CreateMultipartUpload", "POST", f"{ARTIFACTS}/mpu/create/0", {"path": "f", "num_parts": 1}),
        (
            "CompleteMultipartUpload",
            "POST",
            f"{ARTIFACTS}/mpu/complete/0",
            {"path": "f", "upload_id": "m.u", "parts": [{"part_number": 1, "etag": "e"}]},
        ),
        ("HeadObject", "POST", f"{ARTIFACTS}/mpu/complete/0",
         {"path": "f", "upload_id": "m.u", "parts": [{"part_number": 1, "etag": "e"}]}),
        ("AbortMultipartUpload", "POST", f"{ARTIFACTS}/mpu/abort/0", {"path": "f", "upload_id": "m.u"}),
        ("PutObject", "POST", "/api/2.0/mlflow/upload-artifact", None),
        ("ListObjectVersions", "POST", "model-versions/create", {"name": "cards", "source": f"s3://{BUCKET}/experiments/0"}),
    ],
)  # fmt: skip
def test_a_busy_s3_is_a_429_that_says_when_to_come_back(
    api: Api, operation: str, method: str, path: str, body: Any
) -> None:
    api.ok("POST", "registered-models/create", {"name": "cards"})
    busy, query, raw = with_client(api), "", json.dumps(body).encode() if body else b""
    if operation == "PutObject":
        query, raw = f"run_uuid={api.run()}&path=x", b"note"
    elif method == "GET":
        query, raw = urlencode(body or {}), b""
    faults = [(503, "SlowDown"), (500, "InternalError"), (400, "KMS.ThrottlingException"), (0, "")]
    faults = [(503, ""), (0, "")] if operation == "HeadObject" else faults  # which has no text
    left = iter(faults)

    def strike(request: Any, **rest: Any) -> AWSResponse:
        status, code = next(left)
        if not status:
            raise ReadTimeoutError(endpoint_url=request.url)
        text = f"<Error><Code>{code}</Code><Message>busy</Message></Error>" if code else ""
        return AWSResponse(request.url, status, HTTPHeaders.from_dict({}), MockRawResponse(text))

    busy.s3.meta.events.register_first(f"before-send.s3.{operation}", strike)  # type: ignore[arg-type]
    path = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
    for _ in faults:
        api.file("experiments/0/f")  # moto deletes it all the same
        said = busy.answer(event(method, path, query, raw, member()))
        assert (said["statusCode"], said["headers"].get("retry-after")) == (429, "1"), said
    assert next(left, None) is None
