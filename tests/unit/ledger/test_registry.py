"""The registry: what a version stands for never changes, and whoever changes the registry is on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.errors import AlreadyExists, InUse, NotFound, Refused
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.logged_models import LoggedModels
from labcycle_lambdas.ledger.points import Metric
from labcycle_lambdas.ledger.registry import ModelVersion, PinnedFile, Registry
from labcycle_lambdas.ledger.table import Create, Table
from labcycle_lambdas.ledger.who import Who
from tests.unit.ledger.conftest import Clock, Faults

WHO = Who("scientist-1", "labcycle-fraud-scientist-1", "scientist-1")
FILES = [PinnedFile(f"f{n:04d}", f"experiments/0/m/f{n:04d}", f"v{n}", n) for n in range(450)]


@pytest.fixture
def registry(table: Table, clock: Clock) -> Registry:
    made = Registry(table, clock)
    made.register("cards", {"team": "fraud"}, "about cards")
    return made


def add(registry: Registry, name: str = "cards") -> ModelVersion:
    return registry.create_version(name, source="s3://b/m", who=WHO)


def actions(table: Table, name: str = "cards") -> list[str]:
    custody = Custody(table)
    assert custody.verify(f"model/{name}") == []
    return [event.action for event in custody.events(f"model/{name}")]


def test_a_model(registry: Registry) -> None:
    model = registry.model("cards")
    assert (model.tags, model.description, model.aliases, model.versions) == ({"team": "fraud"}, "about cards", {}, [])
    with pytest.raises(AlreadyExists, match=r"Registered Model \(name=cards\) already exists"):
        registry.register("cards")
    with pytest.raises(NotFound, match="Registered Model with name=none not found"):
        registry.model("none")
    with pytest.raises(NotFound):
        registry.model("x" * 2000)


def test_a_version_fixes_its_files(registry: Registry, table: Table) -> None:
    made = registry.create_version("cards", source="s3://b/m", who=WHO, files=FILES, run_id="r", tags={"k": "v"})
    assert made.version == 1
    read = registry.version("cards", "1")
    assert read == made
    assert read.files == FILES
    assert (read.tags, read.run_id, read.user_id, read.stage) == ({"k": "v"}, "r", "scientist-1", "None")
    _, event = Custody(table).events("model/cards")
    assert (event.action, event.detail["version"], event.detail["files"]) == ("registered", 1, 450)
    for unknown in (2, "0", "-1", "x", "1 ", "9" * 30):
        with pytest.raises(NotFound):
            registry.version("cards", unknown)
    with pytest.raises(Refused):
        registry.create_version("cards", source="s", who=WHO, files=FILES * 12)


@pytest.mark.parametrize("call", [0, 1])
def test_a_version_whose_answer_was_lost_is_one_version(
    registry: Registry, faults: Faults, table: Table, call: int
) -> None:
    faults.lose_answer("TransactWriteItems", call)
    assert [add(registry).version for _ in range(2)] == [1, 2]
    assert faults.struck
    assert actions(table) == ["created", *["registered"] * 2]


def test_one_request_makes_one_version(registry: Registry, table: Table) -> None:
    made = [registry.create_version("cards", source="s3://b/m", who=WHO, request_key="k").version for _ in range(2)]
    assert made == [1, 1]
    assert registry.create_version("cards", source="s3://b/m", who=WHO, request_key="other").version == 2
    assert actions(table) == ["created", *["registered"] * 2]


def test_versions_made_at_once_have_numbers_of_their_own(registry: Registry, table: Table) -> None:
    with ThreadPoolExecutor(4) as pool:
        numbers = [v.version for v in pool.map(lambda _: add(registry), range(8))]
    assert sorted(numbers) == list(range(1, 9))
    assert actions(table) == ["created", *["registered"] * 8]


def test_a_deleted_number_is_never_used_again(registry: Registry, table: Table) -> None:
    for _ in range(2):
        add(registry)
    registry.set_alias("cards", "champion", 2, WHO)
    registry.delete_version("cards", 2, WHO)
    assert registry.by_alias("cards", "champion") is None
    with pytest.raises(NotFound):
        registry.version("cards", 2)
    assert add(registry).version == 3
    assert [v.version for v in registry.versions("cards")] == [1, 3]
    assert actions(table) == ["created", "registered", "registered", "alias_set", "version_deleted", "registered"]


def test_aliases(registry: Registry, table: Table) -> None:
    for _ in range(2):
        add(registry)
    registry.set_alias("cards", "champion", "1", WHO)
    registry.set_alias("cards", "champion", 1, WHO)  # nothing new: no event
    registry.set_alias("cards", "champion", 2, WHO)
    registry.set_alias("cards", "shadow", 2, WHO)
    found = registry.by_alias("cards", "champion")
    assert found and (found.version, found.aliases) == (2, ("champion", "shadow"))
    assert registry.model("cards").aliases == {"champion": 2, "shadow": 2}
    latest = registry.by_alias("cards", "Latest")
    assert latest and latest.version == 2
    registry.delete_alias("cards", "shadow", WHO)
    registry.delete_alias("cards", "shadow", WHO)
    assert registry.by_alias("cards", "shadow") is None
    with pytest.raises(NotFound):
        registry.set_alias("cards", "champion", 7, WHO)
    assert actions(table)[3:] == ["alias_set", "alias_set", "alias_set", "alias_removed"]


def test_stages(registry: Registry) -> None:
    for _ in range(3):
        add(registry)
    registry.transition("cards", 1, "production", WHO)
    registry.transition("cards", 2, "Production", WHO, archive_others=True)
    assert [v.stage for v in registry.versions("cards")] == ["Archived", "Production", "None"]
    assert [(v.stage, v.version) for v in registry.model("cards").latest_versions()] == [
        ("Archived", 1),
        ("Production", 2),
        ("None", 3),
    ]
    assert [v.version for v in registry.model("cards").latest_versions(["Production"])] == [2]
    with pytest.raises(Refused, match="Invalid Model Version stage: live"):
        registry.transition("cards", 1, "live", WHO)
    with pytest.raises(Refused):
        registry.transition("cards", 1, "Archived", WHO, archive_others=True)


def test_rename_takes_everything_along(registry: Registry, table: Table) -> None:
    add(registry)
    registry.set_alias("cards", "champion", 1, WHO)
    registry.register("other")
    with pytest.raises(AlreadyExists):
        registry.rename("cards", "other", WHO)
    renamed = registry.rename("cards", "new name", WHO)
    assert (renamed.aliases, renamed.tags, len(renamed.versions)) == ({"champion": 1}, {"team": "fraud"}, 1)
    version = registry.version("new name", 1)
    assert version.creation_timestamp < version.last_updated_timestamp == renamed.last_updated_timestamp
    registry.update_version("new name", 1, "later", WHO)
    assert registry.version("new name", 1).last_updated_timestamp > renamed.last_updated_timestamp
    with pytest.raises(NotFound):
        registry.model("cards")
    assert actions(table)[-1] == "renamed"
    assert [m.name for m in registry.models()] == ["new name", "other"]


def test_a_deleted_name_is_free_and_starts_at_one(registry: Registry, table: Table) -> None:
    add(registry)
    registry.delete("cards", WHO)
    with pytest.raises(NotFound):
        registry.model("cards")
    registry.register("cards")
    assert registry.model("cards").tags == {}
    assert add(registry).version == 1
    assert actions(table) == ["created", "registered", "model_deleted", "created", "registered"]


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda registry: registry.delete("cards", WHO),
        lambda registry: registry.rename("cards", "new", WHO),
        lambda registry: registry.delete_version("cards", 1, WHO),
    ],
)
def test_what_is_live_is_neither_deleted_nor_renamed(
    registry: Registry, table: Table, forbidden: Callable[[Registry], object]
) -> None:
    add(registry)
    add(registry)
    table.write(Create("DEPLOYMENT#cards", "CURRENT", {"live": {"version": 1}, "generation": 1, "previous": []}))
    with pytest.raises(InUse):
        forbidden(registry)
    registry.delete_version("cards", 2, WHO)
    assert [v.version for v in registry.versions("cards")] == [1]


def test_tags_and_descriptions(registry: Registry) -> None:
    add(registry)
    registry.set_tag("cards", "a", "x" * 100_000)
    registry.delete_tag("cards", "team")
    registry.delete_tag("cards", "none")
    registry.set_version_tag("cards", 1, "b", "2")
    registry.set_version_tag("cards", 1, "c", "3")
    registry.delete_version_tag("cards", 1, "c")
    registry.update("cards", "new")
    registry.update_version("cards", 1, "first")
    assert (registry.model("cards").tags, registry.model("cards").description) == ({"a": "x" * 100_000}, "new")
    assert (registry.version("cards", 1).tags, registry.version("cards", 1).description) == ({"b": "2"}, "first")


def test_a_logged_model_notes_its_versions(registry: Registry, table: Table, clock: Clock) -> None:
    models = LoggedModels(table, clock, Experiments(table, "s3://b/experiments", clock))
    model = models.create(experiment_id="0", name="model", params={"p": "1"}, tags={"t": "1"})
    for _ in range(2):
        registry.create_version("cards", source="s", who=WHO, model_id=model.model_id)
    noted = json.loads(models.get(model.model_id).tags["mlflow.modelVersions"])
    assert noted == [{"name": "cards", "version": 1}, {"name": "cards", "version": 2}]


def test_a_logged_model(table: Table, clock: Clock) -> None:
    models = LoggedModels(table, clock, Experiments(table, "s3://b/experiments", clock))
    made = models.create(experiment_id="0", name="model")
    assert made.artifact_uri == f"s3://b/experiments/0/models/{made.model_id}/artifacts"
    assert models.finalize(made.model_id, "LOGGED_MODEL_READY").status == "LOGGED_MODEL_READY"
    models.log_params(made.model_id, {"p": "1"})
    models.log_params(made.model_id, {"p": "1"})
    with pytest.raises(Refused):
        models.log_params(made.model_id, {"p": "2"})
    models.set_tags(made.model_id, {"a": "1", "b": "2"})
    models.delete_tag(made.model_id, "a")
    with pytest.raises(NotFound):
        models.delete_tag(made.model_id, "a")
    for step in (2, 1):
        point = Metric("auc", step / 10, 1, step, made.model_id, "cards", "d")
        table.write(*models.metric_writes("r", [point]))
    read = models.get(made.model_id)
    assert (read.params, read.tags) == ({"p": "1"}, {"b": "2"})
    assert [(run, m.value) for run, m in read.metrics] == [("r", 0.2)]
    models.delete(made.model_id)
    with pytest.raises(NotFound, match="Logged model with ID"):
        models.get(made.model_id)
    assert list(models.of_experiment("0")) == []
    assert models.finalize(made.model_id, "LOGGED_MODEL_UPLOAD_FAILED").lifecycle_stage == "deleted"
    with pytest.raises(NotFound):
        models.get("m-none")
