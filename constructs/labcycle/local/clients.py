"""boto3 clients of the local cloud."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from labcycle.local.settings import Credentials


def client(endpoint: str, region: str, credentials: Credentials, service: str) -> Any:
    """A client that never retries: what fails here should be seen."""
    session: Any = boto3.session.Session()
    return session.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret,
        aws_session_token=credentials.token,
        config=Config(retries={"max_attempts": 0}, inject_host_prefix=False, s3={"addressing_style": "path"}),
    )
