"""Ways to break a valid configuration, one at a time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from hypothesis import assume
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from labcycle.config import Target, Team, Workspaces, names
from labcycle.config.derived import BUCKET_LIMIT, ROLE_LIMIT, STACK_LIMIT, TRAINING_JOB_LIMIT
from labcycle.config.document import DEEPEST_NESTING, LARGEST_FILE_BYTES
from labcycle.config.rules import MEMBER_SUFFIXES
from tests.generated.locks import write_locks
from tests.generated.strategies import (
    EXTREMES,
    Data,
    bound,
    compute_in,
    equip,
    mapping,
    mappings,
    members_of,
    models_of,
    plain,
    spread,
    targets,
    values,
    written,
)

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Files:
    """A team and its target, as data and, once broken below the level of data, as bytes; and whatever stands beside them."""

    team: Data
    target: Data
    beside: list[tuple[str, Data]] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)
    team_file: str = ""

    def write(self, folder: Path, style: str) -> None:
        """The configuration folder."""
        self.team_file = self.team_file or f"{_file_name(self.team, 'team', 'a-team')}.yaml"
        target_file = f"{_file_name(self.target, 'target', 'a-target')}.yaml"
        write_locks(folder / "teams")
        kinds = [("teams", self.team_file, self.team), ("targets", target_file, self.target)]
        kinds += [(kind, f"{data[kind.removesuffix('s')]}.yaml", data) for kind, data in self.beside]
        for kind, name, data in kinds:
            (folder / kind).mkdir(exist_ok=True)
            (folder / kind / name).write_bytes(written(data, style).encode())
        for name, content in self.raw.items():
            next(
                (folder / "teams").glob(self.team_file) if name == "team" else (folder / "targets").glob(target_file)
            ).write_bytes(content)


def _file_name(data: Data, key: str, otherwise: str) -> str:
    name = data.get(key)
    return name if isinstance(name, str) and re.fullmatch(r"[a-z0-9-]{1,200}", name) else otherwise


@st.composite
def whole_files(draw: st.DrawFn) -> Files:
    """Valid files in which everything occurs that can be broken: every key of a model, workspaces, several members."""
    target = draw(targets())
    target["network"]["egress"] = "nat"
    team = draw(values(Team, "team").filter(lambda name: len(name) <= 12 and not name.startswith("target")))
    members = draw(members_of(team, target, least=2))
    for member in members:
        member["name"] = member["name"][: ROLE_LIMIT - len(names.workspace_role(team, ""))].rstrip("-")
    assume(len({member["name"] for member in members}) == len(members))
    members[0]["roles"] = ["data_scientist", *(role for role in members[0]["roles"] if role != "data_scientist")]
    models = draw(models_of(team, target, 2, whole=True))
    data = draw(
        mapping(
            Team,
            team=st.just(team),
            target=st.just(target["target"]),
            members=st.just(members),
            models=st.just(models),
            cost_centre=st.just("cc-1"),
            compute=st.nothing(),
        )
    )
    spread({**data, "models": models})
    workspaces = draw(mapping(Workspaces))
    equip(workspaces, target, team)
    compute = compute_in(target["region"], len(members))
    return Files({**data, "models": models, "workspaces": workspaces, **compute}, target)


@dataclass(frozen=True)
class Site:
    """A key of a mapping in a file, with the model that describes it."""

    holder: Data
    model: type[BaseModel]
    key: str

    @property
    def kind(self) -> Any:
        return plain(self.model.model_fields[self.key].annotation)


def _sites(files: Files) -> Iterator[Site]:
    for data, whole in ((files.team, Team), (files.target, Target)):
        for model, holder in mappings(data, whole):
            yield from (Site(holder, model, key) for key in holder)


def _any_site(draw: Draw, files: Files, fits: Callable[[Site], bool]) -> Site:
    found = [site for site in _sites(files) if fits(site)]
    assume(found)
    chosen: Site = found[draw(st.integers(0, len(found) - 1))]
    return chosen


def _is_number(site: Site) -> bool:
    return site.kind in (int, float)


def _is_text(site: Site) -> bool:
    return site.kind is str


def _words(site: Site) -> tuple[str, ...]:
    """The closed set that a key, or the entries of its list, are of."""
    kind = site.kind
    if get_origin(kind) is tuple:
        kind = plain(get_args(kind)[0])
    return get_args(kind) if get_origin(kind) is Literal else ()


# Any key of any model.


def unknown_key(draw: Draw, files: Files) -> None:
    _any_site(draw, files, lambda site: True).holder["surplus"] = draw(st.sampled_from([1, "x", None, [], {}]))


def misspelt_key(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: len(site.key) > 3)
    place = draw(st.integers(1, len(site.key) - 1))
    wrong = site.key[:place] + draw(st.sampled_from(["", "x", site.key[place] * 2])) + site.key[place + 1 :]
    assume(wrong not in site.model.model_fields)
    site.holder[wrong] = site.holder.pop(site.key)


def missing_key(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: site.model.model_fields[site.key].is_required())
    del site.holder[site.key]


def empty_value(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: site.model.model_fields[site.key].default is not None)
    site.holder[site.key] = None


def wrong_type(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: True)
    if _is_number(site):
        wrong = ["7", "", True, [7], {"x": 7}] + ([1.5, 60.0] if site.kind is int else [])
    elif site.kind is bool:
        wrong = ["x", "true", 7, ["x"], {"x": "y"}]
    elif _is_text(site) or get_origin(site.kind) is Literal:
        wrong = [7, 1.5, True, ["x"], {"x": "y"}]
    elif get_origin(site.kind) is tuple:
        wrong = ["x", 7, False, {"x": "y"}, [[]], [None]]
    else:
        wrong = ["x", 7, True, ["x"], []]
    site.holder[site.key] = draw(st.sampled_from(wrong))


def _info(site: Site) -> FieldInfo:
    return site.model.model_fields[site.key]


def out_of_range(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: _is_number(site) and bound(_info(site), "ge") is not None)
    info = _info(site)
    low, high = bound(info, "ge"), bound(info, "le")
    if site.kind is int:
        wrong = [low - 1, high + 1, -(10**30), 10**30]
    else:
        wrong = [math.nextafter(low, -math.inf), -1.0] + ([math.nextafter(high, math.inf)] if high is not None else [])
    site.holder[site.key] = draw(st.sampled_from(wrong))


def no_such_word(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: bool(_words(site)))
    word = str(draw(st.sampled_from(_words(site))))  # a few are numbers
    wrong = draw(st.sampled_from([word + "s", word.upper(), word[:-1], "", "x", f" {word}"]))
    site.holder[site.key] = [wrong] if get_origin(site.kind) is tuple else wrong


def word_twice(draw: Draw, files: Files) -> None:
    site = _any_site(
        draw, files, lambda site: get_origin(site.kind) is tuple and bool(_words(site) and site.holder[site.key])
    )
    site.holder[site.key] = [*site.holder[site.key], site.holder[site.key][0]]


def empty_list(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: bool(bound(site.model.model_fields[site.key], "min_length")))
    site.holder[site.key] = []


def forbidden_text(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, _is_text)
    site.holder[site.key] = draw(
        st.sampled_from(["", " ", "\n", "*", "?", "a b\tc", "ä@ö.ü", "${aws:x}", "a\u0000b", "x" * 5000])
    )


def text_too_long(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: (site.model, site.key) in EXTREMES)
    longest = EXTREMES[site.model, site.key][1]
    site.holder[site.key] = longest[0] + longest  # text that may be longer ends there: what stands before it grows


def text_too_short(draw: Draw, files: Files) -> None:
    site = _any_site(draw, files, lambda site: (site.model, site.key) in EXTREMES)
    site.holder[site.key] = EXTREMES[site.model, site.key][0][1:]


# Names, alone and among others.


def name_of_a_stage(draw: Draw, files: Files) -> None:
    files.team["team"] = draw(st.sampled_from(["target", "target-a", "target--b"]))


def not_the_files_name(draw: Draw, files: Files) -> None:
    files.team_file = f"{files.team['team']}x.yaml"


def member_twice(draw: Draw, files: Files) -> None:
    files.team["members"][1]["name"] = files.team["members"][0]["name"]


def model_twice(draw: Draw, files: Files) -> None:
    files.team["models"][1]["name"] = files.team["models"][0]["name"]


def person_twice(draw: Draw, files: Files) -> None:
    ((kind, value),) = files.team["members"][0]["principal"].items()
    files.team["members"][1]["principal"] = {kind: draw(st.sampled_from([value, value.upper(), value.lower()]))}


def named_as_a_role_of_its_own(draw: Draw, files: Files) -> None:
    member = draw(st.sampled_from(files.team["members"]))
    member["name"] = draw(st.sampled_from(["a", "a-b", "0"])).replace("0", "w") + draw(
        st.sampled_from(list(MEMBER_SUFFIXES))
    )


def team_too_long(draw: Draw, files: Files) -> None:
    room = BUCKET_LIMIT - len(names.bucket("", "artifacts", files.target["account"], files.target["region"]))
    files.team["team"] = "t" * (room + 1)


def member_too_long(draw: Draw, files: Files) -> None:
    member = draw(st.sampled_from(files.team["members"]))
    role = names.workspace_role if "data_scientist" in member["roles"] else names.member_role
    member["name"] = "m" * (ROLE_LIMIT - len(role(files.team["team"], "")) + 1)


def model_too_long(draw: Draw, files: Files) -> None:
    model = draw(st.sampled_from(files.team["models"]))
    if draw(st.booleans()):
        for key in ("retrain", "react"):
            model.pop(key, None)
        model["name"] = "m" * (STACK_LIMIT - len(f"{names.team_stage(files.team['team'])}-{names.model_stack('')}") + 1)
    else:
        model["name"] = "m" * (TRAINING_JOB_LIMIT - 12 - len(names.training_job_prefix(files.team["team"], "")) + 1)


def name_begins_with_anothers(draw: Draw, files: Files) -> None:
    files.beside.append(
        ("teams", {**files.team, "team": files.team["team"] + draw(st.sampled_from(["-a", "-0", "--x"]))})
    )


def network_twice(draw: Draw, files: Files) -> None:
    other = "o" if files.target["target"] != "o" else "p"
    files.beside.append(("targets", {**files.target, "target": other}))


# What must hold between values.


def two_principals(draw: Draw, files: Files) -> None:
    principal = draw(st.sampled_from(files.team["members"]))["principal"]
    principal["saml_subject" if "saml_subject" not in principal else "iam_user"] = "somebody"


def no_principal(draw: Draw, files: Files) -> None:
    draw(st.sampled_from(files.team["members"]))["principal"] = draw(st.sampled_from([{}, {"iam_user": None}]))


def reaction_without(draw: Draw, files: Files) -> None:
    model = draw(st.sampled_from(files.team["models"]))
    key = draw(st.sampled_from(["monitor", "retrain"]))
    if draw(st.booleans()):
        del model[key]
    else:
        model[key] = None


def two_reactions(draw: Draw, files: Files) -> None:
    model = draw(st.sampled_from(files.team["models"]))
    model["react"] = model["react"] * 2


def form_twice(draw: Draw, files: Files) -> None:
    model = draw(st.sampled_from(files.team["models"]))
    model["deliver"] = [*model["deliver"], model["deliver"][0]]


def page_without_api(draw: Draw, files: Files) -> None:
    draw(st.sampled_from(files.team["models"]))["deliver"] = [{"form": "batch"}, {"form": "app"}]


def workspaces_without_egress(draw: Draw, files: Files) -> None:
    files.target["network"]["egress"] = "none"


def workspaces_without_scientists(draw: Draw, files: Files) -> None:
    for member in files.team["members"]:
        member["roles"] = ["operator"]


def sign_in_that_is_nowhere(draw: Draw, files: Files) -> None:
    kind = draw(st.sampled_from(["identity_center", "saml_subject", "oidc_subject"]))
    draw(st.sampled_from(files.team["members"]))["principal"] = {kind: "somebody"}
    files.target.pop("sign_in", None)


def no_such_target(draw: Draw, files: Files) -> None:
    files.team["target"] = draw(st.sampled_from(["nowhere", files.target["target"] + "x"]))


def image_of_another_region(draw: Draw, files: Files) -> None:
    holders = [*(model["retrain"] for model in files.team["models"]), *filter(None, [files.team.get("compute")])]
    holder = draw(st.sampled_from(holders))
    region = files.target["region"]
    other = "eu-west-1" if region != "eu-west-1" else "eu-west-2"
    holder["image"] = holder["image"].replace(region, other)


def image_of_another_partition(draw: Draw, files: Files) -> None:
    retrain = draw(st.sampled_from(files.team["models"]))["retrain"]
    old, new = (".com.cn/", ".com/") if ".com.cn/" in retrain["image"] else (".com/", ".com.cn/")
    retrain["image"] = retrain["image"].replace(old, new)


def tag_of_aws(draw: Draw, files: Files) -> None:
    files.team["cost_centre"] = draw(st.sampled_from(["aws:1", "AWS:x", "Aws:"]))


def zone_of_another_region(draw: Draw, files: Files) -> None:
    files.target["zones"][0] = "eu-west-1a" if files.target["region"] != "eu-west-1" else "eu-west-2a"


def zone_twice(draw: Draw, files: Files) -> None:
    files.target["zones"][0] = files.target["zones"][1]


def too_few_or_many_zones(draw: Draw, files: Files) -> None:
    letters = draw(st.sampled_from(["", "a", "abcdefg"]))
    files.target["zones"] = [files.target["region"] + letter for letter in letters]


def no_network(draw: Draw, files: Files) -> None:
    wrong = ["10.0.0.0/15", "10.0.0.0/25", "10.0.0.1/16", "10.0.0.0", "10.0.0/16", "::/16", "10.0.0.0/255.255.0.0", "a"]
    files.target["network"]["cidr"] = draw(st.sampled_from(wrong))


def half_a_network(draw: Draw, files: Files) -> None:
    network = files.target["network"]
    own = {
        "vpc_id": "vpc-01234567",
        "private_subnet_ids": [f"subnet-0000000{n}" for n, _ in enumerate(files.target["zones"])],
    }
    del own[draw(st.sampled_from(sorted(own)))]
    files.target["network"] = {"name": network["name"], "egress": network["egress"], **own}


def subnets_unlike_zones(draw: Draw, files: Files) -> None:
    network = files.target["network"]
    network.pop("cidr", None)
    zones = len(files.target["zones"])
    numbers = draw(st.sampled_from([[*range(zones + 1)], [1] * zones, ["x"] * zones]))
    network |= {"vpc_id": "vpc-01234567", "private_subnet_ids": [f"subnet-0000000{n}" for n in numbers]}


def range_of_anothers_network(draw: Draw, files: Files) -> None:
    subnets = [f"subnet-0000000{n}" for n, _ in enumerate(files.target["zones"])]
    files.target["network"] |= {"cidr": "10.0.0.0/16", "vpc_id": "vpc-01234567", "private_subnet_ids": subnets}


def no_such_quota(draw: Draw, files: Files) -> None:
    wrong = [
        {"L-1": 1},
        {"l-0123abcd": 1},
        {"L-0123ABCD": -1},
        {"L-0123ABCD": "5"},
        {"L-0123ABCD": 1.5},
        {"": 1},
        {"L-0123ABCD": None},
    ]
    files.target["quotas"] = draw(st.sampled_from(wrong))


def no_such_region(draw: Draw, files: Files) -> None:
    files.target["region"] = draw(
        st.sampled_from(["eu-west-9", "aws-global", "EU-WEST-1", "eu_west_1", "us-iso-east-1"])
    )


# Below the level of data.


def _raw(draw: Draw, files: Files, *contents: Callable[[str], bytes]) -> None:
    kind = draw(st.sampled_from(["team", "target"]))
    text = written(files.team if kind == "team" else files.target, "block")
    files.raw[kind] = draw(st.sampled_from(contents))(text)


def alias(draw: Draw, files: Files) -> None:
    _raw(
        draw,
        files,
        lambda text: (text + "x: &a [1]\ny: *a\n").encode(),
        lambda text: (text + "x: *nowhere\n").encode(),
        lambda text: (text + "x: &a [*a]\n").encode(),
        lambda text: (text + "<<: {x: 1}\n").encode(),
    )


def tag(draw: Draw, files: Files) -> None:
    _raw(
        draw,
        files,
        lambda text: (text + "x: !!python/object/apply:os.system [exit]\n").encode(),
        lambda text: ("!team\n" + text).encode(),
        lambda text: (text + "x: !!binary aGk=\n").encode(),
    )


def tab(draw: Draw, files: Files) -> None:
    _raw(draw, files, lambda text: (text + "x:\n\ty: 1\n").encode(), lambda text: ("\t" + text).encode())


def key_twice(draw: Draw, files: Files) -> None:
    _raw(draw, files, lambda text: (text + text.splitlines()[0] + "\n").encode(), lambda text: (text + text).encode())


def not_text(draw: Draw, files: Files) -> None:
    _raw(
        draw,
        files,
        lambda text: text.encode() + b"# caf\xe9\n",
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-32-le"),
        lambda text: text.encode() + b"x: a\x00b\n",
        lambda text: text.encode() + b"\xed\xa0\x80",
        lambda text: bytes(range(256)),
    )


def not_yaml(draw: Draw, files: Files) -> None:
    _raw(
        draw,
        files,
        lambda text: (text + "x: [1\n").encode(),
        lambda text: (text + 'x: "1\n').encode(),
        lambda text: (text + "x: y: z\n").encode(),
        lambda text: (text + "  x: 1\n").encode(),
        lambda text: (text + "x: @1\n").encode(),
        lambda text: (text + "%x\n---\n").encode(),
        lambda text: (text + "---\n" + text).encode(),
        lambda text: (text + "x: " + "[" * (DEEPEST_NESTING + 1)).encode(),
        lambda text: (text + "? [a]\n: 1\n").encode(),
    )


def not_a_mapping(draw: Draw, files: Files) -> None:
    _raw(
        draw,
        files,
        lambda text: b"",
        lambda text: b"# nothing\n",
        lambda text: b"null\n",
        lambda text: b"- a\n",
        lambda text: b"7\n",
        lambda text: json.dumps([text]).encode(),
        lambda text: b"{}\n",
        lambda text: b"\xef\xbb\xbf",
        lambda text: (text + "#" * LARGEST_FILE_BYTES).encode(),
    )


def odd_number(draw: Draw, files: Files) -> None:
    site = _any_site(draw, Files(files.team, {}), _is_number)
    kept = deepcopy(files.team)
    site.holder[site.key] = "ODD"
    text = written(files.team, "block")
    files.team = kept
    odd = draw(
        st.sampled_from(
            ["0x1F", "0100", "1_000", "1:30", ".inf", "-.inf", ".nan", "0b11", "1e999", "9" * 5000, "+", "1e"]
        )
    )
    files.raw["team"] = text.replace("ODD", odd).encode()


FAULTS: tuple[Callable[[Draw, Files], None], ...] = (
    unknown_key,
    misspelt_key,
    missing_key,
    empty_value,
    wrong_type,
    out_of_range,
    no_such_word,
    word_twice,
    empty_list,
    forbidden_text,
    text_too_long,
    text_too_short,
    name_of_a_stage,
    not_the_files_name,
    member_twice,
    model_twice,
    person_twice,
    named_as_a_role_of_its_own,
    team_too_long,
    member_too_long,
    model_too_long,
    name_begins_with_anothers,
    network_twice,
    two_principals,
    no_principal,
    reaction_without,
    two_reactions,
    form_twice,
    page_without_api,
    workspaces_without_egress,
    workspaces_without_scientists,
    sign_in_that_is_nowhere,
    no_such_target,
    image_of_another_region,
    image_of_another_partition,
    tag_of_aws,
    zone_of_another_region,
    zone_twice,
    too_few_or_many_zones,
    no_network,
    half_a_network,
    subnets_unlike_zones,
    range_of_anothers_network,
    no_such_quota,
    no_such_region,
    alias,
    tag,
    tab,
    key_twice,
    not_text,
    not_yaml,
    not_a_mapping,
    odd_number,
)
"""Every way to break files; each takes what it needs from hypothesis and breaks them in place."""
