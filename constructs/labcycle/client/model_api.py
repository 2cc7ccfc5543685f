"""The API of one model, found by the team's tracking API and called with the caller's AWS credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import urllib3

from labcycle.client.api import TeamApi, model_path
from labcycle.client.consumers import read_key
from labcycle.client.own_rights import OwnRights
from labcycle.client.signing import canonical_url, region_of, sign
from labcycle.config import names
from labcycle.config.rules import TEAM_KEY
from labcycle.errors import LabcycleError

KEY_HEADER = "x-api-key"  # an API with consumers wants it, and says so where it is missing
_TIMEOUT = urllib3.Timeout(connect=10, read=35)  # the API itself gives up after 30 s


class ModelUnreachable(LabcycleError):
    """The model's API is not there, refuses the caller, or has nothing live; the message says which."""


@dataclass(frozen=True)
class ModelAnswer:
    """Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class ModelApi:
    """The API of `model` at `url`."""

    model: str
    url: str
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)

    @classmethod
    def find(cls, model: str, api: TeamApi | None = None) -> ModelApi:
        """By the parameter that the model's stack writes, which a member reads with the rights of the own role.

        Raises
        ------
        LabcycleError
            If the tracking API, which says whose team it is, cannot be asked; if there is no such parameter, or it may not be read.
        """
        api = api or TeamApi()
        model_path(model)  # whether it can be a name
        team = api.team()
        name = names.model_url_parameter(team, model)
        aws = OwnRights(
            region_of(api.address), "Members who invoke models may: see who you are with `aws sts get-caller-identity`"
        )
        url = aws.parameter(
            name,
            f"the address of the model {model}, in the parameter {name}",
            f"the model {model} of the team {team} has no API: the parameter {name} is not there. Add {{form: api, runtime: lambda}} to "
            "deliver in the team file, and deploy",
        )
        return cls(model, url.rstrip("/"))

    def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> ModelAnswer:
        """Whatever the API answers to a signed request, with the team's key where the API wants one. Raises `LabcycleError`."""
        answer = self._ask(method, path, headers or {}, body)
        if answer.status == 403 and KEY_HEADER.encode() in answer.body:
            answer = self._ask(method, path, {**(headers or {}), KEY_HEADER: self._key}, body)
        return answer

    @cached_property
    def _key(self) -> str:
        return read_key(self.model, TEAM_KEY)

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> ModelAnswer:
        url = canonical_url(self.url + path)
        try:
            answer = self.pool.request(
                method,
                url,
                body=body or None,
                headers=sign(method, url, headers, body),
                timeout=_TIMEOUT,
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ModelUnreachable(
                f"the API of {self.model}, {self.url}, cannot be reached ({type(error).__name__}). Check your network"
            ) from None
        return ModelAnswer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.data)

    def document(self) -> dict[str, Any]:
        """The OpenAPI document of the live version. Raises `ModelUnreachable`."""
        document: dict[str, Any] = json.loads(self.get("/openapi.json").body)
        return document

    def get(self, path: str) -> ModelAnswer:
        """The answer, if it is one that is asked for. Raises `ModelUnreachable` with what the API said instead."""
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise ModelUnreachable(self.refusal(answer, path))
        return answer

    def refusal(self, answer: ModelAnswer, path: str) -> str:
        """What an answer that is none says, for people."""
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = None
        said = said if isinstance(said, dict) else {}
        code, message = said.get("error_code"), said.get("message")
        if answer.status == 403 and not code:
            return (
                f"the API of {self.model} refused you ({message or 'Forbidden'}): it takes a role that may invoke models, and "
                f"credentials of its account. See who you are with `aws sts get-caller-identity`"
            )
        if answer.status == 404 and not code and path == "/app":
            return f"the model {self.model} has no page: add {{form: app}} to deliver in the team file, and deploy"
        return str(message) if message else f"the API of {self.model} answered {answer.status} to {path}"
