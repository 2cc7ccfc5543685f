"""What a model server and a process that runs a version apart say to each other: frames over pipes, JSON or the bytes of a file.

A frame is its length in eight bytes, then its content. Nothing that the other process sent is ever unpickled.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_LENGTH = struct.Struct(">Q")


def write_frame(pipe: IO[bytes], content: bytes) -> None:
    """Raises `OSError` where nobody reads."""
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> bytes:
    """Raises `EOFError` where the other side has ended."""
    (length,) = _LENGTH.unpack(_whole(pipe, _LENGTH.size))
    return _whole(pipe, length)


def write_json(pipe: IO[bytes], value: object) -> None:
    """Numbers that are no JSON (NaN, infinities) are written all the same. Raises `OSError`, and `ValueError` or `TypeError` where it
    is no JSON."""
    write_frame(pipe, json.dumps(value).encode())


def read_json(pipe: IO[bytes]) -> Any:
    """Raises `EOFError`, and `ValueError` where it is no JSON."""
    return json.loads(read_frame(pipe))


def _whole(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return content
