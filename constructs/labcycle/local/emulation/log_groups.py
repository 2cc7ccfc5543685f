"""Lines that services write to log groups."""

from __future__ import annotations

import time

from ministack.services import cloudwatch_logs


def append(group: str, stream: str, line: str) -> None:
    """Write a line to a log group that exists; one that does not is AWS's business to refuse, not ours to make."""
    record = cloudwatch_logs._log_groups.get(group)
    if record is None:
        return
    now = int(time.time() * 1000)
    found = record["streams"].setdefault(
        stream,
        {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
        },
    )
    found["events"].append({"timestamp": now, "message": line, "ingestionTime": now})
    found["firstEventTimestamp"] = found["firstEventTimestamp"] or now
    found["lastEventTimestamp"] = now
