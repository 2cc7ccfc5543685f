"""The function of the proving app: shows its event, or does what the event asks for."""

import json
import os
import sys
from typing import Any


class Flaky(Exception):
    pass


def handle(event: dict[str, Any], context: object) -> Any:
    asked = event.get("do")
    if asked == "raise":
        raise Flaky("as asked")
    if asked == "import":
        __import__(event["module"])
        return {"file": sys.modules[event["module"]].__file__}
    if asked == "environment":
        return dict(os.environ)
    if asked == "emit":
        print(
            json.dumps(
                {
                    "_aws": {
                        "Timestamp": 0,
                        "CloudWatchMetrics": [
                            {"Namespace": "Proving", "Dimensions": [["side"]], "Metrics": [{"Name": "embedded"}]}
                        ],
                    },
                    "side": "live",
                    "embedded": 7,
                }
            )
        )
        return "emitted"
    if asked == "call":
        import boto3

        answer = getattr(boto3.client(event["service"]), event["method"])(**event.get("with", {}))
        answer.pop("ResponseMetadata", None)
        return json.loads(json.dumps(answer, default=str))
    if asked == "say":
        print(f"said {event['value']} end")
    if asked == "sleep":
        import time

        time.sleep(event["seconds"])
    if "requestContext" in event:
        if event["rawPath"].endswith("/malformed"):
            return {"statusCode": "no number"}
        if event["rawPath"] == "/hurried":
            import time

            time.sleep(float(event["body"]))
        if event["rawPath"].endswith("/raise"):
            raise Flaky("over HTTP")
        body = json.dumps({"version": os.environ["VERSION"], "event": event})
        return {"statusCode": 200, "headers": {"X-Proving": "yes"}, "cookies": ["a=1", "b=2"], "body": body}
    return {"version": os.environ["VERSION"], "event": event}
