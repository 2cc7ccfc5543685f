"""Strategies for everything that a team file and a target file can say, walked from the models themselves.

Numbers, words of closed sets, lists and nested keys follow from the models. Only text needs more than its pattern, where
a rule or a limit of AWS speaks of it; text without a pattern that is not named here is refused with a `LookupError`. So a
new key is generated, or is told: it cannot be forgotten.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random
from string import ascii_lowercase, digits
from typing import Any, Literal, TypeVar, Union, get_args, get_origin
from zlib import crc32

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from labcycle.config import (
    TIERS,
    ApiDelivery,
    AppDelivery,
    AsynchronousDelivery,
    BatchDelivery,
    Consumer,
    Drift,
    ExternalDelivery,
    FargateDelivery,
    Issuer,
    Member,
    Model,
    Monitor,
    Network,
    NextRuntime,
    OwnTier,
    Principal,
    Promotion,
    RealTimeDelivery,
    ReportDelivery,
    RetentionRule,
    Retrain,
    Runtime,
    ServerlessDelivery,
    SignIn,
    Target,
    Team,
    Token,
    Tracking,
    Workspaces,
    instance_types,
    names,
)
from labcycle.config.derived import BUCKET_LIMIT, ROLE_LIMIT, STACK_LIMIT, TRAINING_JOB_LIMIT
from labcycle.config.endpoints import is_accelerated
from labcycle.config.fargate import CpuUnits, allowed_memory_mb
from labcycle.config.hardware import JOB_FAMILIES
from labcycle.config.instance_types import families_in
from labcycle.config.locks import FLAVOURS
from labcycle.config.regions import has_snap_start, known_regions, regions_with
from labcycle.config.rules import MEMBER_SUFFIXES, PRINCIPAL_KINDS, TEAM_KEY
from tests.generated.watched import watch

Data = dict[str, Any]
Key = tuple[type[BaseModel], str]
_T = TypeVar("_T")

_NEEDS = {
    "identity_center": "identity_center_permission_set",
    "saml_subject": "saml_provider",
    "oidc_subject": "oidc_provider",
}
_DIGEST = 12  # characters that are appended to the names of training jobs
_DOMAIN = f"{'d' * 60}.{'d' * 60}.{'d' * 60}"

EXTREMES: dict[Key, tuple[str, str]] = {
    (Team, "owner"): ("a@b.c", f"{'a' * (254 - len(_DOMAIN) - 1)}@{_DOMAIN}"),
    (Team, "cost_centre"): ("0", "c" * 255),
    (Model, "business_owner"): ("a@b.c", f"{'a' * (254 - len(_DOMAIN) - 1)}@{_DOMAIN}"),
    (Principal, "identity_center"): ("ab", "i" * 64),
    (Principal, "iam_user"): ("+1", "u" * 64),
    (Principal, "saml_subject"): ("!~", "s" * 256),
    (Principal, "oidc_subject"): ("!~", "o" * 256),
    (Consumer, "principal"): ("000000000000", f"arn:aws-us-gov:iam::123456789012:role/{'p/' * 51}{'r' * 50}"),
    (Token, "subject"): ("!~", "o" * 256),
    (Issuer, "url"): ("https://a.b", f"https://{_DOMAIN}/{'t' * (512 - len(_DOMAIN) - 9)}"),
    (Target, "target"): ("t", "t" * 104),
    (Network, "name"): ("n", "n" * 128),
    (SignIn, "identity_center_permission_set"): ("p", "p" * 32),
    (SignIn, "saml_provider"): ("s", "s" * 128),
    (SignIn, "oidc_provider"): ("a.b", f"{_DOMAIN}/{'t' * (255 - len(_DOMAIN) - 1)}"),
}
"""Shortest and longest text of the keys that have a limit of their own."""


@cache
def names_of(longest: int) -> st.SearchStrategy[str]:
    """Names of teams, members, models and the like, often the shortest and the longest."""
    assert longest >= 2, longest
    first, last = st.sampled_from(ascii_lowercase), st.sampled_from(ascii_lowercase + digits)
    inner = ascii_lowercase + digits + "-"

    def between(least: int, most: int) -> st.SearchStrategy[str]:
        return st.builds(lambda *parts: "".join(parts), first, st.text(inner, min_size=least, max_size=most), last)

    return st.one_of(first, between(0, min(longest - 2, 12)), between(longest - 2, longest - 2))


def _cidrs() -> st.SearchStrategy[str]:
    def written(prefix: int, number: int) -> str:
        first = (10 << 24) + ((number << (32 - prefix)) & 0x00FFFFFF)
        return f"{'.'.join(str(first >> shift & 255) for shift in (24, 16, 8, 0))}/{prefix}"

    return st.builds(written, st.sampled_from([16, 24]) | st.integers(16, 24), st.integers(0, 2**16 - 1))


BOUNDED: dict[Key, st.SearchStrategy[Any]] = {
    (Team, "team"): names_of(20),
    (Team, "target"): names_of(104),
    (Member, "name"): names_of(30),
    (Member, "tokens"): st.just([]),  # of the issuers of the team
    (Token, "issuer"): names_of(40),
    (Issuer, "name"): names_of(40),
    (Tracking, "issuers"): st.deferred(lambda: _issuers()),
    (Tracking, "retention"): st.deferred(
        lambda: st.lists(mapping(RetentionRule), max_size=2, unique_by=lambda rule: str(rule["status"]))
    ),
    (Model, "name"): names_of(30),
    (ApiDelivery, "consumers"): st.just([]),  # where the target has a role for logs: `_consumers`
    (Consumer, "name"): names_of(40).filter(lambda name: name != TEAM_KEY),
    (Consumer, "principal"): st.sampled_from(
        ["210987654321", "arn:aws:iam::123456789012:role/shop", "arn:aws-cn:iam::012345678901:role/apps/eu/Shop_1,2@3"]
    ),
    (Consumer, "hard"): st.just(False),  # beside a quota alone: `_consumers`
    (BatchDelivery, "schedule"): st.sampled_from(
        ["rate(1 minute)", "rate(999999 days)", "cron(0 5 * * ? *)", "cron(0/15 8-17 ? * MON-FRI,SUN#1 2026-2199)"]
    ),
    (BatchDelivery, "time_zone"): st.sampled_from(
        ["UTC", "Europe/Berlin", "America/Argentina/ComodRivadavia", "Asia/Tokyo", "Africa/Lagos", "Australia/Perth"]
    ),
    (ReportDelivery, "schedule"): st.sampled_from(
        ["cron(0 7 ? * MON *)", "cron(05 00,6,23 LW JAN-MAR/2 ? 1970-2199)", "cron(59 09 ? 2,DEC SUN#5,3L 2026/1)"]
    ),
    (ReportDelivery, "time_zone"): st.sampled_from(
        ["Etc/UTC", "Europe/Berlin", "Asia/Kolkata", "America/Argentina/Buenos_Aires"]
    ),
    (ReportDelivery, "recipients"): st.deferred(lambda: _recipients()),
    (Model, "runtime"): st.nothing(),  # as the name of the model says: `_runtime`
    (NextRuntime, "requirements"): st.sampled_from([f"requirements/{flavour}.txt" for flavour in FLAVOURS]),
    (ApiDelivery, "concurrency"): st.nothing(),  # in turn: `run_by_turns`
    (ApiDelivery, "start"): st.nothing(),
    (FargateDelivery, "off_hours"): st.nothing(),
    (RealTimeDelivery, "off_hours"): st.nothing(),
    **{(Monitor, key): st.nothing() for key in Monitor.model_fields if key != "drift"},  # in turn: `watch`
    (Drift, "method"): st.nothing(),
    (Drift, "threshold"): st.nothing(),
    (Drift, "window_hours"): st.nothing(),
    (Runtime, "requirements"): st.sampled_from([f"requirements/{flavour}.txt" for flavour in FLAVOURS]),
    (Promotion, "canary_percents"): st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True).map(sorted),
    (Network, "name"): names_of(128),
    (Network, "cidr"): _cidrs(),
    (OwnTier, "name"): names_of(40).filter(lambda name: name not in TIERS),
    (OwnTier, "instance_type"): st.sampled_from(list(instance_types())),
    (Workspaces, "tiers"): st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),  # which in turn: `equip`
    (Workspaces, "own_tiers"): st.nothing(),
    (Target, "instance_types"): st.nothing(),  # in turn: `targets`
    (Target, "target"): names_of(104),
    (Target, "region"): st.sampled_from(known_regions()),
    (Target, "quotas"): st.dictionaries(
        st.from_regex("L-[0-9A-F]{8}", fullmatch=True), st.sampled_from([0, 1, 10**9]), max_size=3
    ),
    (Target, "account"): st.just("123456789012") | st.from_regex("[0-9]{12}", fullmatch=True),
}
"""What has no pattern, or what a limit of AWS or another key bounds further."""


ROTATED = (
    AsynchronousDelivery,
    BatchDelivery,
    FargateDelivery,
    RealTimeDelivery,
    ReportDelivery,
    ServerlessDelivery,
)
"""Few teams have them: what can be counted takes its values in turn, in place of chance."""
_COUNTS = [(1, 1), (2, 50), (50, 50), (1, 7), (None, None)]
_SIZES = [(cpu, allowed_memory_mb(cpu)[-1 if cpu > 1024 else 0]) for cpu in get_args(CpuUnits)]
# Keys that depend on another, and the values that they take together.
_TOGETHER: dict[type[BaseModel], dict[tuple[str, str], list[Any]]] = {
    AsynchronousDelivery: {("minimum_instances", "maximum_instances"): [(0, 1), *_COUNTS[1:]]},
    FargateDelivery: {
        ("minimum_tasks", "maximum_tasks"): _COUNTS,
        ("cpu", "memory_mb"): [*_SIZES, (None, None)],
    },
    RealTimeDelivery: {("minimum_instances", "maximum_instances"): _COUNTS},
}


def rotate(data: Data, model: type[BaseModel], turn: int) -> None:
    """Let each number and word in `data`, of `model` of `ROTATED`, take the value whose turn it is: a limit, between them, absent."""
    taken: dict[str, Any] = {}
    for keys, several in _TOGETHER.get(model, {}).items():
        taken |= dict(zip(keys, several[turn % len(several)], strict=True))
    for key, field in model.model_fields.items():
        kind = plain(field.annotation)
        if key in taken:
            continue
        if get_origin(kind) is Literal:
            turns: list[Any] = list(get_args(kind))
        elif (
            kind in (int, float)
            and (low := bound(field, "ge")) is not None
            and (high := bound(field, "le")) is not None
        ):
            turns = [low, high, low + 1]
        else:
            continue
        if not field.is_required():
            turns.append(None)
        taken[key] = turns[turn % len(turns)]
    for key, value in taken.items():
        if value is None:
            data.pop(key, None)
        else:
            data[key] = value


_OFF_HOURS: tuple[Data, ...] = (
    {"begin": "cron(0 20 ? * MON-FRI *)", "end": "cron(0 7 ? * MON-FRI *)", "time_zone": "Europe/Berlin"},
    {"begin": "cron(30 18 * * ? *)", "end": "cron(15 6 * * ? *)"},
    {"begin": "cron(0 0 1 * ? *)", "end": "cron(0 0 2 * ? *)", "time_zone": "Asia/Tokyo"},
    {"begin": "cron(0 22 ? * 2-6 2026-2199)", "end": "cron(59 23 ? * 2-6 2026-2199)", "time_zone": "Africa/Lagos"},
    {"begin": "cron(5 12 LW * ? *)", "end": "cron(5 13 LW * ? *)", "time_zone": "Etc/UTC"},
)


def run_by_turns(data: Data, model: type[BaseModel], region: str, turn: int) -> None:
    """How many of it run, and when: of `data` of one of the APIs. In turn and afterwards, so that nothing else is drawn anew."""
    meanwhile = _OFF_HOURS[turn % len(_OFF_HOURS)]
    if model is ApiDelivery:
        data |= _starts(meanwhile, region)[turn % 8]
    elif model in (FargateDelivery, RealTimeDelivery) and (place := turn % 4):
        what, least = ("tasks", 0) if model is FargateDelivery else ("instances", 1)
        usual = data.get(f"minimum_{what}", 2)
        data["off_hours"] = {
            **meanwhile,
            what: usual if usual == 50 else min(usual, (least, least + 1, least)[place - 1]),
        }


def without_contradictions(team: Data) -> None:
    """Take away what another key of a model, which was drawn elsewhere, excludes: a snapshot where there is a next runtime."""
    for model in team.get("models") or []:
        for deliver in model["deliver"] if model.get("runtime", {}).get("next") else ():
            if deliver.get("start", {}).get("mode") == "snap_start":
                del deliver["start"]


def _starts(meanwhile: Data, region: str) -> list[Data]:
    snapshot = {"start": {"mode": "snap_start"}} if has_snap_start(region) else {}

    def ahead(concurrency: int, rest: int) -> Data:
        off_hours = {**meanwhile, "concurrency": rest}
        return {"start": {"mode": "provisioned", "concurrency": concurrency, "off_hours": off_hours}}

    return [
        {},
        {"concurrency": 1},
        {"concurrency": 10_000, **snapshot},
        {"start": {"mode": "provisioned", "concurrency": 1}},
        {"concurrency": 10_000, **ahead(1000, 1000)},
        {"concurrency": 7, **ahead(7, 0)},
        ahead(7, 3),
        snapshot,
    ]


@cache
def values(model: type[BaseModel], key: str) -> st.SearchStrategy[Any]:
    """What a key of a model can hold, by itself.

    Raises
    ------
    LookupError
        If it is text of which nothing is known.
    """
    field = model.model_fields[key]
    bounded = BOUNDED.get((model, key))
    found = _of(field.annotation, field, f"{model.__name__}.{key}") if bounded is None else bounded
    return st.sampled_from(EXTREMES[model, key]) | found if (model, key) in EXTREMES else found


def mapping(model: type[BaseModel], **given_values: st.SearchStrategy[Any]) -> st.SearchStrategy[Data]:
    """A mapping with all required keys of a model and any of the others; these values instead of the keys' own."""
    unknown = set(given_values) - set(model.model_fields)
    assert not unknown, f"{model.__name__} has no {unknown}"
    return _filled(
        model,
        tuple(
            (key, value)
            for key in model.model_fields
            if not (value := given_values[key] if key in given_values else values(model, key)).is_empty
        ),
    )


