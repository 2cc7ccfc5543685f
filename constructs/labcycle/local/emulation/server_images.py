"""Images of the model server: what CodeBuild builds from a context on AWS is unpacked here, and runs without a container.

A build does what its script does, with the rights of the project's role: it fetches the context, and records the image in
its repository. Nothing is installed: the packages that the context's `requirements.txt` pins are taken from the host, as
those of functions are, and a build whose lock the host cannot follow fails. It then answers CloudFormation.
"""

from __future__ import annotations

import contextvars
import copy
import importlib.metadata
import io
import json
import logging
import re
import threading
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ministack.services import codebuild, ecr

from labcycle.local.clients import client
from labcycle.local.emulation import lambda_runtime, policies
from labcycle.local.settings import Settings

_CONTEXT = re.compile(r"s3://([^/\s\"\\]+)/([^\s\"\\]+\.zip)")
_PUSH = (
    "BatchCheckLayerAvailability",
    "CompleteLayerUpload",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
)
_PULL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
_ANSWER_SECONDS = 10
_LOG = logging.getLogger(__name__)
_folders: dict[str, Path] = {}  # by the image's address


class CannotBuild(Exception):
    """The build fails; the text says why."""


class CannotPull(Exception):
    """Whoever starts the container does not get its image; the text says why."""


def install(settings: Settings) -> None:
    """Builds happen beside the call that begins them."""
    original = codebuild._start_build

    def start(asked: dict[str, Any]) -> Any:
        answer = original(asked)
        if answer[0] == 200:
            build = codebuild._builds[json.loads(answer[2])["build"]["id"]]
            build.update(buildStatus="IN_PROGRESS", currentPhase="BUILD", phases=[])
            build.pop("endTime", None)
            project = copy.deepcopy(codebuild._projects[asked["projectName"]])
            context = contextvars.copy_context()
            arguments = (_run, build, project, asked.get("environmentVariablesOverride") or [], settings)
            threading.Thread(target=context.run, args=arguments, daemon=True, name="labcycle-build").start()
        return answer

    codebuild._start_build = start


def pulled(image: str, role: str, settings: Settings) -> Path:
    """The folder of an image that was built, for a container that `role` begins.

    Raises
    ------
    CannotPull
        If there is none, or the role may not fetch it.
    """
    repository = _repository(image)
    missing = _not_allowed(role, _PULL, repository, settings)
    if missing:
        raise CannotPull(f"{role} is not authorized to perform: {missing}")
    if not _is_there(image):
        raise CannotPull(f"{image}: not found")
    return _folders[image]


def _run(build: dict[str, Any], project: dict[str, Any], overrides: list[dict[str, str]], settings: Settings) -> None:
    variables = [*(project.get("environment") or {}).get("environmentVariables", []), *overrides]
    told = {one["name"]: one["value"] for one in variables}
    try:
        _build(project, told, settings)
        status, reason = "SUCCESS", f"the log is in {build['id']}"
    except CannotBuild as error:
        status, reason = "FAILED", f"{build['id']}: {error}"
    except Exception as error:  # noqa: BLE001 - CloudFormation waits for an answer, whatever broke
        _LOG.exception("the build %s broke", build["id"])
        status, reason = "FAILED", f"{build['id']}: {type(error).__name__}: {error}"
    ended = "SUCCEEDED" if status == "SUCCESS" else "FAILED"
    codebuild._record_phase(build, "BUILD", ended)
    build["phases"][-1]["contexts"] = [{"statusCode": "", "message": reason}]
    codebuild._finish_build(build, ended)
    if "ANSWER_URL" in told:
        said = {**json.loads(told["ANSWER"]), "Status": status, "Reason": reason[:1000]}
        request = urllib.request.Request(told["ANSWER_URL"], json.dumps(said).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):
            pass


def _build(project: Mapping[str, Any], told: Mapping[str, str], settings: Settings) -> None:
    found = _CONTEXT.search(str(project["source"].get("buildspec", "")))
    if found is None or not {"REPOSITORY", "TAG"} <= told.keys():
        raise CannotBuild(
            "the local cloud builds what a script copies from s3://BUCKET/KEY.zip, as $REPOSITORY:$TAG, and nothing else"
        )
    role, image = project["serviceRole"], f"{told['REPOSITORY']}:{told['TAG']}"
    missing = _not_allowed(role, _PUSH, _repository(image), settings)
    if missing:
        raise CannotBuild(f"{role} is not authorized to perform: {missing}")
    if _is_there(image):
        return
    store = client(settings.endpoint, settings.region, policies.session_of(role, "build"), "s3")
    try:
        content = store.get_object(Bucket=found[1], Key=found[2])["Body"].read()
    except store.exceptions.ClientError as error:
        raise CannotBuild(f"the context s3://{found[1]}/{found[2]} cannot be fetched: {error}") from error
    name = told["REPOSITORY"].partition("/")[2]
    folder = settings.temporary / "images" / name / told["TAG"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    _take_from_host(folder, told["TAG"])
    pushed = ecr._put_image({"repositoryName": name, "imageManifest": json.dumps(image), "imageTag": told["TAG"]})
    if pushed[0] != 200:
        raise CannotBuild(f"the image cannot be pushed: {pushed[2]!r}")
    _folders[image] = folder


def _is_there(image: str) -> bool:
    """Whether the image was built, and its repository still has it."""
    name, _, tag = image.partition("/")[2].rpartition(":")
    return image in _folders and any(tag in one.get("imageTags", ()) for one in ecr._images.get(name, ()))


def _take_from_host(folder: Path, tag: str) -> None:
    """Name the modules that the lock would have installed, so that these, and no others of the host, are imported."""
    lock = folder / "requirements.txt"
    if not lock.exists():
        raise CannotBuild("the context has no requirements.txt")
    packages = lambda_runtime.swapped(tag, lock.read_text().splitlines())
    absent = [f"{one['package']}=={one['locked']}" for one in packages if one["host"] is None]
    if absent:
        raise CannotBuild(
            f"requirements.txt pins {', '.join(absent)}, which the Python of the local cloud does not have: "
            "install it there, in this version or one that is near"
        )
    locked = {_normal(str(one["package"])) for one in packages}
    modules = importlib.metadata.packages_distributions().items()
    names = sorted(module for module, owners in modules if locked & {_normal(owner) for owner in owners})
    (folder / lambda_runtime.MANIFEST).write_text(json.dumps({"names": names}))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _repository(image: str) -> str:
    """ARN of an image's repository."""
    host, _, rest = image.partition("/")
    account, _, _, region = host.split(".")[:4]
    return f"arn:aws:ecr:{region}:{account}:repository/{rest.rpartition(':')[0]}"


def _not_allowed(role: str, actions: tuple[str, ...], repository: str, settings: Settings) -> str | None:
    """The first that the role may not do."""
    asked = [("ecr:GetAuthorizationToken", "*"), *((f"ecr:{action}", repository) for action in actions)]
    for action, resource in asked:
        if not policies.role_may(role, action, resource, region=settings.region):
            return f"{action} on resource: {resource}"
    return None
