"""Who did it: the member behind an IAM role session.

A member's role is named `labcycle-<team>-<member>` and its trust policy pins the session name to the member's name;
a workspace of the member runs as `labcycle-<team>-<member>-workspace`, a job as `labcycle-<team>-<member>-job`, names that
no member may take. The session name of any other role is chosen by its caller, so that it proves nothing: such a caller is
recorded, but is no member.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

ROLE_SUFFIXES = ("-workspace", "-job")


@dataclass(frozen=True)
class Who:
    """`member` is None for services and for callers that are no member of the team."""

    member: str | None
    role: str
    session: str

    @classmethod
    def from_user_arn(cls, user_arn: str, team: str) -> Who:
        """From `arn:aws:sts::<account>:assumed-role/<role>/<session>`, as API Gateway and STS write it."""
        kind, _, rest = user_arn.rpartition(":")[2].partition("/")
        if kind != "assumed-role":
            return cls(None, user_arn, "")
        role, _, session = rest.partition("/")
        prefix = f"labcycle-{team}-"
        member = role.removeprefix(prefix) if role.startswith(prefix) else None
        for suffix in ROLE_SUFFIXES:
            if member and member.endswith(suffix):
                return cls(member.removesuffix(suffix) or None, role, session)
        return cls(member if member and member == session else None, role, session)

    @classmethod
    def service(cls, role: str, session: str) -> Who:
        return cls(None, role, session)

    def to_doc(self) -> dict[str, str | None]:
        return asdict(self)

    def __str__(self) -> str:
        return self.member or (f"{self.role}/{self.session}" if self.session else self.role)


LEDGER = Who.service("labcycle", "ledger")  # what the ledger does by itself, for no caller
