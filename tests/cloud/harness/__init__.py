"""Deploys a synthesized cloud assembly into moto, in this process, and makes it run.

moto keeps the records; this package adds what makes them act: CloudFormation models that moto lacks, function code
that is executed from the uploaded asset, state machines with JSONata and training jobs, delivery from alarms, topics,
rules and schedules, HTTP APIs that can be called, injected faults, and the permissions that all of these need.
"""

from tests.cloud.harness.cloud import Cloud, cloud
from tests.cloud.harness.http_api import Answer, Caller

__all__ = ["Answer", "Caller", "Cloud", "cloud"]
