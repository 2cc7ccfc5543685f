"""What a local cloud is started with, and the environment in which its clients run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

HOST = "127.0.0.1"
DEFAULT_PORT = 4566
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "eu-west-1"
SECRET = "test"  # the account's root key is the account number with this secret: nothing is protected by it
SETTINGS = "LABCYCLE_LOCAL_SETTINGS"  # holds the settings of the server process, as JSON
KEEP = b"keep\n"  # on the server's standard input: its starter lets go, and it lives on
START_ID = "LABCYCLE_LOCAL_START_ID"  # in the environment of every process that belongs to a local cloud
_KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "PATH",
    "SHELL",
    "SYSTEMROOT",
    "TERM",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "LD_LIBRARY_PATH",
)


@dataclass(frozen=True)
class Settings:
    """One local cloud: where it listens, which account and region it plays, and the folder that holds its files."""

    port: int
    account: str
    region: str
    start_id: str
    folder: str
    owner: bool = False  # ends when its standard input ends

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def temporary(self) -> Path:
        """Code of functions, layers and training jobs while they run; removed by `down`."""
        return Path(self.folder) / "run" / self.start_id

    @property
    def log(self) -> Path:
        return Path(self.folder) / "server.log"

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Settings:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Credentials:
    """An access key, and for a role's session its token and who it is."""

    access_key: str
    secret: str
    token: str | None = None
    arn: str = ""


def bare_environment(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """What of the caller's environment a child may see: paths and locale, no credential and no setting of AWS."""
    given = os.environ if source is None else source
    return {name: given[name] for name in _KEPT if name in given}


def client_environment(endpoint: str, region: str, credentials: Credentials) -> dict[str, str]:
    """AWS_* variables that point any AWS SDK or CLI at the local cloud, and at nothing else."""
    found = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    if credentials.token:
        found["AWS_SESSION_TOKEN"] = credentials.token
    return found
