"""Verify a token (JWT) as a JWT authoriser of an HTTP API does, and issue such tokens for trials.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html (RSA alone; `kid` of the
issuer's keys, `iss`, `aud` or else `client_id`, `exp`, `nbf`, `iat`).
"""

from __future__ import annotations

import base64
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from labcycle.local.settings import HOST

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"
_DIGESTS: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "RS256": hashes.SHA256,
    "RS384": hashes.SHA384,
    "RS512": hashes.SHA512,
}


class TokenRefused(Exception):
    """API Gateway answers 401; the message says why, which its access log has and its answer has not."""


def token_of(authorization: str | None) -> str:
    """The token of an `Authorization` header, which may do without the word Bearer. Raises `TokenRefused`."""
    scheme, _, token = (authorization or "").strip().rpartition(" ")
    if not token or scheme.lower() not in ("", "bearer"):
        raise TokenRefused("there is no token")
    return token


def verify(token: str, *, issuer: str, audience: Sequence[str], keys: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The claims of a token. `keys` is the issuer's JSON Web Key Set. Raises `TokenRefused`."""
    try:
        head, payload, signature = token.split(".")
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(payload))
        signed = _decoded(signature)
    except ValueError:
        raise TokenRefused("it is no JWT") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenRefused("it is no JWT")
    key = next((key for key in keys.get("keys", []) if key.get("kid") == header.get("kid")), None)
    digest = _DIGESTS.get(str(header.get("alg")))
    if key is None or key.get("kty") != "RSA" or digest is None:
        raise TokenRefused(f"the issuer has no RSA key {header.get('kid')} for {header.get('alg')}")
    try:
        numbers = rsa.RSAPublicNumbers(*(int.from_bytes(_decoded(key[part]), "big") for part in ("e", "n")))
        numbers.public_key().verify(signed, f"{head}.{payload}".encode(), padding.PKCS1v15(), digest())
    except InvalidSignature:
        raise TokenRefused("the signature does not match") from None
    except (KeyError, TypeError, ValueError):
        raise TokenRefused(f"the issuer's key {header.get('kid')} is none") from None
    if claims.get("iss") != issuer:
        raise TokenRefused(f"it is of the issuer {claims.get('iss')}")
    meant = claims.get("aud", claims.get("client_id"))
    if not any(one in audience for one in (meant if isinstance(meant, list) else [meant])):
        raise TokenRefused(f"it is meant for {meant}")
    if not now < _moment(claims, "exp", -math.inf):
        raise TokenRefused("it has ended")
    if not all(_moment(claims, begin, now) <= now for begin in ("nbf", "iat")):
        raise TokenRefused("it has not begun")
    return claims


def _moment(claims: Mapping[str, Any], name: str, absent: float) -> float:
    """Seconds since 1970; not a number, which compares false with every time, for what is none."""
    value = claims.get(name, absent)
    return value if isinstance(value, int | float) else math.nan


def as_claims(claims: Mapping[str, Any]) -> dict[str, str]:
    """Claims as a function gets them: all of them text, lists in brackets."""
    return {name: _as_text(value) for name, value in claims.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{' '.join(_as_text(one) for one in value)}]"
    return value if isinstance(value, str) else json.dumps(value)


class LocalIssuer:
    """An issuer on 127.0.0.1, for trials: its own key, discovery and key set over HTTP, and any token that is asked for.

    Parameters
    ----------
    url
        What its tokens and its discovery call it; absent: its own address.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return self._url or self.address

    @cached_property
    def keys(self) -> dict[str, Any]:
        """Its JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        one = {
            "kid": "trial",
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        return {"keys": [one]}

    def token(self, subject: str, audience: str, *, seconds: float = 3600, **claims: Any) -> str:
        """A token that ends in so many seconds; `claims` are added to those that are always there, or replace them (None: absent)."""
        now = int(time.time())
        said = {"iss": self.url, "sub": subject, "aud": audience, "iat": now, "exp": now + int(seconds), **claims}
        said = {name: value for name, value in said.items() if value is not None}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "trial"}, said))
        return f"{signed}.{_encoded(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def document(self, path: str) -> dict[str, Any] | None:
        """What it answers to GET."""
        if path.endswith(DISCOVERY):
            return {"issuer": self.url, "jwks_uri": f"{self.address}{KEYS}"}
        return self.keys if path == KEYS else None


def _handler(issuer: LocalIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = issuer.document(self.path)
            body = json.dumps(found or {}).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...

    return Handler


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))
