"""What must hold before a version may go live, and all that the model server needs to run it.

The files of a version were pinned when it was registered; here their bytes are read once and hashed, so that the model
server can refuse anything else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.ledger.deployments import Deployment, Deployments
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.registry import ModelVersion, PinnedFile, Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.lifecycle.flavours import Runtime
from labcycle_lambdas.lifecycle.inputs import refused
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.schema import Schema
from labcycle_lambdas.profiles import Reference
from labcycle_lambdas.profiles.fitted import read_fitted
from labcycle_lambdas.s3_calls import is_gone, s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MLMODEL = "MLmodel"
REFERENCE = "reference.json"
REFERENCE_BYTES = 50_000_000
MLMODEL_BYTES = 2_000_000
REQUIREMENTS = "requirements.txt"
RUNTIME_MB = 256  # Python, onnxruntime and numpy, loaded
LOCKED_RUNTIME_MB = 384  # Python and what a lock brings: pandas, scikit-learn, XGBoost, MLflow
# A switch holds the weights five times: the version that was live, plain and packed by onnxruntime, the new version's
# bytes, and the new version, plain and packed. Measured with a matrix of 100 MB: 94 MB before, 589 MB at most.
COPIES = 5
HELD = 2  # of these a version that runs beside the others takes: plain, and packed
LOADED = 3  # and while it is loaded
QUEUE_MB = 16  # requests that wait for a shadow in the process of its model server
_CHUNK_BYTES = 1 << 20
FIT = "Log what labcycle.client fits of all training rows, with reference.log(frame, predictions=...)"
INSTEAD = (
    "Log the model with mlflow.onnx.log_model (skl2onnx.to_onnx converts a scikit-learn model), register that, and "
    "promote the new version."
)


@dataclass(frozen=True)
class Preflight:
    """Looks at versions of one team's registry. `server_memory_mb` tells the memory of a model's server, None if unknown, and
    `shadow_place` where its shadow runs: in a `function` of its own, in the `process` of the server, or nowhere (None), and
    `server_runtime` what it is made from, None if ONNX, and `server_runs_on` its delivery as far as the size goes, with the keys of the
    team file, None if unknown, and `declared` what else the team file says of the model, None if nothing, and `cohorts` the features
    whose values are watched apart, and `records` what is kept of the records of a model that is served elsewhere, None where it is not."""

    table: Table
    s3: S3Client
    bucket: str
    server_memory_mb: Callable[[str], int | None] = lambda model: None
    shadow_place: Callable[[str], str | None] = lambda model: None
    server_runtime: Callable[[str], Runtime | None] = lambda model: None
    server_runs_on: Callable[[str], dict[str, Any] | None] = lambda model: None
    declared: Callable[[str], dict[str, Any] | None] = lambda model: None
    cohorts: Callable[[str], Sequence[str]] = lambda model: ()
    records: Callable[[str], Keeping | None] = lambda model: None

    def prepare(self, model: str, version: int | str, *, as_shadow: bool = False) -> Deployed:
        """The version, ready for `Deployments.promote`, or for `begin_shadow`.

        Raises
        ------
        NotFound
            If there is no such version.
        Refused
            If it cannot be served; the message says why, and what to do instead.
        Throttled
            If DynamoDB or S3 asks for patience.
        """
        found = Registry(self.table).version(model, version)
        label = f"Version {found.version} of {model}"
        if not found.files:
            raise Refused(
                f"{label} has no pinned files: when it was registered, its source {found.source!r} held none below this "
                f"team's bucket. {INSTEAD}"
            )
        runtime = self.server_runtime(model)
        pinned = {file.path: file for file in found.files}
        if MLMODEL not in pinned:
            raise Refused(
                f"{label} has no MLmodel file among its {len(pinned)} files: it is no MLflow model. {INSTEAD}"
            )
        if pinned[MLMODEL].size > MLMODEL_BYTES:
            raise Refused(
                f"The MLmodel file of {label} has {pinned[MLMODEL].size} bytes; at most {MLMODEL_BYTES} are read."
            )
        try:
            description = _mlmodel(label, self._read(pinned[MLMODEL].key, pinned[MLMODEL].version_id))
            if runtime is None and "onnx" not in description["flavors"] and self.records(model) is not None:
                loaded, how = MLMODEL, None  # what serves it loads it, and not we
            else:
                loaded, how = self._loaded(label, runtime, description, pinned)
            self._check_size(label, model, found, runtime, how, as_shadow=as_shadow)
            signature = _signature(label, description)
            files = tuple(
                DeployedFile(f.path, f.key, f.version_id, self._sha256(f.key, f.version_id), f.size)
                for f in found.files
            )
        except _Gone as gone:
            raise Refused(
                f"A pinned file of {label} is gone from the bucket, or may not be read: {gone}. {INSTEAD}"
            ) from None
        return Deployed(
            version=int(found.version),
            source_run=found.run_id or None,
            model_file=next(file for file in files if file.path == loaded),
            files=files,
            signature=signature,
            reference=self._reference(label, model, found.run_id),
            runtime=how,
        )

    def _loaded(
        self, label: str, runtime: Runtime | None, description: dict[str, Any], pinned: Mapping[str, PinnedFile]
    ) -> tuple[str, dict[str, Any] | None]:
        """Path of the file that is loaded, and how, where it is no ONNX graph."""
        if runtime is None:
            return _graph(label, description, list(pinned)), None
        logged = pinned.get(REQUIREMENTS)
        text = self._read(logged.key, logged.version_id) if logged and logged.size <= MLMODEL_BYTES else b""
        return runtime.describe(label, description, list(pinned), text.decode("utf-8", errors="replace"))

    def check_inputs(
        self,
        model: str,
        deployed: Deployed,
        instead: str = "If they send something else from now on, promote it with new_inputs (--new-inputs).",
    ) -> None:
        """Raises `Refused` where `deployed` refuses requests that the live version takes: its consumers would fail."""
        live = Deployments(self.table).current(model).live
        if live is None or not live.signature or not deployed.signature:
            return
        schemas = (Schema.from_doc(one.signature["inputs"]) for one in (live, deployed) if one.signature)
        if said := refused(*schemas):
            raise Refused(
                f"Version {deployed.version} of {model} refuses what consumers of version {live.version} send: "
                f"{'; '.join(said)}. {instead}"
            )

    def check_roll_back(
        self, model: str, from_version: int | None = None, *, to_version: int | None = None
    ) -> int | None:
        """Hold the version that a roll back makes live (`to_version`, or else the one before) against what its server is made from
        now: packages can have changed since it was promoted. The version; None where a roll back makes none live, `from_version` is not live, or no server is deployed.

        Raises
        ------
        Refused
            If the server cannot load it any more; the message says why, and what to do instead.
        Throttled
            If DynamoDB or S3 asks for patience.
        """
        deployments = Deployments(self.table)
        record = deployments.current(model)
        if record.live is None or from_version not in (None, record.live.version):
            return None
        before = [one for one in record.previous if to_version in (None, one.version)]
        if record.canary or not before or self.server_memory_mb(model) is None:
            return None
        target, runtime = deployments.whole(model, before[0]), self.server_runtime(model)
        if runtime.runs(target.runtime) if runtime else target.runtime is None:
            return target.version
        label = f"Version {target.version} of {model}"
        start = f"Nothing was rolled back, since its server could not run what was live before version {record.live.version}."
        pinned = {file.path: PinnedFile(file.path, file.key, file.version_id, file.size) for file in target.files}
        try:
            description = _mlmodel(label, self._read(pinned[MLMODEL].key, pinned[MLMODEL].version_id))
            _, how = self._loaded(label, runtime, description, pinned)
        except _Gone:
            raise Refused(f"{start} {label}: its files are gone from the bucket, or may not be read.") from None
        except Refused as refused:
            raise Refused(f"{start} {refused}") from None
        if not (runtime and how and _digest(how) == runtime.digest and _flavour(how) == _flavour(target.runtime)):
            raise Refused(
                f"{start} {label} was promoted for another runtime, which is deployed no more, but fits one that is: promote it instead "
                f"(labcycle models promote {model} {target.version})."
            )
        return target.version

    def download(self, file: DeployedFile, to: Path) -> None:
        """Write a promoted file to a path.

        Raises
        ------
        Refused
            If it is gone from the bucket, or its bytes are not those that were promoted.
        Throttled
            If S3 asks for patience.
        """
        digest = hashlib.sha256()
        try:
            with to.open("wb") as out:

                def take(chunk: bytes) -> None:
                    out.write(chunk)
                    digest.update(chunk)

                self._stream(file.key, file.version_id, take)
        except _Gone as gone:
            raise Refused(f"its file {file.path} is gone from the bucket, or may not be read: {gone}") from None
        if digest.hexdigest() != file.sha256:
            raise Refused(f"the bytes of {file.path} are not those that were registered")

    def needed_mb(self, model: str) -> int | None:
        """Memory that the server of a model must have so that a version as large as those of its deployment record is not refused, as
        live version or as shadow, of whichever runtime; None where nothing is live. Raises `Throttled`."""
        record = Deployments(self.table).current(model)
        if record.live is None:
            return None
        beside = [one.deployed for one in (record.canary, record.shadow) if one]
        size = max(_size_mb(one) for one in (record.live, *beside))
        runtime = self.server_runtime(model)
        how = {"digest": runtime.next.digest} if runtime and runtime.next else None
        needs = [self._need(model, record, 0, size, runtime, how, as_shadow=as_shadow) for as_shadow in (False, True)]
        return math.ceil(max(need.mb for need in needs))

    def _need(
        self,
        model: str,
        record: Deployment,
        version: int,
        size: float,
        runtime: Runtime | None,
        how: Mapping[str, Any] | None,
        *,
        as_shadow: bool,
    ) -> _Need:
        """What a version with `size` MB of files, loaded as `how` says, needs beside those that stand in the deployment record."""
        copies, what = COPIES, "while versions are switched"
        if not as_shadow:
            beside = [record.shadow.deployed] if record.shadow and record.shadow.in_process else []
        elif self.shadow_place(model) == "process":
            beside = [*([record.live] if record.live else []), *([record.canary.deployed] if record.canary else [])]
            copies, what = LOADED, "while it is loaded"
        else:  # in a function of its own, with as much memory as the server
            beside = []
        runtime_mb = LOCKED_RUNTIME_MB if runtime else RUNTIME_MB
        live = [record.live] if record.live and not as_shadow else []
        if runtime and runtime.next:
            apart = [_digest(one) == runtime.next.digest for one in (how, *(one.runtime for one in (*live, *beside)))]
            runtime_mb += LOCKED_RUNTIME_MB if any(apart) else 0  # a process of its own
            copies += apart[0]  # the bytes pass through the server
        held = [_size_mb(one) for one in beside if one.version != version]
        others_mb = HELD * sum(held) + (QUEUE_MB if held else 0)
        return _Need(runtime_mb + copies * size + others_mb, copies, what, runtime_mb, others_mb)

    def _check_size(
        self,
        label: str,
        model: str,
        found: ModelVersion,
        runtime: Runtime | None,
        how: Mapping[str, Any] | None,
        *,
        as_shadow: bool,
    ) -> None:
        memory = self.server_memory_mb(model)
        if memory is None:
            return
        size = sum(file.size for file in found.files) / 1e6
        record = Deployments(self.table).current(model)
        need = self._need(model, record, found.version, size, runtime, how, as_shadow=as_shadow)
        if need.mb > memory:
            others = f", {need.others_mb:.0f} MB for what runs beside it" if need.others_mb else ""
            raise Refused(
                f"{label} is too large for its model server: {size:.0f} MB of files need {need.mb:.0f} MB of memory "
                f"({need.copies} times the files {need.what}, and {need.runtime_mb} MB{others}), the server has {memory} MB: "
                f"{need.mb - memory:.0f} MB too few. Raise memory_mb of the model, deploy, and "
                f"{'begin the shadow' if as_shadow else 'promote'} again."
            )

    def _reference(self, label: str, model: str, run_id: str | None) -> dict[str, Any] | None:
        """The profile reference that the version's run logged, as a document: fitted, or made here from a table of training rows."""
        if not run_id:
            return None
        try:
            root = urlsplit(Runs(self.table).get(run_id).artifact_uri)
        except NotFound:
            return None
        if root.netloc != self.bucket:
            return None
        key = f"{root.path.strip('/')}/{REFERENCE}"
        # A listing, since asking for the object itself is answered with "forbidden" where it is not there.
        found = _s3(lambda: self.s3.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)).get("Contents", [])
        if not found or found[0]["Key"] != key:
            return None
        size = found[0]["Size"]
        start = f"The artifact {REFERENCE} of run {run_id}, from which {label} came, "
        if size > REFERENCE_BYTES:
            raise Refused(
                f"{start}has {size / 1e6:.0f} MB; at most {REFERENCE_BYTES / 1e6:.0f} MB are read. "
                f"{FIT}, which has some hundred bytes a column, or a sample of the training rows."
            )
        try:
            doc = json.loads(self._read(key))
            if not isinstance(doc, dict):
                raise ValueError("got no JSON object")  # noqa: TRY004 - a bad document
            return (self._fitted(model, doc) if "data" in doc else read_fitted(doc)).to_doc()
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused(
                f"{start}is neither a table nor a fitted reference ({type(error).__name__}: {str(error)[:300]}). {FIT}, or the "
                f"feature columns and a column `prediction` with mlflow.log_table(frame, '{REFERENCE}'), or remove it to deploy "
                "without drift check."
            ) from None

    def _fitted(self, model: str, table: Mapping[str, Any]) -> Reference:
        """Cohorts that are no columns of the table cannot be compared, which is no reason to refuse it."""
        columns = table["columns"]
        return Reference.from_table(columns, table["data"], [name for name in self.cohorts(model) if name in columns])

    def _read(self, key: str, version_id: str | None = None) -> bytes:
        parts: list[bytes] = []
        self._stream(key, version_id, parts.append)
        return b"".join(parts)

    def _sha256(self, key: str, version_id: str) -> str:
        digest = hashlib.sha256()
        self._stream(key, version_id, digest.update)
        return digest.hexdigest()

    def _stream(self, key: str, version_id: str | None, take: Callable[[bytes], object]) -> None:
        extra: Any = {"VersionId": version_id} if version_id else {}

        def read() -> None:
            for chunk in self.s3.get_object(Bucket=self.bucket, Key=key, **extra)["Body"].iter_chunks(_CHUNK_BYTES):
                take(chunk)

        _s3(read)


