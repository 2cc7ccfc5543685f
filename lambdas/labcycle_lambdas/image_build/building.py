"""The build of one image, and what CloudFormation is told.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Building:
    """Builds of `project`."""

    codebuild: Any
    project: str

    def start(self, event: Mapping[str, Any]) -> None:
        """Begin the build of the tag that the resource names. The same request twice begins one build."""
        variables = {
            "TAG": event["ResourceProperties"]["Tag"],
            "ANSWER": json.dumps(answer(event, "FAILED", "")),
            "ANSWER_URL": event["ResponseURL"],
        }
        self.codebuild.start_build(
            projectName=self.project,
            idempotencyToken=event["RequestId"],
            environmentVariablesOverride=[
                {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
            ],
        )


def answer(event: Mapping[str, Any], status: str, reason: str) -> dict[str, str]:
    """What CloudFormation expects. The image is the resource: another tag is another one."""
    known = event.get("PhysicalResourceId") or "none"
    tag = known if event["RequestType"] == "Delete" else event["ResourceProperties"]["Tag"]
    same = {name: str(event[name]) for name in ("StackId", "RequestId", "LogicalResourceId")}
    return {**same, "PhysicalResourceId": tag, "Status": status, "Reason": reason}


def delivered(url: str, said: Mapping[str, str]) -> None:
    """Tell CloudFormation. The address is signed without a content type."""
    request = urllib.request.Request(url, json.dumps(said).encode(), {"content-type": ""}, method="PUT")
    with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS):
        pass
