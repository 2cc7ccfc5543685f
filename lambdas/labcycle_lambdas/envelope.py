"""How a request and its answer travel through SageMaker, which passes one path, few headers and few statuses.

The request's method, path, id and headers of ours go in custom attributes, of 1,024 ASCII characters at most. The answer is one
line of JSON, with status and headers, and the body behind it.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlencode

from labcycle_lambdas.http import Request, Response

ATTRIBUTES_HEADER = "x-amzn-sagemaker-custom-attributes"
PASSED = ("x-labcycle-key", "x-labcycle-what-if")
_LONGEST = 250  # of a header's value as it is written; what is longer goes as its digest, which is as good for a key


def attributes_of(request: Request) -> str:
    """The custom attributes that tell of `request`."""
    pairs = [("method", request.method), ("path", request.path), ("request", request.request_id)]
    pairs += [(name, _short(request.headers[name])) for name in PASSED if name in request.headers]
    return urlencode(pairs)


def told(request: Request, attributes: str) -> Request:
    """The request that the attributes tell of, with the body and the type of the one that came.

    Raises
    ------
    ValueError
        If they do not tell of any.
    """
    pairs = dict(parse_qsl(attributes, keep_blank_values=True))
    if not {"method", "path", "request"} <= pairs.keys():
        raise ValueError("the custom attributes tell of no request")
    headers = {name: value for name, value in request.headers.items() if name != ATTRIBUTES_HEADER}
    headers |= {name: pairs[name] for name in PASSED if name in pairs} | {"x-request-id": pairs["request"]}
    return replace(
        request, method=pairs["method"], path=pairs["path"], request_id=pairs["request"], headers=headers, query=[]
    )


def enclosed(response: Response) -> bytes:
    """The whole answer as one body."""
    head = json.dumps({"status": response.status, "headers": response.all_headers}, separators=(",", ":"))
    content = response.content
    return head.encode() + b"\n" + (content if isinstance(content, bytes) else content.encode())


def opened(content: bytes) -> Response:
    """The answer that `enclosed` made a body of.

    Raises
    ------
    ValueError
        If it did not.
    """
    head, _, body = content.partition(b"\n")
    try:
        said = json.loads(head)
        return Response(int(said["status"]), body.decode(), dict(said["headers"]))
    except (KeyError, TypeError) as error:
        raise ValueError("it is no answer of the model server") from error


def _short(value: str) -> str:
    return value if len(quote(value)) <= _LONGEST else hashlib.sha256(value.encode()).hexdigest()