@st.composite
def _filled(draw: st.DrawFn, model: type[BaseModel], keys: tuple[tuple[str, st.SearchStrategy[Any]], ...]) -> Data:
    data = {}
    for key, value in keys:
        field = model.model_fields[key]
        how = "given" if field.is_required() else draw(st.sampled_from(["given", "given", "given", "absent", "empty"]))
        if how == "given":
            data[key] = draw(value)
        elif how == "empty" and field.default is None:  # an empty value is an absent one
            data[key] = None
    return data


def plain(annotation: Any) -> Any:
    """An annotation without its `None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = [one for one in get_args(annotation) if one is not type(None)]
    if hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    return annotation


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value, or the entries of a list, are of; several where a key of theirs says which."""
    kind = plain(annotation)
    kind = plain(get_args(kind)[0]) if get_origin(kind) is tuple else kind
    parts = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if len(parts) > 1:
        return [model for part in parts for model in models_in(part)]
    return [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]


def mappings(data: Data, model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], Data]]:
    """Every mapping in data of a model, with its own model."""
    yield model, data
    for key, value in data.items():
        inner = models_in(model.model_fields[key].annotation)
        for one in value if isinstance(value, list) else [value]:
            if inner and isinstance(one, dict):
                yield from mappings(one, _said_by(one, inner))


