"""What was asked of a model that answers later, and its answers, as objects of the artifact bucket.

`asynchronous/in/MODEL/ID` is a request's body, `asynchronous/asked/MODEL/ID` says where SageMaker writes its answer.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from labcycle_lambdas.s3_calls import is_gone, s3_call


@dataclass(frozen=True)
class Asked:
    """`at` is UTC in ISO 8601, `digest` of what was sent, `output` and `failure` are addresses (s3://), one of which comes to be."""

    request_id: str
    at: str
    digest: str
    output: str
    failure: str


@dataclass(frozen=True)
class Requests:
    """Those of one model; `s3` is a client. Each call raises `Throttled` where S3 has no time now."""

    s3: Any
    bucket: str
    model: str

    def asked(self, name: str) -> Asked | None:
        """What was asked by this id; None where nothing was, or long ago."""
        content = self._get(self._key("asked", name))
        return None if content is None else Asked(**json.loads(content))

    def keep(self, name: str, body: bytes) -> str:
        """Keep a request, and give its address."""
        key = self._key("in", name)
        self._put(key, body)
        return f"s3://{self.bucket}/{key}"

    def note(self, name: str, asked: Asked) -> None:
        """Note what was asked."""
        self._put(self._key("asked", name), json.dumps(asdict(asked)).encode())

    def read(self, address: str) -> bytes | None:
        """What SageMaker wrote there; None where it has not."""
        prefix = f"s3://{self.bucket}/"
        if not address.startswith(prefix):
            raise ValueError(f"{address[:200]} is not in the bucket {self.bucket}")
        return self._get(address.removeprefix(prefix))

    def _key(self, kind: str, name: str) -> str:
        return f"asynchronous/{kind}/{self.model}/{name}"

    def _put(self, key: str, body: bytes) -> None:
        s3_call(lambda: self.s3.put_object(Bucket=self.bucket, Key=key, Body=body))

    def _get(self, key: str) -> bytes | None:
        try:
            content: bytes = s3_call(lambda: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return content
