"""The element `Condition`: all of its tests must hold.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html, and for keys of
several values
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import keys
from .errors import PolicyError
from .patterns import in_condition, literal, match
from .truth import Truth, all_of, any_of
from .variables import ANY, Context, Variable, expand, parts

# Whether a value of the policy and a value of the request agree.
Comparison = Callable[[str, str, Context], Truth]


@dataclass(frozen=True)
class Operator:
    """An operator without its prefix and suffix.

    Parameters
    ----------
    parse
        Reads a value that may not hold variables; raises ValueError where it is none. None: values are texts with variables.
    is_negated
        Holds where no value of the policy agrees, and where the key is absent.
    """

    comparison: Comparison
    parse: Callable[[str], object] | None = None
    is_negated: bool = False


@dataclass(frozen=True)
class Condition:
    """One operator on one key, for instance `ForAnyValue:StringLikeIfExists` on `aws:TagKeys`."""

    name: str
    quantifier: str
    operator: Operator | None
    if_exists: bool
    key: str
    values: tuple[str, ...]

    def holds(self, context: Context) -> Truth:
        """Whether it holds for a request.

        Raises
        ------
        PolicyError
            If the key has several values and the operator says neither ForAllValues nor ForAnyValue.
        """
        asked = context[self.key]
        if asked is ANY:
            return Truth.MAYBE
        if self.operator is None:
            return any_of(Truth.YES if _truth_value(value) != bool(asked) else Truth.NO for value in self.values)
        if not asked:
            if self.quantifier == "ForAnyValue":  # AWS does not say which of the two says what an absent key means
                return Truth.MAYBE if self.if_exists else Truth.NO
            absent_holds = self.if_exists or self.quantifier == "ForAllValues" or self.operator.is_negated
            return Truth.YES if absent_holds else Truth.NO
        if not self.quantifier and len(asked) > 1:
            raise PolicyError(
                f"{self.name} on {self.key}: got {len(asked)} values in the request; allowed one. "
                f"Write ForAnyValue:{self.name} or ForAllValues:{self.name}"
            )
        each = (self._agrees(self.operator, value, context) for value in asked)
        return any_of(each) if self.quantifier == "ForAnyValue" else all_of(each)

    def _agrees(self, test: Operator, asked: str, context: Context) -> Truth:
        try:
            agrees = any_of(test.comparison(value, asked, context) for value in self.values)
        except ValueError as error:
            raise PolicyError(f"{self.name} on {self.key}: the request's {error}") from None
        return ~agrees if test.is_negated else agrees


def parse_conditions(element: object, *, has_variables: bool, provider: str = "") -> tuple[Condition, ...]:
    """Read the element.

    Parameters
    ----------
    has_variables
        Whether `${...}` is a variable, as it is since the policy language's version of 2012.
    provider
        The OpenID Connect provider that the statement trusts.

    Raises
    ------
    PolicyError
        If an operator, a key or a value is unknown.
    """
    return tuple(_parsed(element, has_variables, provider))


def _parsed(element: object, has_variables: bool, provider: str) -> Iterator[Condition]:
    if not isinstance(element, Mapping):
        raise PolicyError(f"got the Condition {element!r}; allowed operators with keys and values")
    for name, tests in element.items():
        if not isinstance(tests, Mapping):
            raise PolicyError(f"{name}: got {tests!r}; allowed keys with values")
        quantifier, known, if_exists = _operator(name)
        for key, listed in tests.items():
            if not keys.is_known(key, provider):
                raise PolicyError(
                    f"{name}: got the key {key}; there is none of that name. See the service's list of keys"
                )
            values = tuple(_text(value) for value in (listed if isinstance(listed, list) else [listed]))
            if not has_variables and known is not None and known.parse is None:
                values = tuple(without_variables(value) for value in values)
            for value in values:
                _check(name, key, value, known, provider)
            yield Condition(name, quantifier, known, if_exists, key, values)


def _operator(name: str) -> tuple[str, Operator | None, bool]:
    quantifier, _, plain = name.rpartition(":")
    if quantifier not in ("", "ForAnyValue", "ForAllValues"):
        raise PolicyError(f"got the operator {name}; allowed before the colon: ForAnyValue, ForAllValues")
    if plain == "Null" and not quantifier:
        return "", None, False
    known = OPERATORS.get(plain.removesuffix("IfExists"))
    if known is None:
        raise PolicyError(f"got the operator {name}; allowed: Null, {', '.join(OPERATORS)}")
    return quantifier, known, plain.endswith("IfExists")


def _check(name: str, key: str, value: str, known: Operator | None, provider: str) -> None:
    try:
        if known is None:
            _truth_value(value)
        elif known.parse is not None:
            known.parse(value)
        else:
            check_variables(value, provider)
    except ValueError as error:
        raise PolicyError(f"{name} on {key}: {error}") from None


def check_variables(text: str, provider: str = "") -> None:
    """Raise PolicyError where a variable of the text is no condition key, ValueError where it is malformed."""
    for part in parts(text):
        if isinstance(part, Variable) and part.key and not keys.is_known(part.key, provider):
            raise PolicyError(f"got the variable ${{{part.key}}}; there is no condition key of that name")


def without_variables(text: str) -> str:
    """The text so that nothing in it is a variable, for policies of a version that has none."""
    return text.replace("${", "${$}{")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise PolicyError(f"got {value!r} in a condition; allowed texts, numbers and truth values")


def _same_text(value: str, asked: str, context: Context) -> Truth:
    pattern = expand(value, context, wildcards=False)
    return Truth.NO if pattern is None else match(pattern, literal(asked))


def _same_but_case(value: str, asked: str, context: Context) -> Truth:
    pattern = expand(value, context, wildcards=False)
    if pattern is None:
        return Truth.NO
    lower = tuple(token.lower() if isinstance(token, str) else token for token in pattern.tokens)
    return match(type(pattern)(lower, pattern.is_known), literal(asked.lower()))


def _like(value: str, asked: str, context: Context) -> Truth:
    pattern = expand(value, context, wildcards=True)
    return Truth.NO if pattern is None else match(pattern, literal(asked))


def _like_arn(value: str, asked: str, context: Context) -> Truth:
    pattern = expand(value, context, wildcards=True)
    return Truth.NO if pattern is None else match(in_condition(pattern), literal(asked))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"value is {text!r}; allowed a number") from None


def _moment(text: str) -> datetime:
    """A date of ISO 8601, or seconds since 1970."""
    try:
        if text.lstrip("-").isdigit() and len(text) != 4:
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text.upper())
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"value is {text!r}; allowed a date like 2026-01-31T12:00:00Z, or seconds since 1970"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _truth_value(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"value is {text!r}; allowed true, false")
    return text.lower() == "true"


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(f"value is {text!r}; allowed base64") from None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"value is {text!r}; allowed an address, or a range like 10.0.0.0/8") from None


def _compared(parse: Callable[[str], Any], agree: Callable[[Any, Any], bool]) -> Comparison:
    def comparison(value: str, asked: str, context: Context) -> Truth:
        return Truth.YES if agree(parse(asked), parse(value)) else Truth.NO

    return comparison


def _inside(asked: Any, network: Any) -> bool:
    return asked.version == network.version and bool(asked.subnet_of(network))


def _ordered(family: str, parse: Callable[[str], Any]) -> dict[str, Operator]:
    return {
        f"{family}Equals": Operator(_compared(parse, operator.eq), parse),
        f"{family}NotEquals": Operator(_compared(parse, operator.eq), parse, is_negated=True),
        f"{family}LessThan": Operator(_compared(parse, operator.lt), parse),
        f"{family}LessThanEquals": Operator(_compared(parse, operator.le), parse),
        f"{family}GreaterThan": Operator(_compared(parse, operator.gt), parse),
        f"{family}GreaterThanEquals": Operator(_compared(parse, operator.ge), parse),
    }


OPERATORS: Mapping[str, Operator] = {
    "StringEquals": Operator(_same_text),
    "StringNotEquals": Operator(_same_text, is_negated=True),
    "StringEqualsIgnoreCase": Operator(_same_but_case),
    "StringNotEqualsIgnoreCase": Operator(_same_but_case, is_negated=True),
    "StringLike": Operator(_like),
    "StringNotLike": Operator(_like, is_negated=True),
    "ArnEquals": Operator(_like_arn),
    "ArnLike": Operator(_like_arn),
    "ArnNotEquals": Operator(_like_arn, is_negated=True),
    "ArnNotLike": Operator(_like_arn, is_negated=True),
    **_ordered("Numeric", _number),
    **_ordered("Date", _moment),
    "Bool": Operator(_compared(_truth_value, operator.eq), _truth_value),
    "BinaryEquals": Operator(_compared(_bytes, operator.eq), _bytes),
    "IpAddress": Operator(_compared(_network, _inside), _network),
    "NotIpAddress": Operator(_compared(_network, _inside), _network, is_negated=True),
}
"""Every operator but `Null`, by its name without `ForAnyValue:`, `ForAllValues:` and `IfExists`."""