def _digest(runtime: Mapping[str, Any] | None) -> str | None:
    return runtime.get("digest") if runtime else None


def _flavour(runtime: Mapping[str, Any] | None) -> str | None:
    return runtime.get("flavour") if runtime else None


@dataclass(frozen=True)
class _Need:
    """Memory in MB, and of what it is the sum."""

    mb: float
    copies: int
    what: str
    runtime_mb: int
    others_mb: float


class _Gone(Exception):
    pass


def _size_mb(deployed: Deployed) -> float:
    return sum(file.size for file in deployed.files) / 1e6


def _s3(call: Callable[[], Any]) -> Any:
    try:
        return s3_call(call)
    except ClientError as error:
        if is_gone(error):
            raise _Gone(error.response["Error"]["Code"]) from error
        raise


def _mlmodel(label: str, text: bytes) -> dict[str, Any]:
    import yaml

    try:
        description = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Refused(f"The MLmodel file of {label} is not valid YAML: {str(error)[:200]}. {INSTEAD}") from None
    if not isinstance(description, dict) or not isinstance(description.get("flavors"), dict):
        raise Refused(f"The MLmodel file of {label} names no flavors. {INSTEAD}")
    return description


def _graph(label: str, description: dict[str, Any], paths: list[str]) -> str:
    """Path of the ONNX graph."""
    onnx = description["flavors"].get("onnx")
    if not isinstance(onnx, dict):
        flavors = ", ".join(str(name) for name in description["flavors"]) or "none"
        raise Refused(
            f"{label} has no ONNX flavor (its flavors: {flavors[:200]}); the model server runs ONNX. {INSTEAD} "
            "Or give the model a runtime of its flavour in the team file, and deploy."
        )
    path = str(onnx.get("data") or "model.onnx")
    if path not in paths:
        raise Refused(f"{label} names {path!r} as its ONNX graph, which is not among its files. {INSTEAD}")
    return path


def _signature(label: str, description: dict[str, Any]) -> dict[str, Any] | None:
    """Inputs and outputs, out of the JSON texts that MLflow keeps in the YAML."""
    signature = description.get("signature")
    if not signature:
        return None
    try:
        parsed = {side: json.loads(signature[side]) if signature.get(side) else None for side in ("inputs", "outputs")}
        if parsed["inputs"] is not None:
            Schema.from_doc(parsed["inputs"])
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Refused(f"The signature of {label} cannot be served: {str(error)[:300]}. {INSTEAD}") from None
    return parsed if parsed["inputs"] is not None else None


def notes(deployed: Deployed) -> list[str]:
    """What a version goes without, a sentence each."""
    said = []
    if deployed.reference is None:
        said.append(
            f"No drift check: the run that made version {deployed.version} has no artifact {REFERENCE}. "
            f"{FIT}, or the training rows with mlflow.log_table(frame, '{REFERENCE}')."
        )
    if deployed.signature is None:
        said.append(
            f"No input check: version {deployed.version} was logged without a signature. "
            f"Pass signature=mlflow.models.infer_signature(...) when you log it."
        )
    said += [f"Version {deployed.version}: {one}." for one in (deployed.runtime or {}).get("noted", ())]
    return said
