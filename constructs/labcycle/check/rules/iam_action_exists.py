"""Every action of a policy exists."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.iam.patterns import is_wild
from labcycle.check.rules import Violation
from labcycle.check.service_authorization import is_service, nearest, stands_for_some
from labcycle.check.statements import Statement, is_unknown, statements
from labcycle.check.template import Template

WHY = "IAM takes a misspelt action without a word: what it should allow is refused, what it should deny goes through."
MEND = "Use the name as it stands in AWS's Service Authorization Reference."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for statement in statements(estate, template):
        for key, actions in (("Action", statement.actions), ("NotAction", statement.not_actions)):
            for action in actions:
                if not stands_for_some(action) and _is_judged(action, statement):
                    near = nearest(action)
                    hint = f"nearest is {near}" if near else "allowed is service:Action"
                    yield Violation(
                        statement.logical_id,
                        f"got {action}, which is no action; {hint}",
                        f"{statement.property_path}.{key}",
                    )


def _is_judged(action: str, statement: Statement) -> bool:
    """Not what is not known, nor a denial by wildcard, which may be of actions that are yet to come."""
    denies_what_may_come = not statement.allows and is_wild(action) and is_service(action.partition(":")[0])
    return not is_unknown(action) and not denies_what_may_come
