"""Regions and availability zones, known offline from the data that botocore ships."""

from __future__ import annotations

from functools import cache

from botocore.loaders import Loader

_PARTITIONS = ("aws", "aws-us-gov", "aws-cn")  # the others need credentials and endpoints that we cannot name


@cache
def known_regions() -> tuple[str, ...]:
    """All regions of the public, GovCloud and China partitions, sorted."""
    partitions = Loader().load_data("partitions")["partitions"]
    regions = [region for p in partitions if p["id"] in _PARTITIONS for region in p["regions"]]
    return tuple(sorted(region for region in regions if not region.endswith("-global")))


@cache
def regions_with(service: str) -> frozenset[str]:
    """Regions that have `service`, which is named as in AWS's list of endpoints (`codebuild`)."""
    partitions = Loader().load_data("endpoints")["partitions"]
    return frozenset(
        region for p in partitions for region in p["services"].get(service, {"endpoints": {}})["endpoints"]
    )


def has_snap_start(region: str) -> bool:
    """Whether functions in Python can begin from a snapshot there.

    https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html#snapstart-supported-regions
    """
    return not region.startswith(("cn-", "us-gov-")) and region not in ("ap-east-2", "ap-southeast-6")


def is_zone_of(zone: str, region: str) -> bool:
    """Whether `zone` is written as an availability zone of `region`: its name and one letter.

    Local and wavelength zones (`us-west-2-lax-1a`) are not: NAT gateways and Lambda are missing there.
    """
    return len(zone) == len(region) + 1 and zone.startswith(region) and zone[-1].isascii() and zone[-1].islower()