def _words_of(model: type[BaseModel], key: str) -> tuple[str, ...]:
    return get_args(model.model_fields[key].annotation) if key in model.model_fields else ()


def _said_by(data: Data, models: list[type[BaseModel]]) -> type[BaseModel]:
    """The one of several models whose `form`, and `runtime` and `mode` where it has them, the data say."""
    for key in ("form", "runtime", "mode"):
        models = [one for one in models if data.get(key) in _words_of(one, key)] or models
    return models[0]


def bound(field: FieldInfo, name: str) -> Any:
    """A limit that a field states: `ge`, `le`, `min_length`, `max_length`."""
    return next((value for one in field.metadata if (value := getattr(one, name, None)) is not None), None)


def _of(annotation: Any, field: FieldInfo, where: str) -> st.SearchStrategy[Any]:
    kind = plain(annotation)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is bool:
        return st.booleans()
    if kind in (int, float):
        low, high = bound(field, "ge"), bound(field, "le")
        edges = [edge for edge in (low, high) if edge is not None]
        between = st.integers(low, high) if kind is int else st.floats(low, high, allow_nan=False, allow_infinity=False)
        return st.one_of(*(st.just(edge) for edge in edges), between)
    if get_origin(kind) is tuple:
        entry = plain(get_args(kind)[0])
        if get_origin(entry) is Literal:
            return st.lists(st.sampled_from(get_args(entry)), min_size=bound(field, "min_length") or 0, unique=True)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        return _whole(kind)
    elif kind is str and (pattern := _pattern(annotation, field)):
        return st.from_regex(pattern.removeprefix("^").removesuffix("$"), fullmatch=True).filter(
            lambda text: len(text) <= (bound(field, "max_length") or 256)
        )
    raise LookupError(f"the strategies do not know what {where} can be")


