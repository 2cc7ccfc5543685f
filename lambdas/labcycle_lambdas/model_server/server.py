"""The scoring API of one model: POST /invocations, GET /ping and GET /version; GET /openapi.json and GET /app tell about it."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.deployments import Pause
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.mlflow_error import (
    BAD_REQUEST,
    ENDPOINT_NOT_FOUND,
    INTERNAL_ERROR,
    REQUEST_LIMIT_EXCEEDED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    MlflowError,
)
from labcycle_lambdas.model_server.capture import Capture
from labcycle_lambdas.model_server.counting import Counting
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.model_server.journal import CANARY_FAILURES, PROFILE_WRITE_FAILURES, QUOTA_REFUSALS, Journal
from labcycle_lambdas.model_server.live import CannotServe, Live, Loaded, NothingLive, Serving, Shadowing
from labcycle_lambdas.model_server.payload import BODY_BYTES, read
from labcycle_lambdas.model_server.prediction_log import answered_by
from labcycle_lambdas.model_server.runnable import CannotCompute
from labcycle_lambdas.model_server.scoring import score

if TYPE_CHECKING:
    from labcycle_lambdas.model_server.metering import Metering
    from labcycle_lambdas.model_server.offering import Offering
    from labcycle_lambdas.model_server.quota import Quota

T = TypeVar("T")
MODEL_HEADER = "x-labcycle-model"
VERSION_HEADER = "x-labcycle-model-version"
REQUEST_HEADER = "x-request-id"
PAUSED_HEADER = "x-labcycle-paused"
KEY_HEADER = "x-labcycle-key"  # of the caller: requests with one key are answered by one version while another is tried
PREDICTION_HEADER = "x-labcycle-prediction-id"  # of the answer to the first row; the others have the following numbers
WHAT_IF_HEADER = "x-labcycle-what-if"  # rows that are tried, not real: they are neither counted nor kept
_AS_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_METHODS = {"/invocations": "POST", "/ping": "GET", "/version": "GET", "/openapi.json": "GET", "/app": "GET"}


@dataclass(frozen=True)
class _Said:
    """An answer as it is sent, the predictions of the model's first output, and the id of the first one, where it is kept."""

    text: str
    first: list[Any]
    prediction_id: str | None


