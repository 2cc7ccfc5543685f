"""All faults; each module registers its own."""

from tests.planted.draft import FAULTS, Fault

from . import access, delivery, exposure, quotas, recovery, schema, secrets, serving, states

__all__ = [
    "FAULTS",
    "Fault",
    "access",
    "delivery",
    "exposure",
    "quotas",
    "recovery",
    "schema",
    "secrets",
    "serving",
    "states",
]