def _pattern(annotation: Any, field: FieldInfo) -> str | None:
    inner = [one for part in (annotation, *get_args(annotation)) for one in getattr(part, "__metadata__", ())]
    return next((one.pattern for one in (*field.metadata, *inner) if getattr(one, "pattern", None)), None)


@cache
def _whole(model: type[BaseModel]) -> st.SearchStrategy[Data]:
    return mapping(model)


@st.composite
def targets(draw: st.DrawFn) -> Data:
    """Target files."""
    region = draw(values(Target, "region"))
    letters: list[str] = draw(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=6, unique=True))
    network = draw(mapping(Network, vpc_id=st.none(), private_subnet_ids=st.none()))
    if draw(st.sampled_from([False, False, True])):
        network.pop("cidr", None)
        subnet = st.from_regex(r"subnet-([0-9a-f]{8}|[0-9a-f]{17})", fullmatch=True)
        subnets = draw(st.lists(subnet, min_size=len(letters), max_size=len(letters), unique=True))
        network |= {"vpc_id": draw(values(Network, "vpc_id")), "private_subnet_ids": subnets}
    everywhere = st.fixed_dictionaries({key: values(SignIn, key) for key in SignIn.model_fields})
    data: Data = draw(
        mapping(
            Target,
            region=st.just(region),
            zones=st.just([region + letter for letter in letters]),
            network=st.just(network),
            sign_in=st.one_of(everywhere, mapping(SignIn), mapping(SignIn)),  # without any, all members are IAM users
        )
    )
    if number := crc32(str(data["target"]).encode()) % 3:
        data["instance_types"] = ["trn1.2xlarge", "m7i.large"][:number]
    return data


