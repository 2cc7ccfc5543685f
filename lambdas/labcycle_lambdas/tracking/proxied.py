"""`mlflow-artifacts`: the endpoints behind which MLflow's client keeps artifacts where it has no credentials of AWS.

Bytes never pass: who reads or writes a file is sent on to S3 with 307, which keeps method and body (after 302 the client
sends no body, and reports success), large files go up in parts and come down in ranges.
https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.errors import InUse
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.artifacts import MOST_PARTS, plain_path
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.shapes import Doc


def sent_to(url: str) -> Response:
    """Go there with the same method and body."""
    return Response(307, "", {"location": url, "cache-control": "no-store", "content-type": "text/plain"})


def upload(call: Call) -> Response:
    """The client has sent the body already, as far as API Gateway took it; it sends it again to where it belongs.

    An empty file is put at once: the client would send S3 no length of it, which S3 refuses (501).
    """
    location = _new(call, call.path["artifact_path"])
    if not call.request.body:
        call.ledgers.artifacts.put(location, b"", call.request.headers.get("content-type", "application/octet-stream"))
        return Response(200, {})
    return sent_to(call.ledgers.artifacts.upload_url(location))


def download(call: Call) -> Response:
    location = _location(call)
    call.ledgers.artifacts.size(location)
    return sent_to(call.ledgers.artifacts.download_url(location))


def presigned(call: Call) -> Doc:
    location = _location(call)
    size = call.ledgers.artifacts.size(location)
    return {"url": call.ledgers.artifacts.download_url(location), "headers": {}, "file_size": size}


def listing(call: Call) -> Doc:
    path = call.arguments.text("path")
    files = call.ledgers.artifacts.whole_listing(plain_path(path) if path.strip("/") else "")
    return shapes.filled(files=[file | {"path": posixpath.basename(file["path"])} for file in files])


def delete(call: Call) -> Doc:
    """Hide files. What a registered version stands for stays in sight."""
    path = plain_path(call.path["artifact_path"])
    location = f"{call.ledgers.artifacts.root}/{path}"
    for name, number in _standing_on(call, location):
        raise InUse(
            f"Files at '{path[:200]}' belong to version {number} of the registered model '{name}'. Delete that version first."
        )
    call.ledgers.artifacts.hide(location)
    return {}


def begin_upload(call: Call) -> Doc:
    parts = call.arguments.integer("num_parts", 1)
    if not 1 <= parts <= MOST_PARTS:
        raise invalid(
            f"Invalid value {parts} for parameter 'num_parts' supplied: an upload has 1 to {MOST_PARTS} parts. Empty files "
            f"are put at once (MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE above 0), and very large ones in larger parts "
            f"(MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE)."
        )
    upload_id, urls = call.ledgers.artifacts.begin_upload(_uploaded(call), parts)
    credentials = [{"url": url, "part_number": number, "headers": {}} for number, url in enumerate(urls, 1)]
    return {"upload_id": upload_id, "credentials": credentials}


def complete_upload(call: Call) -> Doc:
    parts = [
        (part.required_integer("part_number"), part.required_text("etag")) for part in call.arguments.objects("parts")
    ]
    if not parts:
        raise call.arguments.missing("parts")
    if any(not 1 <= number <= MOST_PARTS for number, _ in parts):
        raise invalid(f"Invalid value for parameter 'parts' supplied: part numbers are 1 to {MOST_PARTS}.")
    call.ledgers.artifacts.complete_upload(_uploaded(call), call.arguments.required_text("upload_id"), parts)
    return {}


def abort_upload(call: Call) -> Doc:
    call.ledgers.artifacts.abort_upload(_uploaded(call), call.arguments.required_text("upload_id"))
    return {}


def _standing_on(call: Call, location: str) -> Iterator[tuple[str, int]]:
    """Versions of registered models of which files lie at `location` or below."""
    registry, key = call.ledgers.registry, location.partition("://")[2].partition("/")[2]
    for model in registry.models():
        for version in model.versions:
            if f"{version.location}/".startswith(f"{location}/"):
                yield version.name, version.version
            elif location.startswith(f"{version.location}/"):
                files = registry.version(version.name, version.version).files
                if any(f"{file.key}/".startswith(f"{key}/") for file in files):
                    yield version.name, version.version


def _uploaded(call: Call) -> str:
    """Where the file of a multipart upload goes: its name is that of the client's own file."""
    name = posixpath.basename(call.arguments.required_text("path").replace("\\", "/"))
    return _new(call, posixpath.join(call.path["artifact_path"], name))


def _new(call: Call, path: str) -> str:
    if "#" in path:
        raise invalid("Invalid path: MLflow's client neither lists nor downloads a name with '#'.")
    return f"{call.ledgers.artifacts.root}/{plain_path(path)}"


def _location(call: Call) -> str:
    return f"{call.ledgers.artifacts.root}/{plain_path(call.path['artifact_path'])}"
