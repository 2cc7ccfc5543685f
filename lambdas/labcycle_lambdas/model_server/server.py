"""The scoring API of one model: POST /invocations, GET /ping, GET /version."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.http import Request, Response
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
from labcycle_lambdas.model_server.columns import enforce
from labcycle_lambdas.model_server.journal import PROFILE_WRITE_FAILURES, Journal
from labcycle_lambdas.model_server.live import CannotServe, Live, Loaded, NothingLive
from labcycle_lambdas.model_server.payload import BODY_BYTES, Table, Tensors, read

MODEL_HEADER = "x-labcycle-model"
VERSION_HEADER = "x-labcycle-model-version"
REQUEST_HEADER = "x-request-id"
_METHODS = {"/invocations": "POST", "/ping": "GET", "/version": "GET"}


@dataclass(frozen=True)
class Server:
    """Answers requests for `model`."""

    model: str
    live: Live
    capture: Capture
    journal: Journal

    def answer(self, request: Request) -> Response:
        """The answer; also to what goes wrong on our side."""
        headers = {MODEL_HEADER: self.model, REQUEST_HEADER: request.request_id}
        try:
            if _METHODS.get(request.path) != request.method:
                raise MlflowError(
                    ENDPOINT_NOT_FOUND,
                    f"No endpoint {request.method[:20]} {request.path[:200]}; there are POST /invocations, GET /ping and "
                    f"GET /version.",
                )
            loaded = self._current()
            headers[VERSION_HEADER] = str(loaded.deployed.version)
            if request.path == "/invocations":
                return Response(200, self._score(request, loaded), headers)
            return Response(200, self._about(loaded), headers)
        except MlflowError as error:
            return error.response(headers)
        except Exception:  # noqa: BLE001 - answered in MLflow's shape
            self.journal.error("scoring failed", request_id=request.request_id, trace=traceback.format_exc())
            message = f"The model server failed; its log has the cause under request {request.request_id}."
            return MlflowError(INTERNAL_ERROR, message).response(headers)

    def _current(self) -> Loaded:
        try:
            return self.live.current()
        except NothingLive:
            raise MlflowError(
                RESOURCE_DOES_NOT_EXIST,
                f"no version of {self.model} is live; promote one: labcycle promote {self.model} VERSION",
            ) from None
        except CannotServe as error:
            raise MlflowError(TEMPORARILY_UNAVAILABLE, f"{self.model} cannot be served: {error}") from None
        except Throttled as error:
            raise MlflowError(REQUEST_LIMIT_EXCEEDED, f"The ledger is busy, try again: {error}") from None

    def _score(self, request: Request, loaded: Loaded) -> str:
        schema = loaded.graph.schema
        asked = read(request, schema)
        data: Table | Tensors = asked.data
        if isinstance(data, Table) and schema and schema.columns:
            data = enforce(data, schema)
        predictions = loaded.graph.predict(data, all_outputs=asked.all_outputs)
        answer = json.dumps({"predictions": predictions}, separators=(",", ":"), allow_nan=False)
        sent = len(answer) + answer.count('"') + answer.count("\\")  # it travels as a JSON text within JSON
        if sent > BODY_BYTES:
            raise MlflowError(
                BAD_REQUEST,
                f"The answer to {len(predictions)} rows has {sent / 1e6:.1f} MB; Lambda answers {BODY_BYTES / 1e6:.0f} MB "
                f"at most: send fewer rows at once.",
                status=413,
            )
        if isinstance(data, Table) and data.columns is not None:
            first = [next(iter(p.values())) for p in predictions] if asked.all_outputs else predictions
            self._profile(loaded, data.columns, data.rows, first, request.request_id)
        return answer

    def _profile(
        self, loaded: Loaded, columns: list[str], rows: list[list[Any]], predictions: list[Any], request_id: str
    ) -> None:
        """Monitoring must never cost anybody an answer."""
        try:
            self.capture.add(loaded, columns, rows, predictions)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.journal.count(
                PROFILE_WRITE_FAILURES,
                "the profile of the traffic could not be written; it is kept and tried again",
                request_id=request_id,
                error=f"{type(error).__name__}: {error}"[:500],
            )

    def _about(self, loaded: Loaded) -> dict[str, Any]:
        deployed = loaded.deployed
        return {
            "model": self.model,
            "version": str(deployed.version),
            "run_id": deployed.source_run,
            "sha256": deployed.model_file.sha256,
            "generation": loaded.generation,
            "promoted_at": deployed.promoted_at,
            "promoted_by": deployed.promoted_by,
            "problem": self.live.problem,
        }