@st.composite
def teams_in(draw: st.DrawFn, target: Data) -> Data:
    """Team files that name this target and can live in it."""
    account, region = target["account"], target["region"]
    room = BUCKET_LIMIT - len(names.bucket("", "artifacts", account, region))
    team = draw(names_of(room).filter(lambda name: name != "target" and not name.startswith("target-")))
    members = draw(members_of(team, target))
    scientists = [member for member in members if "data_scientist" in member["roles"]]
    longest_workspace = max(
        (len(names.workspace_role(team, one["name"])) for one in scientists), default=ROLE_LIMIT + 1
    )
    count = draw(st.sampled_from([0, 0, 1, 1, 1, 2, 3]))  # each costs a stack
    models = draw(models_of(team, target, count))
    if count > 2 or any(len(member["roles"]) > 3 for member in members):  # a role holds few characters of policies
        models = [
            model | {"deliver": [one for one in model["deliver"] if one["form"] in ("api", "app", "external")]}
            for model in models
        ]
    data = draw(
        mapping(
            Team,
            team=st.just(team),
            target=st.just(target["target"]),
            cost_centre=values(Team, "cost_centre").filter(lambda text: not text.lower().startswith("aws:")),
            members=st.just(members),
            models=st.just(models),
            compute=st.nothing(),  # below
        )
    )
    spread(data)
    draw(_tokens(data))
    draw(_consumers(data, target))
    if target["network"]["egress"] == "none" or longest_workspace > ROLE_LIMIT:
        data.pop("workspaces", None)
    elif "workspaces" not in data and draw(st.booleans()):  # few targets and teams can have them
        data["workspaces"] = draw(values(Team, "workspaces"))
    if data.get("workspaces"):
        equip(data["workspaces"], target, team)
    if target["network"]["egress"] != "none" and longest_workspace <= ROLE_LIMIT:
        data |= compute_in(region, crc32(team.encode()))
    return data


