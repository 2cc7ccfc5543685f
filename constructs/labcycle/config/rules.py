"""What must hold between the values of one file.

The rules read plain data, as a YAML reader gives it, and pass over what has the wrong shape (the models say that
already). So they find their problems also in a file that has others, and the models themselves use the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Network
from itertools import chain, pairwise
from typing import Any

from .endpoints import is_accelerated
from .fargate import allowed_memory_mb
from .hardware import TIERS
from .names import token_url_output
from .problem import Path
from .regions import is_zone_of, known_regions
from .training_prices import USD_HOUR

PRINCIPAL_KINDS = ("identity_center", "iam_user", "saml_subject", "oidc_subject")
MOST_TIERS = 10
MODEL_KEYS = ("name", "business_owner", "deliver", "runtime", "promotion", "monitor", "retrain", "react")
NETWORK_KEYS = ("name", "cidr", "vpc_id", "private_subnet_ids", "egress")
# As in https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ServiceQuota.html
QUOTA_CODE = re.compile(r"^L-[0-9A-F]{8}$")
# Of names.workspace_role and names.job_role, and whose those roles are.
MEMBER_SUFFIXES = {"-workspace": "workspaces", "-job": "jobs"}
# A function's environment holds 4 KB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
RECIPIENTS_CHARACTERS = 3_000
# Names and principals of a model's consumers, and 40 for what is written around each. They stand in a parameter of 4 KB, and
# those with a hard quota in the function's environment of 4 KB.
CONSUMERS_CHARACTERS = 2_500
REDACTED_CHARACTERS = 1_000
CAPTURE_DAYS, WINDOW_DAYS = 30, 7  # where nothing is said
_AROUND_A_CONSUMER = 40
TEAM_KEY = "team"  # the consumer's name that the team's own key has
_TASK = {"cpu": 1024, "memory_mb": 2048}  # of team.FargateDelivery, where it says nothing else


@dataclass(frozen=True)
class Broken:
    """A rule that does not hold; `on_key` when the key, not the value, is the place to look at."""

    path: Path
    message: str
    on_key: bool = False


Rule = Callable[[Any], Iterator[Broken]]


def team_rules(team: Any) -> Iterator[Broken]:
    """All rules of a team file, those of its parts included."""
    yield from team_as_a_whole(team)
    for i, member in _items(team, "members"):
        yield from _below(("members", i), member_rules(member))
        yield from _below(("members", i, "principal"), principal_rules(_get(member, "principal")))
    for i, model in _items(team, "models"):
        yield from _below(("models", i), model_rules(model))
        yield from _below(("models", i, "monitor"), _whole_monitor(_get(model, "monitor")))
        for j, reaction in _items(model, "react"):
            yield from _below(("models", i, "react", j), reaction_rules(reaction))
        for j, deliver in _items(model, "deliver"):
            yield from _below(
                ("models", i, "deliver", j), chain(api_rules(deliver), fargate_rules(deliver), endpoint_rules(deliver))
            )
            start = _get(deliver, "start")
            yield from _below(("models", i, "deliver", j, "start"), provisioned_rules(start))
            for path, holder in (((), deliver), (("start",), start)):
                place = ("models", i, "deliver", j, *path, "off_hours")
                yield from _below(place, off_hours_rules(_get(holder, "off_hours")))
    yield from _below(("tracking",), tracking_rules(_get(team, "tracking")))
    yield from _below(("workspaces",), workspaces_rules(_get(team, "workspaces")))


def target_rules(target: Any) -> Iterator[Broken]:
    """All rules of a target file, those of its parts included."""
    yield from target_as_a_whole(target)
    yield from _below(("network",), network_rules(_get(target, "network")))


def team_as_a_whole(team: Any) -> Iterator[Broken]:
    name = _get(team, "team")
    if isinstance(name, str) and (name == "target" or name.startswith("target-")):
        yield Broken(
            ("team",),
            f"got {name}; allowed names other than target and target-...: those stages belong to targets. Choose another name",
        )
    cost_centre = _get(team, "cost_centre")
    if isinstance(cost_centre, str) and cost_centre.lower().startswith("aws:"):
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
        yield Broken(
            ("cost_centre",),
            f"got {cost_centre}; allowed values that do not begin with aws:, since such tags belong to AWS. Choose another value",
        )
    yield from _scientists_for(team, "workspaces", "each workspace")
    yield from _scientists_for(team, "compute", "each job")
    yield from _no_repeats(team, "compliance")
    yield from _unique(team, "members", "name", "member")
    yield from _unique(team, "models", "name", "model")
    yield from _tokens(team)
    yield from _enough_of_them(team)
    seen: dict[tuple[str, str], int] = {}
    for i, member in _items(team, "members"):
        for kind, value in _principals(_get(member, "principal")):
            first = seen.setdefault((kind, value.casefold()), i)
            if first != i:
                yield Broken(
                    ("members", i, "principal", kind),
                    f"got {value}, which is members[{first}] already; allowed one member a person, since author and reviewer are "
                    f"compared as members. Give members[{first}] the roles of both",
                )


def _tokens(team: Any) -> Iterator[Broken]:
    known = [_get(issuer, "name") for _, issuer in _items(_get(team, "tracking"), "issuers")]
    seen: dict[tuple[str, str], int] = {}
    for i, member in _items(team, "members"):
        for j, token in _items(member, "tokens"):
            issuer, subject = _get(token, "issuer"), _get(token, "subject")
            if isinstance(issuer, str) and issuer not in known:
                yield Broken(
                    ("members", i, "tokens", j, "issuer"),
                    f"got {issuer}; allowed the name of an issuer in tracking.issuers. "
                    + (f"Name one of {', '.join(map(str, known))}" if known else "Add it there"),
                )
            elif isinstance(issuer, str) and isinstance(subject, str) and seen.setdefault((issuer, subject), i) != i:
                yield Broken(
                    ("members", i, "tokens", j, "subject"),
                    f"got {subject}, which is members[{seen[issuer, subject]}] at {issuer} already; allowed one member a person. "
                    "Name the member's own subject, or remove one",
                )


def tracking_rules(tracking: Any) -> Iterator[Broken]:
    yield from _unique(tracking, "issuers", "name", "issuer")
    ruled: dict[str, int] = {}
    for i, rule in _items(tracking, "retention"):
        status = _get(rule, "status")
        if isinstance(status, str) and ruled.setdefault(status, i) != i:
            yield Broken(
                ("retention", i, "status"),
                f"got {status}, for which retention[{ruled[status]}] is the rule already; allowed one rule for each status. "
                "Remove one of them",
            )
    first: dict[str, int] = {}
    outputs: dict[str, tuple[int, str]] = {}
    for i, issuer in _items(tracking, "issuers"):
        name = _get(issuer, "name")
        if isinstance(name, str):
            j, other = outputs.setdefault(output := token_url_output(name), (i, name))
            if name != other:
                yield Broken(
                    ("issuers", i, "name"),
                    f"got {name}, whose output {output} is that of issuers[{j}] already; allowed names that differ in more "
                    "than hyphens. Choose another name",
                )
        url = _get(issuer, "url")
        if isinstance(url, str) and first.setdefault(url, i) != i:
            yield Broken(
                ("issuers", i, "url"),
                f"got {url}, which is issuers[{first[url]}] already; allowed each issuer once. Remove one of them",
            )


def _scientists_for(team: Any, key: str, what: str) -> Iterator[Broken]:
    held = [[str(role) for _, role in _items(member, "roles")] for _, member in _items(team, "members")]
    if _get(team, key) is None or not held or not all(held):
        return
    if not get_close_matches("data_scientist", chain.from_iterable(held), n=1):
        yield Broken(
            (key,),
            f"got {key}, and no member with the role data_scientist; allowed where a member has it, since {what} "
            f"belongs to one. Give a member the role data_scientist, or remove {key}",
            on_key=True,
        )


def member_rules(member: Any) -> Iterator[Broken]:
    name = _get(member, "name")
    for suffix, whose in MEMBER_SUFFIXES.items():
        if isinstance(name, str) and name.endswith(suffix):
            yield Broken(
                ("name",),
                f"got {name}; allowed names that do not end with {suffix}: those roles belong to {whose}. "
                f"Choose another name, for example {name.removesuffix(suffix) or 'scientist-1'}",
            )
    yield from _no_repeats(member, "roles")


def principal_rules(principal: Any) -> Iterator[Broken]:
    if not isinstance(principal, Mapping):
        return
    given = [kind for kind in PRINCIPAL_KINDS if principal.get(kind) is not None]
    if len(given) == 1 or (not given and any(kind not in PRINCIPAL_KINDS for kind in principal)):
        return  # a misspelt kind is reported as such
    got, mend = (" and ".join(given), "Keep") if given else ("none", "Add")
    yield Broken(
        (),
        f"got {got}; allowed exactly one of {', '.join(PRINCIPAL_KINDS)}. {mend} the one by which this member signs in",
    )


def workspaces_rules(workspaces: Any) -> Iterator[Broken]:
    yield from _no_repeats(workspaces, "tiers")
    yield from _unique(workspaces, "own_tiers", "name", "tier")
    count = len(list(_items(workspaces, "tiers"))) + len(list(_items(workspaces, "own_tiers")))
    if count > MOST_TIERS and len(list(_items(workspaces, "own_tiers"))) > 0:
        yield Broken(
            ("own_tiers",),
            f"got {count} tiers with those of the catalogue; allowed {MOST_TIERS} together, since each is named in the roles of members, which "
            "hold few characters. Remove some",
            on_key=True,
        )
    for i, tier in _items(workspaces, "own_tiers"):
        if isinstance(name := _get(tier, "name"), str) and name in TIERS:
            yield Broken(
                ("own_tiers", i, "name"),
                f"got {name}, which is a tier of the catalogue; allowed another name. Choose one, or add {name} to tiers",
            )


def model_rules(model: Any) -> Iterator[Broken]:
    forms = [(i, form) for i, deliver in _items(model, "deliver") if isinstance(form := _get(deliver, "form"), str)]
    for place, (i, form) in enumerate(forms):
        if form in [earlier for _, earlier in forms[:place]]:
            yield Broken(
                ("deliver", i, "form"), f"got {form} again; allowed each form once a model. Remove one of them"
            )
    if _get(model, "promotion") is not None and forms and "api" not in [form for _, form in forms]:
        yield Broken(
            ("promotion",),
            "got a promotion in a model without an api; allowed where deliver has the form api, since a version is tried on its "
            "requests. Add {form: api, runtime: lambda} to deliver, or remove promotion",
            on_key=True,
        )
    yield from _below(("promotion",), _promotion_rules(_get(model, "promotion")))
    if forms and {form for _, form in forms} == {"report"}:
        yield Broken(
            ("deliver", forms[0][0], "form"),
            "got report alone; allowed beside another form, since a model that answers nobody has nothing to report. "
            "Add form: api",
        )
    here = sorted({form for _, form in forms} & {"api", "batch", "app"})
    for i, form in forms:
        if form == "external" and here:
            yield Broken(
                ("deliver", i, "form"),
                f"got external beside {' and '.join(here)}; allowed alone or beside report, since the records of both could not be told "
                "apart. Remove one of them, or register what is served elsewhere under a name of its own",
            )
    for i, form in forms:
        if form == "app" and "api" not in [other for _, other in forms]:
            yield Broken(
                ("deliver", i, "form"),
                "got app in a model without an api; allowed beside the form api, which answers what the page asks. "
                "Add {form: api, runtime: lambda} to deliver, or remove app",
            )
    if any(_get(deliver, "mode") == "asynchronous" for _, deliver in _items(model, "deliver")):
        for i, form in forms:
            if form == "app":
                yield Broken(
                    ("deliver", i, "form"),
                    "got app beside an api with mode: asynchronous; allowed beside one that answers at once, since the page waits for "
                    "its answer. Remove app, or write mode: real_time or mode: serverless",
                )
    for i, deliver in _items(model, "deliver"):
        kind = _get(deliver, "instance_type")
        if _get(model, "runtime") is not None and isinstance(kind, str) and is_accelerated(kind):
            yield Broken(
                ("deliver", i, "instance_type"),
                f"got {kind}, which has a GPU, in a model with a runtime; allowed for models in ONNX, since the others compute on "
                "processors. Choose a type without one, such as ml.m5.xlarge, or remove runtime and log the model as ONNX",
            )
    for i, deliver in _items(model, "deliver"):
        yield from _below(("deliver", i), _recipients(deliver))
        if _get(_get(deliver, "start"), "mode") == "snap_start" and _get(_get(model, "runtime"), "next") is not None:
            yield Broken(
                ("deliver", i, "start", "mode"),
                "got snap_start in a model with a next runtime, whose packages take more disk than a function with a snapshot may have. "
                "Write mode: provisioned with a concurrency, or remove start until next has moved up",
            )
    yield from _reactions(model)


_WATCHED = {"performance": "performance", "business": "outcome"}  # what finds a cause, below monitor


def _reactions(model: Any) -> Iterator[Broken]:
    """Each has what it needs, and each cause is answered once."""
    answered: set[str] = set()
    for i, reaction in _items(model, "react"):
        causes = [cause for _, cause in _items(reaction, "on") if isinstance(cause, str)]
        needed = {"monitor"} if set(causes) & {"drift", *_WATCHED} else set()
        needed |= {"retrain"} if _get(reaction, "do") == "retrain" else set()
        for name in sorted(needed):
            if _get(model, name) is None and not _misspelt(model, name, MODEL_KEYS):
                yield Broken(
                    ("react", i),
                    f"got a reaction in a model without {name}, which it needs. Add {name}: to the model, or remove the reaction",
                    on_key=True,
                )
        for at, cause in enumerate(causes):
            watched = _WATCHED.get(cause)
            if watched and _get(model, "monitor") is not None and _get(_get(model, "monitor"), watched) is None:
                yield Broken(
                    ("react", i, "on", at),
                    f"got {cause} in a model whose monitor has no {watched}, which finds it. Add {watched}: to monitor, or remove {cause}",
                )
            if cause in answered:
                yield Broken(
                    ("react", i, "on", at),
                    f"got {cause} in a second reaction; allowed in one, since both would start at once. Remove one of them",
                )
        yield from _priced(model, i, reaction)
        answered |= set(causes)
        yield from _below(("react", i), _no_repeats(reaction, "on"))


def _priced(model: Any, i: int, reaction: Any) -> Iterator[Broken]:
    """A budget is held against the price of the instance."""
    instance = _get(_get(model, "retrain"), "instance_type") if _get(model, "retrain") is not None else None
    budgeted = _get(reaction, "do") == "retrain" and _get(reaction, "monthly_budget_usd") is not None
    if budgeted and isinstance(instance, str) and instance not in USD_HOUR:
        yield Broken(
            ("react", i, "monthly_budget_usd"),
            f"got a budget for trainings on {instance}, whose price is not known; known are {', '.join(USD_HOUR)}. Use one of them, "
            f"or remove monthly_budget_usd",
        )


def reaction_rules(reaction: Any) -> Iterator[Broken]:
    by_time = "schedule" in [cause for _, cause in _items(reaction, "on")]
    if by_time and _get(reaction, "schedule") is None:
        yield Broken(("on",), "got schedule without a time. Add schedule: to the reaction, such as rate(7 days)")
    if not by_time and _get(reaction, "schedule") is not None:
        yield Broken(
            ("schedule",),
            "got a time in a reaction that does not start by it; allowed with on: [schedule]. Add schedule to on, or remove it",
            on_key=True,
        )


def _whole_monitor(monitor: Any) -> Iterator[Broken]:
    yield from monitor_rules(monitor)
    yield from _below(("capture",), capture_rules(_get(monitor, "capture")))
    if (freshness := _get(monitor, "freshness")) is not None:
        yield from _below(("freshness",), freshness_rules(freshness))


def monitor_rules(monitor: Any) -> Iterator[Broken]:
    yield from _no_repeats(monitor, "cohorts")
    capture = _get(monitor, "capture")
    redacted = [name for _, name in _items(capture, "redact")]
    for i, name in _items(monitor, "cohorts"):
        if name in redacted:
            yield Broken(
                ("cohorts", i),
                f"got {name}, which capture never keeps; allowed other features, since a cohort is named by its values. Remove it here, "
                "or from redact",
            )
    characters = sum(len(name) for _, name in _items(capture, "redact") if isinstance(name, str))
    if characters > REDACTED_CHARACTERS:
        yield Broken(
            ("capture", "redact"),
            f"got {characters:,} characters of names; allowed {REDACTED_CHARACTERS:,} together, since a function's variables hold no more. "
            "Name the features shorter, or leave capture out",
            on_key=True,
        )
    kept = CAPTURE_DAYS if _get(capture, "days") is None else _get(capture, "days")
    for watched in ("performance", "outcome"):
        looks_back = _get(monitor, watched)
        window = WINDOW_DAYS if _get(looks_back, "window_days") is None else _get(looks_back, "window_days")
        both = capture is not None and looks_back is not None
        if both and isinstance(window, int) and isinstance(kept, int) and kept < window:
            yield Broken(
                ("capture", "days"),
                f"got {kept}; allowed at least window_days of {watched}, which is {window}, since what becomes known is joined with what was "
                "kept. Change one of them",
            )


def capture_rules(capture: Any) -> Iterator[Broken]:
    yield from _no_repeats(capture, "redact")


def freshness_rules(freshness: Any) -> Iterator[Broken]:
    if _get(freshness, "training_days") is None and _get(freshness, "traffic_hours") is None:
        yield Broken(
            (),
            "got no age; allowed training_days, traffic_hours, or both. Set one of them, or remove freshness",
            on_key=True,
        )


def _promotion_rules(promotion: Any) -> Iterator[Broken]:
    percents = [percent for _, percent in _items(promotion, "canary_percents")]
    for i, (before, percent) in enumerate(pairwise(percents), 1):
        if isinstance(before, int) and isinstance(percent, int) and percent <= before:
            yield Broken(
                ("canary_percents", i),
                f"got {percent} after {before}; allowed growing shares, such as 10, 50. Write them in order, each once",
            )
    minutes, hours = _get(promotion, "step_minutes"), _get(promotion, "longest_hours")
    if isinstance(minutes, int) and isinstance(hours, int) and 0 < hours * 60 < minutes:
        yield Broken(
            ("step_minutes",),
            f"got {minutes} minutes; allowed at most longest_hours, which is {hours}. Raise longest_hours, or watch for less",
        )


def api_rules(deliver: Any) -> Iterator[Broken]:
    yield from _unique(deliver, "consumers", "name", "consumer")
    first: dict[tuple[str, str], int] = {}
    characters = 0
    for i, consumer in _items(deliver, "consumers"):
        name, principal = _get(consumer, "name"), _get(consumer, "principal")
        characters += _AROUND_A_CONSUMER + sum(len(text) for text in (name, principal) if isinstance(text, str))
        if name == TEAM_KEY:
            yield Broken(
                ("consumers", i, "name"),
                f"got {TEAM_KEY}; allowed names other than {TEAM_KEY}, which is what the key of the team's own members is "
                "called. Choose another name",
            )
        if isinstance(principal, str):
            # Sessions name their role without its path: roles of one name are one role.
            account, _, role = principal.partition(":iam::")[2].partition(":")
            j = first.setdefault((account or principal, role.rpartition("/")[2]), i)
            if j != i:
                yield Broken(
                    ("consumers", i, "principal"),
                    f"got {principal}, which is consumers[{j}] already; allowed one consumer a principal, since requests are "
                    "counted by who signed them. Remove one of them, or name another role",
                )
        if _get(consumer, "hard") is True and _get(consumer, "quota") is None:
            yield Broken(
                ("consumers", i, "hard"),
                "got hard: true without a quota; allowed beside a quota, which it is that is never exceeded. "
                "Add quota: {requests: ..., per: month}, or remove hard",
                on_key=True,
            )
    if characters > CONSUMERS_CHARACTERS:
        yield Broken(
            ("consumers",),
            f"got {characters:,} characters of names and principals, with {_AROUND_A_CONSUMER} more for each; allowed "
            f"{CONSUMERS_CHARACTERS:,} together, since a parameter of Systems Manager holds no more. Name an account in the place of "
            "several of its roles",
            on_key=True,
        )

    ahead, most = _get(_get(deliver, "start"), "concurrency"), _get(deliver, "concurrency")
    if isinstance(ahead, int) and isinstance(most, int) and 1 <= most < ahead:
        yield Broken(
            ("start", "concurrency"),
            f"got {ahead} functions that are started ahead, and a concurrency of {most}; allowed no more than the model answers at "
            "once. Change one of them",
        )


def provisioned_rules(start: Any) -> Iterator[Broken]:
    if isinstance(ahead := _get(start, "concurrency"), int):
        yield from _no_more_in_off_hours(start, "concurrency", "concurrency", ahead)


def off_hours_rules(off_hours: Any) -> Iterator[Broken]:
    begin = _get(off_hours, "begin")
    if begin is not None and begin == _get(off_hours, "end"):
        yield Broken(("end",), f"got {begin}, at which they begin; allowed another time. Write when they are over")


def _no_more_in_off_hours(holder: Any, what: str, minimum: str, usual: int) -> Iterator[Broken]:
    least = usual if _get(holder, minimum) is None else _get(holder, minimum)
    meanwhile = _get(_get(holder, "off_hours"), what)
    if isinstance(meanwhile, int) and isinstance(least, int) and 0 < least < meanwhile:
        yield Broken(
            ("off_hours", what),
            f"got {meanwhile}; allowed no more than {minimum}, which is {least}, since off hours are those in which fewer are needed. "
            "Change one of them",
        )


def fargate_rules(deliver: Any) -> Iterator[Broken]:
    if _get(deliver, "runtime") != "fargate":
        return
    cpu, memory = (_get(deliver, key) if _get(deliver, key) is not None else default for key, default in _TASK.items())
    allowed = allowed_memory_mb(cpu) if isinstance(cpu, int) else ()
    if allowed and isinstance(memory, int) and 512 <= memory <= 122_880 and memory not in allowed:
        given = "memory_mb" if _get(deliver, "memory_mb") is not None else "cpu"
        yield Broken(
            (given,),
            f"got {memory} MB of memory with a cpu of {cpu}; allowed with it {_some(allowed)}. Change memory_mb or cpu",
        )
    yield from _least_and_most(deliver, "tasks", 2, 6)
    yield from _no_more_in_off_hours(deliver, "tasks", "minimum_tasks", 2)


def endpoint_rules(deliver: Any) -> Iterator[Broken]:
    usual = {"real_time": 2, "asynchronous": 0}.get(str(_get(deliver, "mode")))
    if _get(deliver, "runtime") == "sagemaker" and usual is not None:
        yield from _least_and_most(deliver, "instances", usual, 4)
        yield from _no_more_in_off_hours(deliver, "instances", "minimum_instances", usual)


def _least_and_most(deliver: Any, what: str, usual_least: int, usual_most: int) -> Iterator[Broken]:
    minimum, maximum = f"minimum_{what}", f"maximum_{what}"
    least, most = _get(deliver, minimum), _get(deliver, maximum)
    least, most = usual_least if least is None else least, usual_most if most is None else most
    if isinstance(least, int) and isinstance(most, int) and 1 <= most < least <= 50:
        yield Broken(
            (maximum if _get(deliver, maximum) is not None else minimum,),
            f"got {minimum} {least} and {maximum} {most}; allowed a maximum that is no less than the minimum. "
            "Change one of them",
        )


def _some(numbers: Sequence[int]) -> str:
    if len(numbers) <= 3:
        return " or ".join(map(str, numbers))
    return f"{numbers[0]} to {numbers[-1]} in steps of {numbers[1] - numbers[0]}"


def _enough_of_them(team: Any) -> Iterator[Broken]:
    if _get(team, "stage") != "production":
        return
    for i, model in _items(team, "models"):
        for j, deliver in _items(model, "deliver"):
            key = {"fargate": "minimum_tasks", "sagemaker": "minimum_instances"}.get(str(_get(deliver, "runtime")), "")
            least = _get(deliver, key)
            if isinstance(least, int) and least == 1 and _get(deliver, "mode") != "asynchronous":  # where requests wait
                yield Broken(
                    ("models", i, "deliver", j, key),
                    "got 1 in the stage production; allowed 2 or more, so that a zone may fail. Write 2, or remove the key",
                )


def _recipients(deliver: Any) -> Iterator[Broken]:
    yield from _no_repeats(deliver, "recipients")
    characters = sum(len(str(one)) for _, one in _items(deliver, "recipients"))
    if characters > RECIPIENTS_CHARACTERS:
        yield Broken(
            ("recipients",),
            f"got {characters} characters of addresses; allowed {RECIPIENTS_CHARACTERS} together. Name a mailing list instead",
        )


def target_as_a_whole(target: Any) -> Iterator[Broken]:
    region = _get(target, "region")
    zones = [(i, zone) for i, zone in _items(target, "zones") if isinstance(zone, str)]
    for i, zone in zones:
        if isinstance(region, str) and region in known_regions() and not is_zone_of(zone, region):
            yield Broken(
                ("zones", i),
                f"got {zone}; allowed availability zones of {region}, such as {region}a. Name a zone of the target's region",
            )
    yield from _no_repeats(target, "zones")
    subnets = list(_items(_get(target, "network"), "private_subnet_ids"))
    if subnets and zones and len(subnets) != len(zones):
        yield Broken(
            ("network", "private_subnet_ids"),
            f"got {len(subnets)} subnets for {len(zones)} zones; allowed one subnet a zone, in the order of zones. "
            "Name those that are missing, or change zones",
        )
    quotas = _get(target, "quotas")
    for code in quotas if isinstance(quotas, Mapping) else ():
        if not QUOTA_CODE.fullmatch(str(code)):
            yield Broken(
                ("quotas", code),
                f"got {code}; allowed codes of Service Quotas such as L-DB2E81BA: L- and 8 of the digits 0 to 9 and A to F. "
                "Copy the code from `labcycle check --capacity` or from Service Quotas",
                on_key=True,
            )


def network_rules(network: Any) -> Iterator[Broken]:
    own = [key for key in ("vpc_id", "private_subnet_ids") if _get(network, key) is not None]
    if len(own) == 1:
        (missing,) = {"vpc_id", "private_subnet_ids"} - set(own)
        if not _misspelt(network, missing, NETWORK_KEYS):
            yield Broken(
                (own[0],),
                f"got no {missing} beside it; allowed both or neither. Add {missing}:, or remove {own[0]}",
                on_key=True,
            )
    yield from _no_repeats(network, "private_subnet_ids")
    cidr = _get(network, "cidr")
    if not isinstance(cidr, str):
        return
    if own:
        yield Broken(
            ("cidr",),
            "got an address range for a VPC of your own; allowed where the VPC is made. Remove cidr, or vpc_id and private_subnet_ids",
            on_key=True,
        )
        return
    allowed = "allowed a network such as 10.0.0.0/16, with a prefix from /16 to /24"
    try:
        parsed = IPv4Network(cidr)
    except ValueError as error:
        yield Broken(("cidr",), f"got {cidr} ({error}); {allowed}. Write the network's first address and its prefix")
        return
    if str(parsed) != cidr or not 16 <= parsed.prefixlen <= 24:  # a netmask is no prefix
        yield Broken(("cidr",), f"got {cidr}; {allowed}. Choose another prefix")


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, Mapping) else None


def _items(data: Any, key: str) -> Iterator[tuple[int, Any]]:
    value = _get(data, key)
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from enumerate(value)


def _misspelt(data: Any, key: str, known: Sequence[str]) -> bool:
    """Whether an unknown key is probably meant to be `key`: that is reported as such, and enough."""
    unknown = [str(other) for other in data if other not in known] if isinstance(data, Mapping) else []
    return bool(get_close_matches(key, unknown, n=1))


def _principals(principal: Any) -> Iterator[tuple[str, str]]:
    for kind in PRINCIPAL_KINDS:
        value = _get(principal, kind)
        if isinstance(value, str):
            yield kind, value


def _unique(data: Any, key: str, field: str, what: str) -> Iterator[Broken]:
    first: dict[str, int] = {}
    for i, item in _items(data, key):
        name = _get(item, field)
        if isinstance(name, str) and first.setdefault(name, i) != i:
            yield Broken(
                (key, i, field),
                f"got {name}, the name of {key}[{first[name]}] already; allowed a different name for each {what}. Rename or remove one",
            )


def _no_repeats(data: Any, key: str) -> Iterator[Broken]:
    seen: list[Any] = []
    for i, item in _items(data, key):
        if item in seen:
            yield Broken((key, i), f"got {item} again; allowed each once. Remove it")
        seen.append(item)


def _below(path: Path, broken: Iterator[Broken]) -> Iterator[Broken]:
    for one in broken:
        yield Broken((*path, *one.path), one.message, one.on_key)
