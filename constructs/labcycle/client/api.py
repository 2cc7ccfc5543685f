"""The API of a team, from Python: promote, roll back, what is live, what happened."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from labcycle.client.bearer import bearer_token
from labcycle.client.mlflow_headers import IDEMPOTENCY_HEADER
from labcycle.client.signing import canonical_url, sign
from labcycle.errors import LabcycleError

TRACKING_URI = "MLFLOW_TRACKING_URI"
LIFECYCLE = "/labcycle/1.0"
ATTEMPTS = 4
_TIMEOUT = urllib3.Timeout(connect=10, read=35)  # the API itself gives up after 30 s
_AGAIN = {429, 502, 503, 504}


class ApiError(LabcycleError):
    """The API refused, or could not be reached. `status` is 0 where there was no answer; `code` is MLflow's."""

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class TeamApi:
    """Calls the API of a team, MLflow's part of it and ours, with the AWS credentials of the usual chain, or with a token where
    labcycle.client.bearer knows one.

    A call that gets no answer, or is asked for patience, is repeated; the API takes a repeated call as one.

    Parameters
    ----------
    tracking_uri
        Address of the team's tracking API. Absent: the environment's `MLFLOW_TRACKING_URI`.
    sleep
        Waits so many seconds between two attempts.

    Raises
    ------
    ApiError
        If there is no address, or it is no http address.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        pool: urllib3.PoolManager | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        uri = tracking_uri or os.environ.get(TRACKING_URI, "")
        if not uri:
            raise ApiError(
                f"{TRACKING_URI} is not set: it must hold the address of your team's tracking API "
                f"(the output TrackingUrl of the stack labcycle-TEAM-tracking)."
            )
        if urlsplit(uri).scheme not in ("http", "https") or not urlsplit(uri).hostname:
            raise ApiError(f"{TRACKING_URI} is {uri!r}: allowed is an address that starts with https:// (or http://).")
        self.address = uri.rstrip("/")
        self._pool = pool or urllib3.PoolManager()
        self._sleep = sleep

    def team(self) -> str:
        """Name of the team whose API it is. Raises `ApiError`."""
        name: str = self.call("GET", f"{LIFECYCLE}/models")["team"]
        return name

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
    ) -> dict[str, Any]:
        """The API's document. `path` is below the address, and encoded already. Raises `ApiError`."""
        return _read(*self._answer(method, path, body, query))

    def page(self, path: str, *, query: Mapping[str, str | Sequence[str]] | None = None) -> str:
        """What the API answers where that is a page. Raises `ApiError`."""
        url, status, data = self._answer("GET", path, None, query)
        if status != 200:
            _read(url, status, data)
        return data.decode()

    def _answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str | Sequence[str]] | None,
    ) -> tuple[str, int, bytes]:
        """The address that was asked, status and body."""
        asked = f"?{urlencode(query, doseq=True)}" if query else ""
        url = canonical_url(f"{self.address}{path}{asked}")
        data = json.dumps(body).encode() if body is not None else b""
        once = {"content-type": "application/json"}
        if method == "POST":
            once[IDEMPOTENCY_HEADER] = uuid.uuid4().hex  # the same for every attempt
        for attempt in range(1, ATTEMPTS + 1):
            headers = _authorized(method, url, once, data)
            try:
                answer = self._pool.request(
                    method, url, body=data or None, headers=headers, timeout=_TIMEOUT, retries=False, redirect=False
                )
            except urllib3.exceptions.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise ApiError(
                        f"{url} cannot be reached ({type(error).__name__}). Check {TRACKING_URI} and your network."
                    ) from error
                self._sleep(2 ** (attempt - 1))
                continue
            if answer.status in _AGAIN and attempt < ATTEMPTS:
                self._sleep(_seconds(answer.headers.get("retry-after"), attempt))
                continue
            return url, answer.status, answer.data
        raise AssertionError("unreachable")


