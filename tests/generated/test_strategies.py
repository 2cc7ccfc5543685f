"""The strategies know the whole model, and what they make is valid: as data and as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from labcycle.config import Target, Team, load_all, load_target, load_team
from labcycle.config.rules import PRINCIPAL_KINDS
from labcycle.config.vocabulary import Settings
from tests.generated.configurations import configuration
from tests.generated.locks import write_locks
from tests.generated.strategies import (
    BOUNDED,
    EXTREMES,
    STYLES,
    Key,
    bound,
    mappings,
    models_in,
    plain,
    values,
    written,
)

CONFIGURATIONS = 8


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and all that its fields are of."""
    yield model
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            yield from models(inner)


KEYS: list[Key] = [
    (model, key) for model in dict.fromkeys([*models(Team), *models(Target)]) for key in model.model_fields
]


@pytest.fixture(scope="module")
def seen() -> dict[Key, list[Any]]:
    """Every value of every key in the files of a run; `...` where a mapping does without the key."""
    found: dict[Key, list[Any]] = defaultdict(list)
    for number in range(CONFIGURATIONS):
        one = configuration(number)
        for model, files in ((Team, one.teams), (Target, one.targets)):
            for data in files:
                for of, holder in mappings(data, model):
                    for key in of.model_fields:
                        found[of, key].append(holder.get(key, ...))
    return found


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key[0].__name__}.{key[1]}")
def test_every_key_occurs_with_all_that_it_can_be(key: Key, seen: dict[Key, list[Any]]) -> None:
    model, name = key
    info = model.model_fields[name]
    kind = plain(info.annotation)
    occurring = [value for value in seen[key] if value is not ... and value is not None]
    assert occurring
    if not info.is_required():
        assert ... in seen[key] or None in seen[key]
    if kind in (int, float):
        assert {limit for limit in (bound(info, "ge"), bound(info, "le")) if limit is not None} <= set(occurring)
        assert len(set(occurring)) > 2
    words = get_args(plain(get_args(kind)[0])) if get_origin(kind) is tuple else get_args(kind)
    if get_origin(kind) is Literal:
        assert set(words) == set(occurring)
    elif get_origin(kind) is tuple and get_origin(plain(get_args(kind)[0])) is Literal:
        assert set(words) == {word for value in occurring for word in value}
    if key in EXTREMES:
        assert set(EXTREMES[key]) <= set(occurring)
    if kind is str:
        assert len(set(occurring)) > 2


def test_text_of_which_nothing_is_known_is_told() -> None:
    class Later(Settings):
        words: str

    with pytest.raises(LookupError, match=r"do not know what Later\.words can be"):
        values(Later, "words")


def test_nothing_is_known_that_is_not_in_the_models() -> None:
    assert {*EXTREMES, *BOUNDED} <= set(KEYS)


def test_a_run_has_200_teams_of_many_kinds() -> None:
    runs = [configuration(number) for number in range(CONFIGURATIONS)]
    teams = [team for one in runs for team in one.teams]
    assert len(teams) == 200
    assert {len(team.get("models", [])) for team in teams} == {0, 1, 2, 3}
    assert {len(team["members"]) for team in teams} == {1, 2, 3, 4, 5}
    assert len({tuple(sorted(member["roles"])) for team in teams for member in team["members"]}) > 50
    kinds = {kind for team in teams for member in team["members"] for kind in member["principal"]}
    assert kinds == set(PRINCIPAL_KINDS)
    shapes = {
        tuple(sorted(key for key in model if model[key] not in (None, []) and key != "runtime"))
        for team in teams
        for model in team.get("models", [])
    }
    # With and without a policy, with each of monitor and retrain; with and without reactions, which a model with neither can have, too.
    assert len(shapes) == 16, shapes
    assert len({target["region"] for one in runs for target in one.targets}) >= 20


@pytest.mark.parametrize("style", STYLES)
def test_the_text_of_a_file_says_what_its_data_say(style: str, tmp_path: Path) -> None:
    one = configuration(0)
    write_locks(tmp_path)
    for kind, model, load in (("team", Team, load_team), ("target", Target, load_target)):
        for data in one.teams if kind == "team" else one.targets:
            file = tmp_path / f"{data[kind]}.yaml"
            file.write_text(written(data, style), encoding="utf-8")
            assert load(file) == model.model_validate(data)


@pytest.mark.parametrize("number", range(CONFIGURATIONS))
def test_all_files_of_a_configuration_are_valid_together(number: int, tmp_path: Path) -> None:
    one = configuration(number)
    folder = one.written_to(tmp_path)
    teams, found = load_all(folder / "teams", folder / "targets")
    assert len(teams) == 25 and len(found) == 5
    other = one.rewritten_to(tmp_path / "other")
    again, _ = load_all(other / "teams", other / "targets")
    assert again == [team for team in teams if team.team != one.leaver["team"]]
