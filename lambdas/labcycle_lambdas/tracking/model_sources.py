"""What a new model version stands for: the place of its bytes, its run and its logged model.

Sources must lie in the team's artifact bucket, since a version fixes its bytes; prompts have none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.registry import PinnedFile
from labcycle_lambdas.mlflow_error import MlflowError, invalid
from labcycle_lambdas.tracking.ledgers import Ledgers

_LOGGED = re.compile(r"models:/+(m-[0-9a-f]{32})/?")
_VERSION = re.compile(r"models:/+([^/@]+)/([0-9]{1,10})/?")
_ALIAS = re.compile(r"models:/+([^/@]+)@([\w\-]+)/?")
_RUN = re.compile(r"runs:/+([a-zA-Z0-9][\w\-]*)/(.+)")


@dataclass(frozen=True)
class Source:
    """`source` as it is stored; `location` is the s3 address behind it; `files` its pinned bytes."""

    source: str
    location: str
    run_id: str
    model_id: str
    files: Sequence[PinnedFile]


def resolve(ledgers: Ledgers, source: str, run_id: str, model_id: str) -> Source:
    """Raises `MlflowError` (400) where the source is not sound."""
    _check_plain(source)
    source = ledgers.artifacts.stored(source)
    try:
        return _resolve(ledgers, source, run_id, model_id)
    except NotFound as missing:
        if not (_LOGGED.fullmatch(source) or _RUN.fullmatch(source)):
            raise
        raise invalid(
            f"Unable to fetch model from model URI source artifact location '{source}'. Error: {missing}"
        ) from None


def _resolve(ledgers: Ledgers, source: str, run_id: str, model_id: str) -> Source:
    if match := _LOGGED.fullmatch(source):
        if model_id and model_id != match[1]:
            raise _bad(source, f"the request names the model {model_id}")
        model = ledgers.logged_models.get(match[1])
        return _pinned(ledgers, source, model.artifact_uri, run_id or model.source_run_id, match[1])
    if match := _VERSION.fullmatch(source) or _ALIAS.fullmatch(source):
        name, which = match[1], match[2]
        ledgers.registry.model(name)
        version = (
            ledgers.registry.version(name, which)
            if _VERSION.fullmatch(source)
            else ledgers.registry.by_alias(name, which)
        )
        if version is None:
            raise _bad(source, f"there is no alias {which}")
        # The bytes that the other version stands for, not what lies there today.
        return Source(
            f"models:/{name}/{version.version}",
            version.location,
            run_id or version.run_id,
            model_id or version.model_id,
            version.files,
        )
    if match := _RUN.fullmatch(source):
        if run_id != match[1]:
            raise _bad(source, "run_id must be the run that it names")
        return _pinned(
            ledgers, source, f"{ledgers.runs.get(run_id).artifact_uri}/{match[2].strip('/')}", run_id, model_id
        )
    if ledgers.artifacts.holds(source):
        if model_id:
            model = ledgers.logged_models.get(model_id)
            run_id = run_id or model.source_run_id
        return _pinned(ledgers, source, source.rstrip("/"), run_id, model_id)
    raise _bad(source, f"it must be models:/..., runs:/..., or lie below {ledgers.artifacts.root}/")


def _pinned(ledgers: Ledgers, source: str, location: str, run_id: str, model_id: str) -> Source:
    if not ledgers.artifacts.holds(location):
        raise _bad(source, f"its artifacts do not lie below {ledgers.artifacts.root}/")
    return Source(source, location, run_id, model_id, ledgers.artifacts.pin(location))


def _check_plain(source: str) -> None:
    decoded = source
    for _ in range(10):
        if (once := unquote(decoded)) == decoded:
            break
        decoded = once
    if "\0" in decoded or any(part == ".." for part in re.split(r"[/\\]", decoded)):
        raise _bad(source, "it must not contain '..' or NUL")


def _bad(source: str, why: str) -> MlflowError:
    return invalid(f"Invalid model version source: '{source[:300]}': {why}.")
