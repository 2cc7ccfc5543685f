from __future__ import annotations

import pytest

from labcycle_lambdas.ledger.errors import AlreadyExists, NotFound, Refused
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from tests.unit.ledger.conftest import Clock, Faults

ROOT = "s3://bucket/experiments"


@pytest.fixture
def experiments(table: Table, clock: Clock) -> Experiments:
    return Experiments(table, ROOT, clock)


def test_the_default_experiment_is_there_in_an_empty_table(experiments: Experiments) -> None:
    assert experiments.get("0").name == "Default"
    assert experiments.get_by_name("Default").experiment_id == "0"
    assert [e.experiment_id for e in experiments.all()] == ["0"]
    assert experiments.get("0").artifact_location == f"{ROOT}/0"


def test_nobody_takes_the_name_of_the_default_experiment(experiments: Experiments) -> None:
    with pytest.raises(AlreadyExists):
        experiments.create("Default")
    assert experiments.get("0").name == "Default"


def test_it_is_found_by_name_and_by_id_right_after(experiments: Experiments) -> None:
    made = experiments.create("größer / card", tags={"a": "b"})
    assert made.experiment_id.isdigit()
    assert experiments.get_by_name("größer / card") == experiments.get(made.experiment_id) == made
    with pytest.raises(AlreadyExists):
        experiments.create("größer / card")
    with pytest.raises(NotFound, match="Could not find experiment with name 'none'"):
        experiments.get_by_name("none")
    for unknown in ("77", "0/HEADER", "x/y"):
        with pytest.raises(NotFound):
            experiments.get(unknown)


def test_a_create_whose_answer_was_lost_is_done(experiments: Experiments, faults: Faults) -> None:
    faults.lose_answer("TransactWriteItems", 0)
    made = experiments.create("e")
    assert faults.struck
    assert experiments.get_by_name("e") == made


def test_a_deleted_name_stays_taken_and_readable(experiments: Experiments) -> None:
    made = experiments.create("e")
    experiments.delete(made.experiment_id)
    assert experiments.get_by_name("e").lifecycle_stage == "deleted"
    with pytest.raises(Refused):
        experiments.set_tag(made.experiment_id, "a", "b")
    with pytest.raises(Refused):
        experiments.rename(made.experiment_id, "f")
    with pytest.raises(NotFound):
        experiments.delete(made.experiment_id)
    with pytest.raises(AlreadyExists):
        experiments.create("e")
    experiments.restore(made.experiment_id)
    with pytest.raises(NotFound):
        experiments.restore(made.experiment_id)


def test_rename_moves_the_name(experiments: Experiments) -> None:
    one, other = experiments.create("one"), experiments.create("other")
    with pytest.raises(AlreadyExists):
        experiments.rename(one.experiment_id, "other")
    experiments.rename(one.experiment_id, "new")
    experiments.rename(one.experiment_id, "new")
    assert experiments.get_by_name("new").experiment_id == one.experiment_id
    assert experiments.create("one").experiment_id not in (one.experiment_id, other.experiment_id)


def test_tags(experiments: Experiments) -> None:
    made = experiments.create("e", tags={"a": "1"})
    experiments.set_tag(made.experiment_id, "a", "2")
    experiments.set_tag(made.experiment_id, "b", "3")
    experiments.delete_tag(made.experiment_id, "a")
    assert experiments.get(made.experiment_id).tags == {"b": "3"}
    with pytest.raises(NotFound, match="No tag with name: a"):
        experiments.delete_tag(made.experiment_id, "a")


def test_deleting_hides_all_runs_and_restoring_shows_them_all(
    experiments: Experiments, table: Table, clock: Clock
) -> None:
    runs = Runs(table, clock, experiments)
    e = experiments.create("e").experiment_id
    one, other = (runs.create(experiment_id=e, user_id="u").run_id for _ in range(2))
    runs.delete(one)

    def stages() -> list[str]:
        return [runs.get(run_id).lifecycle_stage for run_id in (one, other)]

    assert stages() == ["deleted", "active"]
    experiments.delete(e)
    assert stages() == ["deleted", "deleted"]
    assert {run.lifecycle_stage for run in runs.of_experiment(e)} == {"deleted"}
    experiments.restore(e)
    assert stages() == ["active", "active"]  # also the one that was deleted before: MLflow's rule
    runs.delete(other)
    assert stages() == ["active", "deleted"]
