"""Tokens that are sent in place of a signature, and replaced before they end."""

from __future__ import annotations

import base64
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import requests.adapters

from labcycle.client import bearer
from labcycle.client.bearer import COMMAND, TOKEN, FreshToken, NoToken, TokenRequest, bearer_token
from labcycle.client.mlflow_auth import LabcycleAuthProvider, SignedRequest


def jwt(**claims: Any) -> str:
    parts = ({"alg": "RS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """A command that prints what a file holds, and counts how often it was asked."""

    def __init__(self, folder: Path) -> None:
        self._token, self._asked = folder / "token", folder / "asked"
        script = folder / "issue.py"
        script.write_text(
            f"import pathlib\npathlib.Path({str(self._asked)!r}).open('a').write('x')\n"
            f"print(pathlib.Path({str(self._token)!r}).read_text())\n"
        )
        self.command = shlex.join([sys.executable, "-I", "-S", str(script)])

    def issues(self, token: str) -> str:
        self._token.write_text(token + "\n")
        return token

    @property
    def asked(self) -> int:
        return len(self._asked.read_text())


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


def test_a_token_is_kept_until_shortly_before_its_end(issuer: Issuer) -> None:
    clock = Clock()
    source = FreshToken(issuer.command, clock)
    first = issuer.issues(jwt(sub="ada", exp=1_600))
    assert [source.get(), source.get()] == [first, first]
    assert issuer.asked == 1
    second = issuer.issues(jwt(sub="ada", exp=5_200))
    clock.now = 1_539.9
    assert source.get() == first
    clock.now = 1_540.0
    assert source.get() == second
    assert issuer.asked == 2


def test_a_token_that_does_not_say_when_it_ends_is_asked_for_each_time(issuer: Issuer) -> None:
    source = FreshToken(issuer.command, Clock())
    for token in ("opaque", "a.b.c", jwt(sub="ada"), jwt(exp="soon")):
        issuer.issues(token)
        assert source.get() == token
    assert issuer.asked == 4


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/nowhere/at/all", r"LABCYCLE_TOKEN_COMMAND \(/nowhere/at/all\) cannot be run"),
        ("'unclosed", "cannot be run"),
        (shlex.join([sys.executable, "-c", "import sys; sys.exit('who are you?')"]), "ended with 1: who are you"),
        (shlex.join([sys.executable, "-c", "print('two words')"]), "printed 2 words; allowed a token"),
        (shlex.join([sys.executable, "-c", ""]), "printed 0 words"),
    ],
)
def test_a_command_that_gives_no_token_is_told(command: str, told: str) -> None:
    with pytest.raises(NoToken, match=told):
        FreshToken(command).get()


def test_the_command_comes_before_the_variable(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (COMMAND, TOKEN):
        monkeypatch.delenv(name, raising=False)
    assert bearer_token() is None
    monkeypatch.setenv(TOKEN, "held")
    assert bearer_token() == "held"
    monkeypatch.setenv(COMMAND, issuer.command)
    token = issuer.issues(jwt(exp=9e12))
    assert bearer_token() == token


def test_the_stock_client_sends_a_token_where_there_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMMAND, raising=False)
    assert isinstance(LabcycleAuthProvider().get_auth(), SignedRequest)
    monkeypatch.setenv(COMMAND, "issue")
    monkeypatch.setattr(bearer, "bearer_token", lambda: "fresh")
    auth = LabcycleAuthProvider().get_auth()
    assert isinstance(auth, TokenRequest)
    request = requests.Request("GET", "https://api.example.com/x", auth=auth).prepare()
    assert request.headers["Authorization"] == "Bearer fresh"


def test_a_redirect_does_not_carry_the_token_to_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bearer, "bearer_token", lambda: "fresh")
    seen: list[str | None] = []

    class Answers(requests.adapters.BaseAdapter):
        def send(self, request: Any, *args: object, **kwargs: object) -> requests.Response:
            seen.append(request.headers.get("Authorization"))
            answer = requests.Response()
            answer.request, answer.url, answer.raw = request, request.url, None
            answer.status_code = 302 if len(seen) == 1 else 200
            answer._content = b""
            if len(seen) == 1:
                answer.headers["Location"] = "https://api.example.com/presigned"  # the same host keeps its headers
            return answer

        def close(self) -> None: ...

    with requests.Session() as session:
        session.mount("https://", Answers())
        assert session.get("https://api.example.com/x", auth=TokenRequest()).status_code == 200
    assert seen == ["Bearer fresh", None]
