"""Who calls, and what they may do: the members of a team, as its stack tells them to the functions.

The API's own rights are fewer than the roles' (docs/access.md): IAM lets a role through by route, a token is let through
by its issuer alone, and here both are held against what the operation takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.mlflow_error import PERMISSION_DENIED, MlflowError

Right = Literal["read", "log", "register", "promote", "administer", "erase"]
OF_ANYBODY: frozenset[str] = frozenset({"read", "log"})  # whom a door lets in
_NAMED = 10  # holders of a right in a message


@dataclass(frozen=True)
class Members:
    """The members of `team`.

    Parameters
    ----------
    rights
        Of each member. None: a member's role may do all that IAM lets it.
    subjects
        The members who come with a token: issuer, then subject.
    """

    team: str
    rights: Mapping[str, frozenset[str]] | None = None
    subjects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, team: str, told: str) -> Members:
        """From the variable MEMBERS; "" where the stack tells none.

        `{"rights": {"log read": ["ada", ...], ...}, "subjects": {"https://issuer": {"subject": "ada"}}}`: members by what
        they may do, so that no name stands there twice.
        """
        if not told:
            return cls(team)
        doc = json.loads(told)
        rights = {member: frozenset(held.split()) for held, members in doc["rights"].items() for member in members}
        return cls(team, rights, doc["subjects"])

    def who(self, request: Request) -> Who:
        """The caller, as signature or token say, not the body."""
        if request.issuer:
            member = self.subjects.get(request.issuer, {}).get(request.subject)
            return Who(member, request.issuer, request.subject)
        return Who.from_user_arn(request.user_arn, self.team)

    def require(self, right: Right, request: Request) -> None:
        """Raises `MlflowError` (403) where the caller may not, which names who may."""
        who = self.who(request)
        if right in self._rights_of(who):
            return
        if who.member is None:
            why = (
                f"Only a member of the team {self.team} can {right} here. The caller {who} is none, and may log and read. "
                f"Sign in with the role of a member (labcycle-{self.team}-NAME, session NAME), or with a token whose "
                f"subject the team file names"
            )
        else:
            why = f"{who.member} has not the right to {right}, which this takes"
        raise MlflowError(PERMISSION_DENIED, f"{why}.{self._holders(right)}")

    def _rights_of(self, who: Who) -> frozenset[str]:
        if who.member is None:
            return OF_ANYBODY
        if self.rights is None:
            return OF_ANYBODY | {"register", "promote", "administer", "erase"}
        return self.rights.get(who.member, OF_ANYBODY)

    def _holders(self, right: Right) -> str:
        if self.rights is None:
            return ""
        holders = sorted(member for member, held in self.rights.items() if right in held)
        if not holders:
            return " Nobody in the team has it: give a member a role that does, in the team file."
        more = f" and {len(holders) - _NAMED} more" if len(holders) > _NAMED else ""
        return f" Who has it: {', '.join(holders[:_NAMED])}{more}."
