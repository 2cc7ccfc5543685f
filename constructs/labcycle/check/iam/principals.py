"""Who asks, and whom the element `Principal` means.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from .errors import PolicyError
from .truth import Truth

_ACCOUNT = re.compile(r"\d{12}|arn:aws[a-z-]*:iam::(\d{12}):root")
_ARN = re.compile(r"arn:aws[a-z-]*:(iam::\d{12}:(role|user)/|sts::\d{12}:(assumed-role|federated-user)/)[^*?]+")
_KINDS = ("AWS", "Service", "Federated")


@dataclass(frozen=True)
class Role:
    """A session of a role.

    Parameters
    ----------
    arn
        The role's, with its path.
    session
        Name of the session. None: whatever the caller likes.
    """

    arn: str
    session: str | None = None

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


@dataclass(frozen=True)
class User:
    """A user of IAM, by ARN."""

    arn: str

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


@dataclass(frozen=True)
class Service:
    """An AWS service in its own name, for instance `sns.amazonaws.com`."""

    name: str


@dataclass(frozen=True)
class Federated:
    """Who shows a token of an identity provider, by the provider's ARN or name."""

    provider: str


Principal = Role | User | Service | Federated


class Reach(Enum):
    """Whom a resource's policy names when it lets somebody in; it decides which other policies still count.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
    """

    ACCOUNT = "the account, which then says by identity policies who may"
    ROLE = "the role, so that its boundary and session policies limit the session"
    DIRECT = "the session, the user, the service or everybody: no identity policy limits it"


@dataclass(frozen=True)
class Named:
    """One entry of the element: a kind (`AWS`, `Service`, `Federated`) and whom."""

    kind: str
    value: str

    def means(self, principal: Principal) -> Iterator[tuple[Reach, Truth]]:
        """How the entry lets the principal in, where it does."""
        if self.kind == "AWS" and self.value == "*":
            yield Reach.DIRECT, Truth.YES
        elif isinstance(principal, Service):
            if (self.kind, self.value) == ("Service", principal.name):
                yield Reach.DIRECT, Truth.YES
        elif isinstance(principal, Federated):
            if (self.kind, self.value) == ("Federated", principal.provider):
                yield Reach.DIRECT, Truth.YES
        elif self.kind == "AWS":
            yield from self._means_identity(principal)

    def _means_identity(self, principal: Role | User) -> Iterator[tuple[Reach, Truth]]:
        if self.account == principal.account:
            yield Reach.ACCOUNT, Truth.YES
        elif self.value == principal.arn:
            yield (Reach.ROLE if isinstance(principal, Role) else Reach.DIRECT), Truth.YES
        elif isinstance(principal, Role):
            session = session_arn(principal.arn, "")
            if self.value.startswith(session):
                named = self.value.removeprefix(session)
                sure = Truth.MAYBE if principal.session is None else Truth.YES
                if principal.session in (None, named):
                    yield Reach.DIRECT, sure

    @property
    def account(self) -> str:
        """The account that the entry names as a whole; empty where it names somebody else."""
        found = _ACCOUNT.fullmatch(self.value)
        return (found.group(1) or self.value) if found else ""


def session_arn(role_arn: str, session: str) -> str:
    """ARN of a role's session; it holds the role's name without its path."""
    partition, account = role_arn.split(":")[1], role_arn.split(":")[4]
    return f"arn:{partition}:sts::{account}:assumed-role/{role_arn.rpartition('/')[2]}/{session}"


def parse_principals(element: object) -> tuple[Named, ...]:
    """Read the element `Principal` or `NotPrincipal`.

    Raises
    ------
    PolicyError
        If it names nobody, or somebody of an unknown kind.
    """
    if element == "*":
        return (Named("AWS", "*"),)
    if not isinstance(element, Mapping) or not element:
        raise PolicyError(f"got the principal {element!r}; allowed '*', or entries by {', '.join(_KINDS)}")
    found = []
    for kind, listed in element.items():
        if kind not in _KINDS:
            raise PolicyError(f"got the kind of principal {kind}; allowed {', '.join(_KINDS)}")
        for value in listed if isinstance(listed, list) else [listed]:
            if not isinstance(value, str) or not value:
                raise PolicyError(f"got the principal {value!r}; allowed a text")
            if kind == "AWS" and value != "*" and not _ACCOUNT.fullmatch(value) and not _ARN.fullmatch(value):
                raise PolicyError(
                    f"got the principal {value}; allowed '*', an account, or the ARN of a role, user or session "
                    "without wildcards. Match patterns by a condition on aws:PrincipalArn"
                )
            if kind != "AWS" and "*" in value:
                raise PolicyError(f"got the principal {kind} {value}; allowed no wildcard")
            found.append(Named(kind, value))
    return tuple(found)