def equip(workspaces: Data, target: Data, name: str) -> None:
    """As many tiers as were drawn, of those that the target has, in turn by a name, so that nothing else is drawn anew."""
    number, region = crc32(f"tiers of {name}".encode()), target["region"]
    of_target = target.get("instance_types", ())
    there = [tier for tier, told in TIERS.items() if told.machine.is_in(region) or told.instance_type in of_target]
    count = min(len(workspaces["tiers"]), len(there))
    workspaces["tiers"] = [there[(number + place) % len(there)] for place in range(count)]
    if number // 4 % 2:
        types = [instance for instance, told in instance_types().items() if told.is_in(region)]
        workspaces["own_tiers"] = [
            {
                "name": f"{'own' if number % 3 else 'o' * 39}{place}",
                "instance_type": types[(number // 8 + place) % len(types)],
            }
            for place in range(number // 16 % 4)
        ]


def _recipients() -> st.SearchStrategy[list[str]]:
    return st.lists(values(ReportDelivery, "sender"), min_size=1, max_size=3, unique=True)


def _issuers() -> st.SearchStrategy[list[Data]]:
    """Few, since each is an API."""
    differ = (lambda issuer: names.token_url_output(issuer["name"]), lambda issuer: str(issuer["url"]))
    return st.lists(mapping(Issuer), max_size=2, unique_by=differ)


def spread(team: Data) -> None:
    """In production a service that answers at once has two tasks or instances at least; and a GPU is for models in ONNX."""
    for model in team.get("models") or []:
        for deliver in model["deliver"]:
            if model.get("runtime") and is_accelerated(deliver.get("instance_type", "")):
                deliver["instance_type"] = "ml.m5.large"
    for model in team.get("models") or [] if team["stage"] == "production" else []:
        for deliver in model["deliver"]:
            for what in ("tasks", "instances"):
                if deliver.get(f"minimum_{what}") == 1 and deliver.get("mode") != "asynchronous":
                    deliver[f"minimum_{what}"] = 2
                    deliver[f"maximum_{what}"] = max(2, deliver[f"maximum_{what}"])


@st.composite
def _tokens(draw: st.DrawFn, team: Data) -> None:
    """Some members of a team come with tokens of its issuers, each with another subject."""
    issuers = [issuer["name"] for issuer in (team.get("tracking") or {}).get("issuers") or []]
    if not issuers:
        return
    subject = values(Token, "subject")
    subjects = draw(st.lists(subject, min_size=len(team["members"]), max_size=len(team["members"]), unique=True))
    taken = {value for member in team["members"] for value in member["principal"].values()}
    for member, found in zip(team["members"], subjects, strict=True):
        if found not in taken and draw(st.booleans()):
            named = draw(st.lists(st.sampled_from(issuers), min_size=1, unique=True))
            member["tokens"] = [{"issuer": issuer, "subject": found} for issuer in named]


@st.composite
def _consumers(draw: st.DrawFn, team: Data, target: Data) -> None:
    """Some APIs have consumers, where the target has a role for the logs of REST APIs."""
    if not target.get("api_gateway_logs"):
        return
    apis = [one for model in team.get("models", ()) for one in model["deliver"] if one.get("runtime") == "lambda"]
    for api in apis:
        if draw(st.booleans()):
            api["consumers"] = draw(
                st.lists(mapping(Consumer), max_size=2, unique_by=(lambda one: str(one["name"]), _signer)).filter(
                    lambda found: all(one["principal"] != target["account"] for one in found)
                )
            )
        for one in api.get("consumers") or ():
            if one.get("quota"):
                one["hard"] = draw(st.booleans())


def _signer(consumer: Data) -> tuple[str, str]:
    """Account and role, as the rules tell principals apart."""
    account, _, role = consumer["principal"].partition(":iam::")[2].partition(":")
    return account or consumer["principal"], role.rpartition("/")[2]


def _person(member: Data) -> tuple[str, str]:
    ((kind, value),) = member["principal"].items()
    return kind, value.casefold()


def members_of(team: str, target: Data, least: int = 1) -> st.SearchStrategy[list[Data]]:
    """The members of a team in a target."""
    differ = (lambda member: str(member["name"]), _person)
    return st.lists(_members(team, target), min_size=least, max_size=5, unique_by=differ)


def models_of(team: str, target: Data, count: int, *, whole: bool = False) -> st.SearchStrategy[list[Data]]:
    """So many models of a team in a target; `whole` for such that are watched and retrained by themselves."""
    each = _models(team, target, whole)
    return st.lists(each, min_size=count, max_size=count, unique_by=lambda model: str(model["name"]))


@st.composite
def _members(draw: st.DrawFn, team: str, target: Data) -> Data:
    signs_in = target.get("sign_in", {})
    kinds = [kind for kind in PRINCIPAL_KINDS if kind not in _NEEDS or signs_in.get(_NEEDS[kind])]
    kind = draw(st.sampled_from(kinds))
    role = draw(st.sampled_from([names.member_role, names.workspace_role]))
    allowed = names_of(ROLE_LIMIT - len(role(team, ""))).filter(lambda name: not name.endswith(tuple(MEMBER_SUFFIXES)))
    principal = st.fixed_dictionaries({kind: values(Principal, kind)})
    return draw(mapping(Member, name=allowed, principal=principal))


@st.composite
def _promotions(draw: st.DrawFn) -> Data:
    data: Data = dict(draw(mapping(Promotion)))
    hours = data.get("longest_hours", Promotion.model_fields["longest_hours"].default)
    if data.get("step_minutes", 0) > 60 * hours:
        data["step_minutes"] = 60 * hours
    return data


def _deliveries(target: Data) -> st.SearchStrategy[list[Data]]:
    """An API, and sometimes batches, reports or a page beside it. Containers need CodeBuild, and unless they are serverless a network
    with a way out."""
    api, batch, report, page = (mapping(one) for one in (ApiDelivery, BatchDelivery, ReportDelivery, AppDelivery))
    alone = api  # without a page, which waits for its answer
    if target["region"] in regions_with("codebuild"):
        few, tasks, instances = [api, mapping(ServerlessDelivery)], [], []
        if target["network"]["egress"] != "none":
            tasks, instances = [_fitting(FargateDelivery)] * 6, [_fitting(RealTimeDelivery)] * 3
        later = [_fitting(AsynchronousDelivery)] * 8 if tasks else []
        kinds = [*few, *tasks, *instances]
        api, alone = (st.sampled_from(some).flatmap(lambda kind: kind) for some in ([api, *kinds], kinds + later))
    forms_of = (
        (alone,),
        (report, batch, alone),
        (batch, page, api),
        (report, alone, batch),
        (report, alone),
        (report, batch, page, api),
        (report, batch, alone),
    )
    return st.one_of(*(st.tuples(*forms).map(list) for forms in forms_of))


def _fitting(model: type[BaseModel]) -> st.SearchStrategy[Data]:
    """Without what depends on another key: `rotate` adds it."""
    apart = {key for keys in _TOGETHER[model] for key in keys}
    return mapping(model).map(lambda data: {key: value for key, value in data.items() if key not in apart})


@st.composite
def _models(draw: st.DrawFn, team: str, target: Data, whole: bool) -> Data:
    region = target["region"]
    data = draw(
        mapping(
            Model,
            name=names_of(STACK_LIMIT - len(f"{names.team_stage(team)}-{names.model_stack('')}")),
            deliver=_deliveries(target),
            retrain=mapping(Retrain, image=_images(region)),
            react=st.just([]),
            promotion=_promotions(),
        )
    )
    data |= _runtime(data["name"])
    if crc32(data["name"].encode()) % 17 == 3:  # by its name, so that nothing else is drawn anew
        reports = [one for one in data["deliver"] if one["form"] == "report"]
        data["deliver"] = [draw(mapping(ExternalDelivery)), *reports]
    if "api" not in [one["form"] for one in data["deliver"]]:
        data.pop("promotion", None)  # in which a share of its requests is answered
    if whole:
        data |= {"monitor": {"drift": draw(_whole(Drift))}, "retrain": draw(mapping(Retrain, image=_images(region)))}
    if data.get("retrain"):
        data["name"] = data["name"][: TRAINING_JOB_LIMIT - _DIGEST - len(names.training_job_prefix(team, ""))].rstrip(
            "-"
        )
    watch(data, crc32(data["name"].encode()), whole=whole)
    return data


def _runtime(name: str) -> Data:
    """Of a third of the models; by their names, so that nothing else is drawn anew."""
    number = crc32(name.encode())
    flavour = FLAVOURS[number // 3 % len(FLAVOURS)]
    runtime: Data = {"flavour": flavour, "requirements": f"requirements/{flavour}.txt"}
    if number // 12 % 2:
        other = FLAVOURS[(number // 3 + 1) % len(FLAVOURS)]
        runtime["next"] = {"flavour": other, "requirements": f"requirements/{other}.txt"}
    return {} if number % 3 else {"runtime": runtime}


_COMPUTE: tuple[Data, ...] = (
    {},
    {"max_vcpus": 4, "spot": True, "gpu": None},
    {"max_vcpus": 10_000, "spot": False, "gpu": {"max_vcpus": 8, "spot": False}},
    {"max_vcpus": 100, "gpu": {"max_vcpus": 10_000, "spot": True}},
    {"gpu": {"max_vcpus": 33}},
    {"spot": False, "gpu": {}},
)


def compute_in(region: str, number: int) -> Data:
    """Machines for jobs, by turns, whose image is where they are; of some none, and with GPUs where the region has some."""
    if number % 7 == 0:
        return {"compute": None}
    image = f"{_registry(region)}/{_REPOSITORIES[number % 3]}{_TAGS[number % 5 % 3]}"
    compute = {"image": image, **_COMPUTE[number % 7 - 1]}
    if not families_in(region, JOB_FAMILIES["gpu"]):
        compute.pop("gpu", None)
    return {"compute": compute}


def _registry(region: str) -> str:
    return f"123456789012.dkr.ecr.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


_REPOSITORIES = ("a", "training", "a.b_c-d/e")
_TAGS = (":1", f":_{'t' * 127}", f"@sha256:{'0a' * 32}")


@cache
def _images(region: str) -> st.SearchStrategy[str]:
    registry = _registry(region)
    repository = st.sampled_from(_REPOSITORIES)
    tag = st.sampled_from(_TAGS)
    return st.builds(lambda *parts: f"{registry}/{''.join(parts)}", repository, tag)


STYLES = ("block", "flow", "json")


class _Dumper(yaml.SafeDumper):
    """Quotes text that a reader could take for something else."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def text(self, text: str) -> yaml.ScalarNode:
        ambiguous = re.fullmatch(r"[-+.~]?[0-9._eExobXOB:+-]*|null|true|false", text, re.IGNORECASE)
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if ambiguous else None)


_Dumper.add_representer(str, _Dumper.text)


def written(data: Data, style: str) -> str:
    """The text of a file with this content, as people, programs and editors write it."""
    if style == "json":
        return json.dumps(data, indent=1)
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=style == "flow", width=100))


def shuffled(data: Any, random: Random) -> Any:
    """The same with the keys of all mappings in another order; lists keep theirs."""
    if isinstance(data, list):
        return [shuffled(one, random) for one in data]
    if isinstance(data, dict):
        keys = list(data)
        random.shuffle(keys)
        return {key: shuffled(data[key], random) for key in keys}
    return data


def sample(strategy: st.SearchStrategy[_T], count: int, number: int) -> list[_T]:
    """So many examples of a strategy, the same for the same number. The simplest, with which all samples begin, is left out."""
    found: list[_T] = []

    @seed(number)
    @settings(
        max_examples=count + 1,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(one: _T) -> None:
        found.append(one)

    collect()
    return found[1 : count + 1]


def fit_together(team: Data, account: str, others: Sequence[tuple[Data, str]]) -> bool:
    """Whether a team of an account can be in one app with the others: no name twice, none that begins another's there."""
    name = team["team"]
    for other, others_account in others:
        first, second = sorted((name, other["team"]), key=len)
        if name == other["team"] or (account == others_account and second.startswith(f"{first}-")):
            return False
    return True
