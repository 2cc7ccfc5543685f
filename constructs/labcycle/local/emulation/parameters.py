"""Public SSM parameters that AWS publishes and templates read: AMI ids."""

from __future__ import annotations

import hashlib

from ministack.services import ssm

from labcycle.local.settings import Settings

_AL2023 = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-{kernel}-{architecture}"
_DLAMI = "/aws/service/deeplearning/ami/{architecture}/{name}/latest/ami-id"
_DLAMI_NAMES = (
    "base-oss-nvidia-driver-gpu-al2023",
    "base-oss-nvidia-driver-gpu-amazon-linux-2023",
    "base-oss-nvidia-driver-gpu-ubuntu-22.04",
    "base-oss-nvidia-driver-gpu-ubuntu-24.04",
    "oss-nvidia-driver-gpu-pytorch-2.7-amazon-linux-2023",
    "oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04",
)


def public_names() -> list[str]:
    """Names of the parameters that the local cloud knows."""
    found = [
        _AL2023.format(kernel=kernel, architecture=architecture)
        for kernel in ("default", "6.1")
        for architecture in ("x86_64", "arm64")
    ]
    found += [
        _DLAMI.format(architecture=architecture, name=name)
        for name in _DLAMI_NAMES
        for architecture in ("x86_64", "arm64")
    ]
    return found


def install(settings: Settings) -> None:
    """Beside MiniStack's own: as public parameters, which every account can read and nobody can write or list as its own."""
    for name in public_names():
        image = "ami-" + hashlib.sha256(f"{settings.region}{name}".encode()).hexdigest()[:17]
        ssm._PUBLIC_AMI_PARAMETERS.setdefault(name, image)
