"""What delivers to what in an estate, and whether it is let in."""

from .producers import Delivery, deliveries, encryption_key, kind_of, named_function, redrive_target
from .proof import refusals
from .ways import ROLE, WAYS, Way

__all__ = [
    "ROLE",
    "WAYS",
    "Delivery",
    "Way",
    "deliveries",
    "encryption_key",
    "kind_of",
    "named_function",
    "redrive_target",
    "refusals",
]
