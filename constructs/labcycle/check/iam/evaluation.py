"""Whether a request is allowed, by all policies that bear on it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html within an
account, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html across.
Organisations' policies are not part of it: they only take away.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from .errors import PolicyError
from .patterns import Pattern, in_resource, literal, match, wildcard
from .policy import Policy, Statement
from .principals import Named, Principal, Reach, Role, Service, User
from .truth import Truth, all_of, any_of
from .variables import Anything, Context, expand

NO_RESOURCE = "*"
"""The resource of an action that takes none: only a statement with `*` itself matches."""


@dataclass(frozen=True)
class Request:
    """Who wants to do what.

    Parameters
    ----------
    principal
        Who asks.
    action
        For instance `s3:GetObject`.
    resource
        ARN, or `NO_RESOURCE`. For `could_allow` a pattern with `*` and `?`: any of them.
    account
        Account of the resource. Empty: the one in its ARN, or where that has none the principal's.
    context
        Values by condition key; what follows from the other parts (`aws:PrincipalArn`, `aws:PrincipalAccount`,
        `aws:ResourceAccount` and the like) is added.
    """

    principal: Principal
    action: str
    resource: str
    account: str = ""
    context: Mapping[str, str | Sequence[str] | Anything] = field(default_factory=dict)


@dataclass(frozen=True)
class Policies:
    """The policies that bear on a request.

    Parameters
    ----------
    identity
        Those of the principal.
    boundary, session
        Its permissions boundary and session policy; None: there is none, so that nothing is limited.
    resource
        The resource's own policy: of a bucket, topic, queue, function or API; key policy; trust policy of a role.
    endpoint
        Policy of the VPC endpoint that the request passes; None: it passes none, or one that lets everything pass.
    """

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: Policy | None = None
    resource: Policy | None = None
    endpoint: Policy | None = None

    def __iter__(self) -> Iterator[Policy]:
        yield from self.identity
        others = (self.boundary, self.session, self.resource, self.endpoint)
        yield from (policy for policy in others if policy is not None)


class Outcome(Enum):
    """What a decision comes to."""

    ALLOWED = "allowed"
    IMPLICIT_DENY = "no policy allows it"
    EXPLICIT_DENY = "denied"


@dataclass(frozen=True)
class Decision:
    """The outcome, and why.

    Parameters
    ----------
    statement
        The one that denies or, of several, the first that allows. None where none allows, or only some of those that must.
    reason
        One sentence.
    """

    outcome: Outcome
    statement: Statement | None
    reason: str

    @property
    def is_allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED


def decide(request: Request, policies: Policies) -> Decision:
    """Decide on one request. A context key that is not given is absent.

    Raises
    ------
    PolicyError
        If the decision hangs on something that the request leaves open.
    """
    evaluation = _Evaluation(request, policies, is_open=False)
    denied, denying = evaluation.denied
    if denied is Truth.YES:
        return Decision(Outcome.EXPLICIT_DENY, denying, f"{denying} denies it")
    allowed, allowing = evaluation.allowed
    if allowed is Truth.NO:
        return Decision(Outcome.IMPLICIT_DENY, None, evaluation.lacking)
    if denied is Truth.MAYBE or allowed is Truth.MAYBE:
        raise PolicyError(
            f"{request.action} on {request.resource}: AWS does not say, or the request does not, whether "
            f"{denying if denied else allowing} applies. Give the session's name; name account, role and session in a "
            "NotPrincipal; give variables of a NotResource a default"
        )
    return Decision(Outcome.ALLOWED, allowing, f"{allowing} allows it")


def could_allow(request: Request, policies: Policies) -> Statement | None:
    """A statement by which the request might be allowed, or None: it is surely denied.

    Errs on the side of an answer: a context key that is not given may have any value or none, the resource may be a
    pattern, a statement that may match allows, and one that may not match does not deny.
    """
    evaluation = _Evaluation(request, policies, is_open=True)
    allowed, statement = evaluation.allowed
    return None if allowed is Truth.NO or evaluation.denied[0] is Truth.YES else statement


# Of these services, the kind of resource that must itself let the caller in, or the caller's account:
# https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html,
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html
_MUST_ALLOW = {"kms": ":key/", "sts": ":role/"}

_Found = tuple[Truth, Statement | None]
_NOTHING: _Found = (Truth.NO, None)


class _Evaluation:
    def __init__(self, request: Request, policies: Policies, *, is_open: bool) -> None:
        self._request = request
        self._principal = request.principal
        self._action = request.action.lower()
        parts = request.resource.split(":")
        own_account = request.principal.account if isinstance(request.principal, Role | User) else ""
        self._account = request.account or (parts[4] if len(parts) > 4 and parts[4].isdigit() else own_account)
        self._is_open = is_open
        self._is_pattern = is_open and request.resource != NO_RESOURCE
        self._policies = policies
        kind = _MUST_ALLOW.get(self._action.partition(":")[0])
        self._resource_must_allow = kind is not None and kind in request.resource
        if self._resource_must_allow and policies.resource is None:
            raise PolicyError(
                f"{request.action} on {request.resource}: got no policy of the resource; every role has a trust policy, "
                "and every key a key policy. Give it"
            )

    @functools.cached_property
    def _context(self) -> Context:
        given = _derived(self._request, self._account) | dict(self._request.context)
        return Context(given, is_open=self._is_open)

    @functools.cached_property
    def denied(self) -> _Found:
        return _first(
            (all_of((self._matches(statement), self._denies_principal(statement))), statement)
            for policy in self._policies
            for statement in policy.about(self._action)
            if not statement.allows
        )

    @functools.cached_property
    def allowed(self) -> _Found:
        endpoint = self._policies.endpoint
        if endpoint is None or not self._at_its_end[0]:
            return self._at_its_end
        return _both(self._at_its_end, _first(self._letting_in(endpoint, reach) for reach in Reach))

    @functools.cached_property
    def _at_its_end(self) -> _Found:
        """Whether it is allowed where it arrives, whatever it passes on its way."""
        principal = self._principal
        if not isinstance(principal, Role | User):
            return self._by_resource(Reach.DIRECT)
        own = self._limited(self._identity)
        if principal.account != self._account:
            return _both(_first(map(self._by_resource, Reach)), own) if own[0] else _NOTHING
        if self._resource_must_allow:
            own = _both(own, self._by_resource(Reach.ACCOUNT))
        return _first((own, self._limited(self._by_resource(Reach.ROLE)), self._by_resource(Reach.DIRECT)))

    def _limited(self, found: _Found) -> _Found:
        """What boundary and session policy leave of it."""
        return _both(found, *self._limits) if found[0] else found

    @property
    def lacking(self) -> str:
        """Which policy does not allow what must be allowed."""
        policies = self._policies
        for policy, (truth, _) in zip((policies.boundary, policies.session), self._limits, strict=True):
            if policy is not None and truth is Truth.NO:
                return f"{policy.name} does not allow it"
        if policies.endpoint is not None and self._at_its_end[0]:
            return f"{policies.endpoint.name} does not let it pass"
        if self._identity[0] is not Truth.NO:
            return f"no statement of {policies.resource.name if policies.resource else 'the resource'} allows it"
        return "no statement allows it"

    @functools.cached_property
    def _identity(self) -> _Found:
        return _first(self._allowing(policy) for policy in self._policies.identity)

    @functools.cached_property
    def _limits(self) -> tuple[_Found, _Found]:
        boundary, session = (
            (Truth.YES, None) if policy is None else self._allowing(policy)
            for policy in (self._policies.boundary, self._policies.session)
        )
        return boundary, session

    def _allowing(self, policy: Policy) -> _Found:
        return _first(
            (self._matches(statement), statement) for statement in policy.about(self._action) if statement.allows
        )

    def _by_resource(self, reach: Reach) -> _Found:
        policy = self._policies.resource
        return _NOTHING if policy is None else self._letting_in(policy, reach)

    def _letting_in(self, policy: Policy, reach: Reach) -> _Found:
        return _first(
            (all_of((self._lets_in(statement, reach), self._matches(statement))), statement)
            for statement in policy.about(self._action)
            if statement.allows
        )

    def _lets_in(self, statement: Statement, reach: Reach) -> Truth:
        if statement.not_principals is not None:
            named = any_of(self._is_named(one) for one in statement.not_principals)
            return ~named if reach is Reach.DIRECT else Truth.NO
        return any_of(
            truth
            for named in statement.principals or ()
            for found, truth in named.means(self._principal)
            if found is reach
        )

    def _denies_principal(self, statement: Statement) -> Truth:
        """Of a denial: whether it means the principal. Identity policies mean whoever has them.

        NotPrincipal spares only those whose account, role and session are all named, and nobody with a boundary:
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
        """
        if statement.principals is not None:
            return any_of(self._is_named(named) for named in statement.principals)
        if statement.not_principals is None or self._policies.boundary is not None:
            return Truth.YES
        found = {reach for named in statement.not_principals for reach, _ in named.means(self._principal)}
        if not found:
            return Truth.YES
        sure = all(
            truth is Truth.YES for named in statement.not_principals for _, truth in named.means(self._principal)
        )
        needed = {Role: set(Reach), User: {Reach.ACCOUNT, Reach.DIRECT}}.get(type(self._principal), {Reach.DIRECT})
        return Truth.NO if found == needed and sure else Truth.MAYBE

    def _is_named(self, named: Named) -> Truth:
        return any_of(truth for _, truth in named.means(self._principal))

    def _matches(self, statement: Statement) -> Truth:
        return all_of(self._tests(statement))

    def _tests(self, statement: Statement) -> Iterator[Truth]:
        yield self._matches_resource(statement)
        for condition in statement.conditions:
            yield condition.holds(self._context)

    def _matches_resource(self, statement: Statement) -> Truth:
        if statement.resources is not None:
            return any_of(self._is_resource(text, without_value=Truth.NO) for text in statement.resources)
        if statement.not_resources is not None:
            # AWS does not say what becomes of NotResource with a variable that has no value.
            return ~any_of(self._is_resource(text, without_value=Truth.MAYBE) for text in statement.not_resources)
        return Truth.YES

    def _is_resource(self, text: str, *, without_value: Truth) -> Truth:
        if text == "*":
            return Truth.YES
        if "${" not in text:
            return _resource_matches(text, self._request.resource, self._is_pattern)
        pattern = expand(text, self._context, wildcards=True)
        if pattern is None:
            return without_value
        return match(in_resource(pattern), _asked(self._request.resource, self._is_pattern))


@functools.lru_cache(maxsize=200_000)
def _resource_matches(text: str, resource: str, is_pattern: bool) -> Truth:
    return match(in_resource(wildcard(text)), _asked(resource, is_pattern))


@functools.lru_cache(maxsize=10_000)
def _asked(resource: str, is_pattern: bool) -> Pattern:
    return wildcard(resource) if is_pattern else literal(resource)


def _first(found: Iterable[_Found]) -> _Found:
    """The surest, and of these the first."""
    best = _NOTHING
    for one in found:
        if one[0] > best[0]:
            best = one
        if best[0] is Truth.YES:
            break
    return best


def _both(first: _Found, *others: _Found) -> _Found:
    """All of them; told by the statement of the first."""
    truth = all_of(one[0] for one in (first, *others))
    return (truth, first[1]) if truth else _NOTHING


def _derived(request: Request, resource_account: str) -> dict[str, str | Sequence[str] | Anything]:
    """Keys that follow from who asks and for what."""
    principal = request.principal
    known: dict[str, str | Sequence[str] | Anything] = {}
    if resource_account:
        known["aws:ResourceAccount"] = resource_account
    if isinstance(principal, Service):
        return known | {"aws:PrincipalIsAWSService": "true", "aws:PrincipalServiceName": principal.name}
    known["aws:PrincipalIsAWSService"] = "false"
    if isinstance(principal, Role | User):
        known |= {
            "aws:PrincipalArn": principal.arn,
            "aws:PrincipalAccount": principal.account,
            "aws:PrincipalType": "AssumedRole" if isinstance(principal, Role) else "User",
            "kms:CallerAccount": principal.account,
        }
    if isinstance(principal, User):
        known["aws:username"] = principal.arn.rpartition("/")[2]
    return known