class LifecycleClient(TeamApi):
    """Promote, roll back, pause, what is live, what happened."""

    def promote(
        self,
        model: str,
        version: int | str,
        *,
        percent: int | None = None,
        new_inputs: bool = False,
        now: bool = False,
        reason: str = "",
    ) -> dict[str, Any]:
        """Make a version live, or with `percent` (1 to 99) let it answer this share of the requests beside the live one:
        `{"deployment": ..., "changed": bool, "notes": [...], "promotion": ...}`. Where the model's policy has steps, a `promotion`
        begins instead, unless `now` is set. `new_inputs`: also where it refuses what the live one takes. Raises `ApiError`."""
        body: dict[str, Any] = {"version": str(version), **({} if percent is None else {"percent": percent})}
        body |= ({"new_inputs": True} if new_inputs else {}) | ({"now": True} if now else {})
        return self._of_model("POST", model, "promote", {**body, **_reason(reason)})

    def roll_back(self, model: str, *, reason: str = "") -> dict[str, Any]:
        """Take back a promotion that is under way, or the version that is tried; else make the version live that was live before:
        `{"deployment": ..., "changed": bool}`. Raises `ApiError`."""
        said = self.deployment(model)
        deployment = said["deployment"]
        leaving = (deployment.get("canary") or {}).get("deployed") or said.get("promotion") or deployment["live"]
        # Named, so that a repeated call never rolls back twice.
        body = {"from_version": str(leaving["version"])} if leaving else {}
        return self._of_model("POST", model, "rollback", {**body, **_reason(reason)})

    def pause(self, model: str, *, answer: object = None, reason: str = "") -> dict[str, Any]:
        """Let a model answer `answer` for each row, or an error, until `resume`: `{"deployment": ..., "changed": bool}`.
        Raises `ApiError`."""
        return self._of_model("POST", model, "pause", {"answer": answer, **_reason(reason)})

    def resume(self, model: str, *, reason: str = "") -> dict[str, Any]:
        """Let a paused model predict again: `{"deployment": ..., "changed": bool}`. Raises `ApiError`."""
        return self._of_model("POST", model, "resume", _reason(reason))

    def review(self, model: str, *, approve: bool, reason: str = "", execution: str = "") -> dict[str, Any]:
        """Say whether the version goes live that a retraining made and that waits for its review; with `execution`, only if it is of
        this reaction. To reject it needs a reason. `{"execution": ..., "decision": ...}`. Raises `ApiError`."""
        body = {"decision": "approve" if approve else "reject", **_reason(reason)}
        return self._of_model("POST", model, "review", {**body, **({"execution": execution} if execution else {})})

    def reactions(self, model: str) -> dict[str, Any]:
        """What reactions did, the newest first, with their stages: `{"reactions": [...], "waiting": ..., "lock": {...}}`. Raises `ApiError`."""
        return self._of_model("GET", model, "reactions")

    def deployment(self, model: str) -> dict[str, Any]:
        """What is live and what was, and the promotion that is under way:
        `{"deployment": {"live": ..., "previous": [...], ...}, "promotion": ...}`. Raises `ApiError`."""
        return self._of_model("GET", model, "deployment")

    def promotion(self, model: str) -> dict[str, Any]:
        """How far the promotion in steps is that is under way, or how the last one ended: `{"promotion": ...}`. Raises `ApiError`."""
        return self._of_model("GET", model, "promotion")

    def trial(self, model: str) -> dict[str, Any]:
        """How a version does that is tried: `{"sides": [...], "verdict": ..., "reasons": [...], ...}`. Raises `ApiError`."""
        return self._of_model("GET", model, "trial")

    def begin_shadow(self, model: str, version: int | str, *, percent: int = 100, reason: str = "") -> dict[str, Any]:
        """Let a version score `percent` (1 to 100) of what the live one answers, without answering:
        `{"deployment": ..., "changed": bool, "notes": [...]}`. Raises `ApiError`."""
        body = {"version": str(version), "percent": percent, **_reason(reason)}
        return self._of_model("POST", model, "shadow", body)

    def end_shadow(self, model: str, *, reason: str = "") -> dict[str, Any]:
        """Let no version do that: `{"deployment": ..., "changed": bool}`. Raises `ApiError`."""
        return self._of_model("POST", model, "shadow/end", _reason(reason))

    def shadow(self, model: str) -> dict[str, Any]:
        """How the shadow does: `{"requests": {...}, "sides": [...], "agreement": {...}, ...}`. Raises `ApiError`."""
        return self._of_model("GET", model, "shadow")

    def consumers(self, model: str) -> dict[str, Any]:
        """What was counted of hard quotas: `{"used": [{"consumer", "period", "requests"}]}`. Raises `ApiError`."""
        return self._of_model("GET", model, "consumers")

    def history(self, model: str) -> dict[str, Any]:
        """The chain of custody: `{"events": [...], "verified": bool, "problems": [...]}`. Raises `ApiError`."""
        return self._of_model("GET", model, "custody")

    def _of_model(self, method: str, model: str, action: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self.call(method, f"{model_path(model)}/{action}", body=body)


def _reason(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def model_path(model: str) -> str:
    """Path of a registered model in the life cycle API. Raises `ApiError` where it can be no name of one."""
    if not model or "/" in model:
        raise ApiError(f"{model!r} is no name of a registered model: it must be non-empty and hold no slash.")
    return f"{LIFECYCLE}/models/{quote(model, safe='')}"


def _authorized(method: str, url: str, headers: Mapping[str, str], data: bytes) -> dict[str, str]:
    """For one attempt: signatures grow old, and tokens end."""
    token = bearer_token()
    return {**headers, "Authorization": f"Bearer {token}"} if token else sign(method, url, headers, data)


def _seconds(retry_after: str | None, attempt: int) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 2.0 ** (attempt - 1)


def _read(url: str, status: int, data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data or b"{}")
    except ValueError:
        body = None
    if status == 200 and isinstance(body, dict):
        return body
    said = body if isinstance(body, dict) else {}
    message, code = str(said.get("message") or ""), str(said.get("error_code") or "")
    if status == 403 and not code:
        # API Gateway's own answer: the role has no permission for this route, or the signature is not accepted.
        raise ApiError(
            f"{url} refused you ({message or 'Forbidden'}): your role may not do this for the team, or your credentials "
            f"are another account's. See who you are with `aws sts get-caller-identity`.",
            status=status,
        )
    if status == 401 and not code:
        raise ApiError(
            f"{url} refused your token ({message or 'Unauthorized'}): there is none, or it has ended, or its issuer or audience is "
            f"another than those that the address takes. See {TRACKING_URI}, and MLFLOW_TRACKING_TOKEN or LABCYCLE_TOKEN_COMMAND.",
            status=status,
        )
    if not message:
        text = data[:200].decode(errors="replace")
        message = f"{url} answered {status}, which is no answer of a labcycle API: {text!r}. Check {TRACKING_URI}."
    raise ApiError(message, status=status, code=code)
