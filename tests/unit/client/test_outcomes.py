"""`labcycle outcomes send` and `show`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client import outcomes, row_parts
from labcycle.client.api import TeamApi
from labcycle_lambdas.outcomes.rows import Invalid, from_csv, outcome

ID = "3-20260301T100000Z-a1b2-1-0"


class Told:
    """What the API was asked, and what it answers."""

    def __init__(self) -> None:
        self.sent: list[list[dict[str, Any]]] = []
        self.answer: dict[str, Any] = {}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://abc.execute-api.eu-west-1.amazonaws.com")
    monkeypatch.setenv("COLUMNS", "200")

    def call(
        self: TeamApi,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
    ) -> dict[str, Any]:
        assert path == "/labcycle/1.0/models/card-fraud/outcomes"
        if method == "POST" and body:
            made.sent.append(body["outcomes"])
            return {"model": "card-fraud", "object": f"object-{len(made.sent)}", "rows": len(made.sent[-1])}
        return made.answer

    monkeypatch.setattr(TeamApi, "call", call)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["outcomes", *words])


def test_a_file_is_checked_and_sent_in_parts(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_parts, "PART_ROWS", 2)
    file = tmp_path / "march.csv"
    file.write_text(f"prediction_id,truth,value\n{ID},1,2.5\n{ID},007,\nx,1,\n{ID},True,\n{ID},1\n")
    answer = run("send", "card-fraud", str(file))
    assert answer.exit_code == 1, "two rows are wrong"
    assert told.sent == [
        [{"prediction_id": ID, "truth": 1, "value": 2.5}, {"prediction_id": ID, "truth": "007"}],
        [{"prediction_id": ID, "truth": True}],
    ]
    assert "card-fraud: 2 of 3 rows are sent" in answer.output
    assert "row 3: prediction_id: got 'x'" in answer.output
    assert "row 5: it has 2 values for 3 columns" in answer.output
    assert "card-fraud: 3 rows are right, 2 are not; 3 rows are sent" in answer.output


def test_nothing_is_sent_in_a_dry_run(told: Told, tmp_path: Path) -> None:
    file = tmp_path / "march.jsonl"
    file.write_text(json.dumps({"prediction_id": ID, "truth": 1}) + "\n\n[1]\n{\n")
    answer = run("send", "card-fraud", str(file), "--dry-run", "--json")
    found = json.loads(answer.output)
    assert (answer.exit_code, told.sent, found["rows"], found["sent"]) == (1, [], 1, 0)
    assert [one["row"] for one in found["rejected"]] == [2, 3]
    file.write_text(json.dumps({"prediction_id": ID, "truth": 1}) + "\n")
    assert run("send", "card-fraud", str(file), "--dry-run").exit_code == 0


@pytest.mark.parametrize(("name", "text"), [("a.txt", b"x"), ("a.csv", b""), ("a.csv", b"\xff\n"), ("none.csv", None)])
def test_a_file_that_cannot_be_read_is_told(told: Told, tmp_path: Path, name: str, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text)
    answer = run("send", "card-fraud", str(tmp_path / name))
    assert answer.exit_code != 0
    assert name in answer.output.replace("\n", "")
    assert told.sent == []


def test_what_is_known_is_shown(told: Told) -> None:
    value = {"rows": 3, "sum": 7.5, "standard_error": 0.5, "mean": 2.5}
    nothing = {"rows": 0, "sum": 0.0, "standard_error": None, "mean": None}
    day = {"rows": 4, "unmeasured": 0, "contradicted": 1, "metrics": {"accuracy": 0.5, "log_loss": 0.7}, "value": value}
    late = {"day": "2026-03-02", "rows": 0, "unmeasured": 0, "contradicted": 0, "metrics": {}, "value": nothing}
    told.answer = {
        "model": "card-fraud",
        "since": "2026-02-20",
        "waiting": 2,
        "versions": [{"version": 3, **day, "days": [{"day": "2026-03-01", **day}, late]}],
        "objects": [
            {"object": "a.csv", "rows": 9, "contradictory": 0, "unknown": 2, "invalid": 0, "rejected": "outcomes/r.jsonl",
             "first": {"row": 4, "reason": "There is no such prediction."}},
            {"object": "b.csv", "rows": 9, "contradictory": 0, "unknown": 0, "invalid": 0},
        ],
    }  # fmt: skip
    shown = run("show", "card-fraud").output
    assert "card-fraud, version 3" in shown
    assert "█" * 10 in shown
    assert "no truth yet" in shown
    assert "in all: log_loss 0.7" in shown
    assert "a.csv: of 9 rows 2 unknown; row 4: There is no such prediction." in shown
    assert "b.csv" not in shown
    assert "2 objects wait for the next evaluation" in shown
    assert json.loads(run("show", "card-fraud", "--json").output) == told.answer
    told.answer |= {"versions": []}
    assert "nothing is known of the predictions since 2026-02-20" in run("show", "card-fraud").output


def test_the_page_shows_how_to_send_from_python(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "outcomes.md").read_text()
    found = re.search(r"<!-- test: outcomes -->\n```python\n(.*?)```", page, re.DOTALL)
    assert found
    exec(found[1], {})  # noqa: S102 - ours
    assert capsys.readouterr().out == "object-1 2\n"
    assert [outcomes.problem(row) for row in told.sent[0]] == ["", ""]


cells = st.sampled_from(
    [
        ID,
        "x",
        "3-20261301T100000Z-a1b2-1-0",
        "",
        "1",
        "1.0",
        "007",
        "True",
        "1e3",
        "1e31",
        "nan",
        "2026-03-01",
        "now",
        "a" * 101,
    ]
)
values = st.one_of(
    cells, st.none(), st.booleans(), st.floats(), st.integers(-(10**31), 10**31), st.just("\ud800"), st.just([1])
)
records = st.dictionaries(
    st.sampled_from(["prediction_id", "truth", "value", "at", "label"]), values
) | st.fixed_dictionaries({"prediction_id": st.just(ID)}, optional={"truth": values, "value": values, "at": values})


@given(records)
def test_it_refuses_what_the_api_refuses(record: dict[str, Any]) -> None:
    try:
        outcome(record)
    except Invalid:
        assert outcomes.problem(record)
    else:
        assert outcomes.problem(record) == ""


@given(st.lists(cells, min_size=4, max_size=4))
def test_it_reads_a_csv_as_the_evaluator_does(line: list[str]) -> None:
    header = ["prediction_id", "truth", "value", "at"]
    [(record, why)] = outcomes._csv([",".join(header) + "\n", ",".join(line) + "\n"]) if any(line) else [({}, "")]
    assert (record, why) == (from_csv(header, line), "")
