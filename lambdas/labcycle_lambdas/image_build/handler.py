"""Begin the build of a model server's image when CloudFormation asks for it; the build itself answers CloudFormation."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import boto3

from labcycle_lambdas.image_build.building import Building, answer, delivered
from labcycle_lambdas.variables import required


@cache
def building() -> Building:
    """Made once a sandbox."""
    (project,) = required(("PROJECT",), os.environ, "image build")
    return Building(boto3.client("codebuild"), project)


def handle(event: dict[str, Any], context: object) -> None:
    if event["RequestType"] == "Delete":  # images go by the repository's own rule, or with it
        delivered(event["ResponseURL"], answer(event, "SUCCESS", "nothing is done at the end"))
        return
    try:
        building().start(event)
    except Exception as error:
        delivered(event["ResponseURL"], answer(event, "FAILED", f"the build could not begin: {error}"[:500]))
        raise
