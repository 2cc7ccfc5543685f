"""What names and values may be: the rules and texts of mlflow/utils/validation.py (3.17)."""

from __future__ import annotations

import posixpath
import re

from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.mlflow_error import MlflowError, invalid
from labcycle_lambdas.tracking.arguments import Arguments

KEY_CHARACTERS = 250
PARAM_CHARACTERS = 6_000
TAG_CHARACTERS = 8_000
EXPERIMENT_NAME_CHARACTERS = 500
EXPERIMENT_TAG_CHARACTERS = 20_000
REGISTRY_TAG_CHARACTERS = 100_000
REGISTRY_NAME_CHARACTERS = 256
DESCRIPTION_CHARACTERS = 5_000
BATCH = {"metrics": 1000, "params": 100, "tags": 100}
RESERVED_TAGS = "labcycle."
_KEY = re.compile(r"[/\w.\- :]*")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")
_ALIAS = re.compile(r"[\w\-]+")


def check_key(key: str, path: str, what: str) -> str:
    """The name of a metric, a parameter or a tag. Raises `MlflowError` (400)."""
    if not _KEY.fullmatch(key):
        raise invalid(
            f"Invalid value '{key[:100]}' for parameter '{path}' supplied: Names may only contain alphanumerics, underscores "
            f"(_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
        )
    plain = posixpath.normpath(key)
    if plain != key or plain == "." or plain.startswith(("..", "/")):
        raise invalid(
            f"Invalid value '{key[:100]}' for parameter '{path}' supplied: Names may be treated as files in certain cases, and "
            f"must not resolve to other names when treated as such. This name would resolve to {plain[:100]!r}"
        )
    if len(key) > KEY_CHARACTERS:
        raise invalid(f"'{what}' exceeds the maximum length of {KEY_CHARACTERS} characters")
    return key


def check_tag_key(key: str, path: str = "key") -> str:
    """A tag that a caller may set."""
    if key.startswith(RESERVED_TAGS):
        raise invalid(
            f"Invalid value '{key[:100]}' for parameter '{path}' supplied: tags that begin with '{RESERVED_TAGS}' are written by the platform."
        )
    return check_key(key, path, path)


def tags(arguments: Arguments, name: str = "tags", *, longest: int, cut: bool = False) -> dict[str, str]:
    """A list of {key, value}; the last of two equal keys wins. Values longer than `longest` are cut, or refused."""
    found = {}
    for index, tag in enumerate(arguments.objects(name)):
        key = check_tag_key(tag.required_text("key"), f"{name}[{index}].key")
        found[key] = tag.text("value")[:longest] if cut else tag.text("value", longest=longest)
    return found


def check_model_name(arguments: Arguments, name: str = "name") -> str:
    """The name of a new registered model."""
    value = arguments.required_text(name, longest=REGISTRY_NAME_CHARACTERS)
    if not value.strip():
        raise invalid(f"Missing value for required parameter '{name}'.")
    if "/" in value or ":" in value:
        raise invalid(f"Invalid model name '{value}'. Names cannot contain '/' or ':'.")
    if value in (".", ".."):
        raise invalid(f"Invalid value '{value}' for parameter 'name' supplied: it must not be a relative path.")
    return value


def check_new_alias(arguments: Arguments) -> str:
    """An alias that may be set."""
    alias = check_alias(arguments)
    if alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if re.fullmatch(r"v\d+", alias, re.IGNORECASE):
        raise invalid(f"Version alias name '{alias}' is reserved.")
    return alias


def check_alias(arguments: Arguments) -> str:
    """An alias that may be asked for."""
    alias = arguments.required_text("alias")
    if not _ALIAS.fullmatch(alias):
        raise invalid(
            f"Invalid alias name: '{alias[:100]}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    if len(alias) > 255 or len(alias.encode()) > 900:
        raise invalid("'Registered model alias name' exceeds the maximum length of 255 characters")
    return alias


def check_batch(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise invalid(
            f"A batch logging request can contain at most {limit} {what}. Got {count} {what}. Please split up {what} across "
            f"multiple requests and try again."
        )


def check_experiment_id(value: str) -> str:
    """An experiment id, without blanks and leading zeros: a string that parses as an integer."""
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,30}\s*", value):
        raise invalid(f"Invalid experiment ID '{value[:100]}'. Experiment ID must be a valid integer.")
    return str(int(value))


def check_run_id(arguments: Arguments) -> str:
    return check_run_ids([arguments.required_text("run_id")], "run_id")[0]


def run_id_of(arguments: Arguments) -> str:
    """The run that a request is about. Raises `NotFound` where it can be no run's id."""
    run_id = arguments.required_text("run_id")
    if not _RUN_ID.fullmatch(run_id):
        raise NotFound(f"Run with id={run_id[:300]} not found")
    return run_id


def check_run_ids(run_ids: list[str], name: str) -> list[str]:
    """Ids of runs that a parameter gives, whether there are such runs or not."""
    for run_id in run_ids:
        if not _RUN_ID.fullmatch(run_id):
            raise invalid(f"Invalid value '{run_id[:300]}' for parameter '{name}' supplied.")
    return run_ids


def check_version(arguments: Arguments, *, is_required: bool = True) -> int:
    """A version number: it comes as a string."""
    raw = arguments.required_text("version") if is_required else arguments.text("version")
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,100}\s*", raw):
        raise invalid(f"Parameter 'version' must be an integer, got '{raw[:100]}'.")
    return int(raw)


def refused_location(location: str, root: str) -> MlflowError:
    return invalid(
        f"Invalid artifact location '{location[:200]}': artifacts of this team lie below {root}/. Leave artifact_location out."
    )
