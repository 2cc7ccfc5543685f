"""On which rows versions are compared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.reaction import holdout as module
from labcycle_lambdas.reaction.cannot_react import CannotReact
from labcycle_lambdas.reaction.holdout import Holdout, checked_prefix, holdout
from tests.unit.serving.workshop import BUCKET, MODEL, World


def run_of(world: World, table: Any) -> Run:
    run_id = world.run({"holdout.json": json.dumps(table).encode()})
    return Runs(world.table, experiments=Experiments(world.table, f"s3://{BUCKET}/experiments")).get(run_id)


def lay(world: World, name: str, body: str | bytes) -> None:
    world.s3.put_object(
        Bucket=BUCKET, Key=checked_prefix(MODEL) + name, Body=body.encode() if isinstance(body, str) else body
    )


def held(world: World) -> Holdout:
    run = run_of(world, {"columns": ["target", "x"], "data": [[1, 0.5], [0, 1.5]]})
    return holdout(world.s3, BUCKET, MODEL, run)


def test_it_is_the_recipes_where_nobody_checked_any(world: World) -> None:
    lay(world, "notes.txt", "no rows")
    lay(world, "empty.csv", "")
    found = held(world)
    assert (found.rows.columns, found.rows.rows, found.truth, found.checked) == (["x"], [[0.5], [1.5]], [1, 0], False)


def test_rows_that_people_checked_come_before_the_recipes(world: World) -> None:
    lay(world, "a.csv", "x,word,label\n1,b,yes\n2.5,,no\n")
    lay(world, "b/c.csv", "\ufeffx,word,label\n-3,1_0,no\n\n")
    found = held(world)
    assert found.rows.columns == ["x", "word"]
    assert found.rows.rows == [[1, "b"], [2.5, None], [-3, "1_0"]]
    assert (found.truth, found.checked) == (["yes", "no", "no"], True)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"}, "b.csv has other columns than the files before it: x, z"),
        ({"a.csv": "x,y\n1,2\n1\n"}, "row 2 of .*a.csv is none: It has 1 values for 2 columns"),
        ({"a.csv": "y\n1\n"}, "need a feature before the target, and a row"),
        ({"a.csv": "x,y\n"}, "need a feature before the target, and a row"),
        ({"a.csv": b"x,y\n\xff,1\n"}, "a.csv cannot be read: it is not UTF-8"),
        ({"a.csv": "\n\n"}, "a.csv cannot be read: it is empty"),
    ],
)
def test_what_cannot_be_read_is_told(world: World, files: dict[str, str | bytes], told: str) -> None:
    for name, body in files.items():
        lay(world, name, body)
    with pytest.raises(CannotReact, match=told):
        held(world)


def test_too_much_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    lay(world, "a.csv", "x,y\n1,2\n3,4\n")
    with pytest.raises(CannotReact, match="lay fewer there"):
        held(world)
