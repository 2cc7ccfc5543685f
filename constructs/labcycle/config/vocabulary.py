"""The kinds of value that team and target files share, each with the words that explain it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from .instance_types import instance_types
from .regions import known_regions


class Settings(BaseModel):
    """Base of all configuration: immutable, no unknown keys, no silent conversion of one type to another."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


@dataclass(frozen=True)
class Allowed:
    """What a value may be, in words, for the messages of errors.

    Parameters
    ----------
    what
        Completes "allowed ...".
    mend
        A sentence that says what to do; empty for one made from the kind of error.
    """

    what: str
    mend: str = ""


_NAME = Allowed("lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen")
Name = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$"), _NAME]
Email = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$", max_length=254),
    Allowed("an e-mail address such as name@example.com"),
]
TagValue = Annotated[
    str,
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.:/=+@-]*$", max_length=255),
    Allowed(
        "letters, digits, spaces and _ . : / = + - @, as in a tag, at most 255"
    ),  # 256, but of ECR CloudFormation takes one less
]
AccountId = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{12}$"),
    Allowed("12 digits in quotes", 'Write the account id with all its zeros, in quotes, as in account: "012345678901"'),
]


def _region(value: str) -> str:
    if value not in known_regions():
        raise PydanticCustomError("unknown_name", "unknown region", {"known": list(known_regions())})
    return value


def _region_schema(schema: dict[str, Any]) -> None:
    schema["enum"] = list(known_regions())


Region = Annotated[
    str,
    AfterValidator(_region),
    Field(json_schema_extra=_region_schema),
    Allowed("an AWS region such as eu-west-1"),
]


def _instance_type(value: str) -> str:
    if value not in instance_types():
        raise PydanticCustomError("unknown_name", "unknown instance type", {"known": list(instance_types())})
    return value


def _instance_type_schema(schema: dict[str, Any]) -> None:
    schema["enum"] = list(instance_types())


InstanceTypeName = Annotated[
    str,
    AfterValidator(_instance_type),
    Field(json_schema_extra=_instance_type_schema),
    Allowed("an instance type of EC2 such as r7i.8xlarge, x86_64 and not of an old family"),
]