@dataclass(frozen=True)
class Server:
    """Answers requests for `model`. `monotonic` tells seconds. `quota` counts requests of those whose quota is hard,
    `offering` shows a shadow what was answered, `metering` measures what all of it takes."""

    model: str
    live: Live
    capture: Capture
    canary_capture: Capture
    counting: Counting
    journal: Journal
    monotonic: Callable[[], float] = time.monotonic
    quota: Quota | None = None
    offering: Offering | None = None
    metering: Metering | None = None

    def answer(self, request: Request) -> Response:
        """The answer; also to what goes wrong on our side."""
        if request.path != "/ping" or not self.capture.by_timer or REQUEST_HEADER in request.headers:
            self.capture.ask()  # the others are from who looks after the container, not from the API
        response = self._answered(request)
        for capture in (self.capture, self.canary_capture):
            self._monitored(request, capture.write_due)
        return response

    def _answered(self, request: Request) -> Response:
        headers = {MODEL_HEADER: self.model, REQUEST_HEADER: request.request_id}
        try:
            if _METHODS.get(request.path) != request.method:
                raise MlflowError(
                    ENDPOINT_NOT_FOUND,
                    f"No endpoint {request.method[:20]} {request.path[:200]}; there are POST /invocations, GET /ping, "
                    f"GET /version, GET /openapi.json and GET /app.",
                )
            if request.path == "/app":
                return self._page(headers)
            serving = self._current()
            if serving.pause:
                headers[PAUSED_HEADER] = "true"
            elif serving.live:
                headers[VERSION_HEADER] = str(serving.live.deployed.version)
            if request.path == "/openapi.json":
                return Response(200, self._document(serving), headers)
            if request.path != "/invocations":
                return Response(200, self._about(serving), headers)
            if self.quota and (refusal := self._refusal(self.quota, request, headers)):
                return refusal
            if serving.pause:
                return Response(200, self._paused(request, serving, serving.pause), headers)
            assert serving.live
            said, version = self._metered(request, serving, serving.live)
            if said.prediction_id:
                headers[PREDICTION_HEADER] = said.prediction_id
            return Response(200, said.text, {**headers, VERSION_HEADER: str(version)})
        except MlflowError as error:
            return error.response(headers)
        except Exception as error:  # noqa: BLE001 - answered in MLflow's shape
            self.journal.error("scoring failed", request_id=request.request_id, trace=self._trace(error))
            message = f"The model server failed; its log has the cause under request {request.request_id}."
            return MlflowError(INTERNAL_ERROR, message).response(headers)

    def _refusal(self, quota: Quota, request: Request, headers: dict[str, str]) -> Response | None:
        """Where the caller may not ask any more. What cannot be counted is not answered either: hard is hard."""
        try:
            used_up = quota.used_up(request.user_arn)
        except Throttled as error:
            message = f"The ledger is busy, so that this request cannot be counted; try again: {error}"
            return MlflowError(TEMPORARILY_UNAVAILABLE, message).response({**headers, "retry-after": "1"})
        if used_up is None:
            return None
        self.journal.count(
            QUOTA_REFUSALS,
            "a consumer has used up its quota",
            request_id=request.request_id,
            consumer=used_up.consumer,
            period=used_up.period,
        )
        return MlflowError(REQUEST_LIMIT_EXCEEDED, f"{self.model}: {used_up.message}").response(
            {**headers, "retry-after": str(used_up.seconds)}
        )

    def _current(self) -> Serving:
        try:
            return self.live.current()
        except NothingLive:
            raise MlflowError(
                RESOURCE_DOES_NOT_EXIST,
                f"no version of {self.model} is live; promote one: labcycle models promote {self.model} VERSION",
            ) from None
        except CannotServe as error:
            raise MlflowError(TEMPORARILY_UNAVAILABLE, f"{self.model} cannot be served: {error}") from None
        except Throttled as error:
            raise MlflowError(REQUEST_LIMIT_EXCEEDED, f"The ledger is busy, try again: {error}") from None

    def _metered(self, request: Request, serving: Serving, live: Loaded) -> tuple[_Said, int]:
        """The answer, and the version that gave it; its time is counted, however it ends."""
        if self.metering is None:
            return self._answer(request, serving, live)
        began, failed = self.monotonic(), False
        try:
            return self._answer(request, serving, live)
        except Exception as error:
            failed = isinstance(error, CannotCompute) or not isinstance(error, MlflowError)
            raise
        finally:
            self._meter(self.metering, request, self.monotonic() - began, failed=failed)

    def _meter(self, metering: Metering, request: Request, seconds: float, *, failed: bool) -> None:
        """Measuring must never cost anybody an answer."""
        try:
            metering.count(seconds * 1000, failed=failed)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._unwritten("what the server uses", request.request_id, error)

    def _answer(self, request: Request, serving: Serving, live: Loaded) -> tuple[_Said, int]:
        """The answer, and the version that gave it. While a version is tried, what each does is counted; what it cannot answer
        is answered by the live one, so that nobody suffers from the trial."""
        canary = serving.canary
        if canary is None:
            return self._answer_live(request, serving, live)[0], live.deployed.version
        failed, seconds = None, 0.0
        if canary.takes(request.headers.get(KEY_HEADER) or request.request_id):
            began = self.monotonic()
            try:
                if canary.loaded is None:
                    raise CannotServe(f"version {canary.version} cannot be loaded")
                answer = self._score(request, canary.loaded, self.canary_capture)
            except Exception as error:  # noqa: BLE001 - whatever it is: the live version decides whose mistake it is
                failed, seconds = error, self.monotonic() - began
            else:
                self._count(request, live.generation, canary.version, self.monotonic() - began)
                return answer, canary.version
        began = self.monotonic()
        try:
            answer, took = self._answer_live(request, serving, live)
        except Exception as error:
            if isinstance(error, CannotCompute) or not isinstance(error, MlflowError):
                self._count(request, live.generation, live.deployed.version, self.monotonic() - began, failed=True)
            raise  # of other errors the caller is to blame, as far as can be said: they count for neither
        self._count(request, live.generation, live.deployed.version, took)
        if failed:
            self.journal.count(
                CANARY_FAILURES,
                "the live version answered what the canary could not",
                request_id=request.request_id,
                version=canary.version,
                error=self.capture.keeping.told(failed),
            )
            self._count(request, live.generation, canary.version, seconds, failed=True)
        return answer, live.deployed.version

    def _answer_live(self, request: Request, serving: Serving, live: Loaded) -> tuple[_Said, float]:
        """The live version's answer, in how many seconds; the shadow is shown it."""
        began = self.monotonic()
        said = self._score(request, live, self.capture)
        seconds = self.monotonic() - began
        shadow = serving.shadow
        if shadow and self.offering and WHAT_IF_HEADER not in request.headers and shadow.takes(request.request_id):
            self._offer(self.offering, request, shadow, live, said.first, seconds)
        return said, seconds

    def _offer(
        self,
        offering: Offering,
        request: Request,
        shadow: Shadowing,
        live: Loaded,
        predictions: list[Any],
        seconds: float,
    ) -> None:
        """A shadow must never cost anybody an answer."""
        from labcycle_lambdas.ledger.shadows import Comparison  # not with each cold start
        from labcycle_lambdas.model_server.shown import Shown

        of = Comparison(shadow.version, shadow.since, live.deployed.version)
        content_type = request.headers.get("content-type", "")
        try:
            offering.offer(Shown(of, request.request_id, content_type, request.body, predictions, seconds * 1000))
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.journal.error(
                "what the shadow was shown could not be counted; it is kept and tried again",
                request_id=request.request_id,
                why=f"{type(error).__name__}: {error}"[:500],
            )

    def _count(self, request: Request, generation: int, version: int, seconds: float, *, failed: bool = False) -> None:
        """Counting must never cost anybody an answer."""
        try:
            self.counting.count(generation, version, seconds * 1000, failed=failed)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._unwritten("the tally of the answers", request.request_id, error)

    def _paused(self, request: Request, serving: Serving, pause: Pause) -> str:
        """The declared answer, once a row."""
        if pause.answer is None:
            why = f": {pause.reason}" if pause.reason else ""
            raise MlflowError(
                TEMPORARILY_UNAVAILABLE,
                f"{self.model} was paused at {pause.at} by {pause.by}{why}. It makes no predictions.",
            )
        data = read(request, serving.live.graph.schema if serving.live else None).data
        rows = len(data.rows) if isinstance(data, Table) else _length(next(iter(data.values.values())))
        return json.dumps({"predictions": [pause.answer] * rows}, separators=(",", ":"))

    def _score(self, request: Request, loaded: Loaded, capture: Capture) -> _Said:
        what_if = WHAT_IF_HEADER in request.headers
        scored = score(request, loaded.graph, chances="no" if what_if else capture.keeping.wanted_chances)
        predictions = scored.predictions
        answer = _AS_JSON({"predictions": predictions})
        sent = len(answer) + answer.count('"') + answer.count("\\")  # it travels as a JSON text within JSON
        if sent > BODY_BYTES:
            raise MlflowError(
                BAD_REQUEST,
                f"The answer to {len(predictions)} rows has {sent / 1e6:.1f} MB; allowed are {BODY_BYTES / 1e6:.0f} MB: send "
                f"fewer rows at once.",
                status=413,
            )
        prediction_id = None
        if not what_if:
            answered = answered_by(scored, request.request_id)
            prediction_id = self._monitored(request, lambda: capture.count(loaded, answered))
        return _Said(answer, scored.first, prediction_id)

    def _monitored(self, request: Request, work: Callable[[], T]) -> T | None:
        """Monitoring must never cost anybody an answer."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._unwritten("what is watched of the traffic", request.request_id, error)
            return None

    def _trace(self, error: Exception) -> str:
        """Without what the error says, which may be a value, where some are never kept."""
        if self.capture.keeping.redact:
            return "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
        return "".join(traceback.format_exception(error))

    def _unwritten(self, what: str, request_id: str, error: Exception) -> None:
        self.journal.count(
            PROFILE_WRITE_FAILURES,
            f"{what} could not be written; it is kept and tried again",
            request_id=request_id,
            error=self.capture.keeping.told(error),
        )

    def _page(self, headers: Mapping[str, str]) -> Response:
        """Also where there is nothing to try: then it says so."""
        from labcycle_lambdas.model_server.page import page, policy  # not with each cold start

        status = 200
        try:
            serving = self._current()
        except MlflowError as error:
            status, html = error.status, page(self.model, problem=str(error))
        else:
            live = serving.live
            deployed, schema = (live.deployed, live.graph.schema) if live else (None, None)
            html = page(self.model, deployed, schema, pause=serving.pause)
        more = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": policy(),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
        }
        return Response(status, html, {**headers, **more})

    def _document(self, serving: Serving) -> dict[str, Any]:
        from labcycle_lambdas.model_server.openapi import document  # not with each cold start

        live = serving.live
        return document(self.model, live.deployed.version if live else None, live.graph.schema if live else None)

    def _about(self, serving: Serving) -> dict[str, Any]:
        live, canary, pause = serving.live, serving.canary, serving.pause
        about: dict[str, Any] = {"model": self.model, "problem": self.live.problem}
        if live:
            about |= {
                "version": str(live.deployed.version),
                "run_id": live.deployed.source_run,
                "sha256": live.deployed.model_file.sha256,
                "generation": live.generation,
                "promoted_at": live.deployed.promoted_at,
                "promoted_by": live.deployed.promoted_by,
            }
        if canary:
            about["canary"] = {
                "version": str(canary.version),
                "percent": canary.percent,
                "loaded": canary.loaded is not None,
            }
        if serving.shadow:
            about["shadow"] = {"version": str(serving.shadow.version), "percent": serving.shadow.percent}
        if pause:
            about["paused"] = {"at": pause.at, "by": pause.by, "reason": pause.reason, "answer": pause.answer}
        return about


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 1
