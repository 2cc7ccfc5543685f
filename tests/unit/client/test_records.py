"""`labcycle records send`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client import row_parts
from labcycle.client.api import ApiError, TeamApi
from labcycle.config import Model
from labcycle_lambdas.lifecycle import sent_rows
from labcycle_lambdas.lifecycle.record_rows import record


class Told:
    """What the API was asked; it refuses parts with the prediction `wrong`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keeps = True


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://abc.execute-api.eu-west-1.amazonaws.com")
    monkeypatch.setattr(row_parts, "PART_ROWS", 2)
    monkeypatch.setenv("COLUMNS", "300")

    def call(self: TeamApi, method: str, path: str, *, body: Mapping[str, Any]) -> dict[str, Any]:
        assert (method, path) == ("POST", "/labcycle/1.0/models/card-fraud/records")
        rows = body["records"]
        if any(row["prediction"] == "wrong" for row in rows):
            raise ApiError("1 of 2 rows are no records, and none was taken. Row 2: it is wrong", status=400)
        made.asked.append(dict(body))
        kept = made.keeps and not body.get("dry_run")
        ids = [f"3-20260301T100000Z-records-{len(made.asked)}-{number}" for number in range(len(rows))] if kept else []
        return {"model": "card-fraud", "version": body["version"], "rows": len(rows), "prediction_ids": ids}

    monkeypatch.setattr(TeamApi, "call", call)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["records", *words])


def file(folder: Path, *predictions: object) -> str:
    path = folder / "march.jsonl"
    rows = [{"prediction": p, "features": {"amount": n}, "id": f"r-{n}"} for n, p in enumerate(predictions)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return str(path)


def test_a_file_is_sent_in_parts_and_its_ids_are_written(told: Told, tmp_path: Path) -> None:
    ids = tmp_path / "ids.jsonl"
    answer = run("send", "card-fraud", file(tmp_path, 0, 1, 0), "--version", "3", "--ids", str(ids))
    assert answer.exit_code == 0, answer.output
    assert [(body["version"], len(body["records"])) for body in told.asked] == [(3, 2), (3, 1)]
    assert "card-fraud: 2 of 3 rows are sent" in answer.output
    assert "card-fraud: 3 rows of version 3 are counted" in answer.output
    assert "labcycle monitor status card-fraud" in answer.output
    assert [json.loads(line) for line in ids.read_text().splitlines()] == [
        {"id": "r-0", "prediction_id": "3-20260301T100000Z-records-1-0"},
        {"id": "r-1", "prediction_id": "3-20260301T100000Z-records-1-1"},
        {"id": "r-2", "prediction_id": "3-20260301T100000Z-records-2-0"},
    ]


def test_as_json(told: Told, tmp_path: Path) -> None:
    answer = run("send", "card-fraud", file(tmp_path, 0), "--version", "3", "--json")
    ids = ["3-20260301T100000Z-records-1-0"]
    assert json.loads(answer.output) == {"model": "card-fraud", "version": 3, "rows": 1, "prediction_ids": ids}


def test_a_dry_run_lets_the_api_check(told: Told, tmp_path: Path) -> None:
    answer = run("send", "card-fraud", file(tmp_path, 0, 1, 0), "--version", "3", "--dry-run")
    assert [body["dry_run"] for body in told.asked] == [True, True]
    assert "card-fraud: 3 rows are right; nothing is kept (--dry-run)" in answer.output


def test_it_is_told_what_the_ids_are_for(told: Told, tmp_path: Path) -> None:
    assert "--ids FILE writes the ids" in run("send", "card-fraud", file(tmp_path, 0), "--version", "3").output
    told.keeps = False
    ids = tmp_path / "ids.jsonl"
    answer = run("send", "card-fraud", file(tmp_path, 0), "--version", "3", "--ids", str(ids))
    assert "their predictions are not kept" in answer.output and not ids.exists()


def test_a_refusal_says_where_and_what_was_sent_before(told: Told, tmp_path: Path) -> None:
    answer = run("send", "card-fraud", file(tmp_path, 0, 1, 0, "wrong"), "--version", "3")
    assert answer.exit_code == 2
    message = answer.output
    assert "march.jsonl, rows 3 to 4, numbered from 1 here: 1 of 2 rows are no records" in message
    assert "the 2 rows before are counted, and count no second time when the file is sent again" in message
    first = run("send", "card-fraud", file(tmp_path, 0, "wrong", 0), "--version", "3")
    assert "(nothing is counted)" in first.output
    alone = run("send", "card-fraud", file(tmp_path, "wrong"), "--version", "3")
    assert "march.jsonl" not in alone.output and "Row 2: it is wrong" in alone.output


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "march.csv",
            b"prediction\n1\n",
            "march.csv: got a file whose name ends with .csv; allowed .jsonl and .ndjson",
        ),
        ("march.jsonl", b"", "march.jsonl: got no rows; allowed is JSON Lines with a record a line"),
        ("march.jsonl", b"{\n", "march.jsonl, row 1: it is not valid JSON"),
        ("march.jsonl", b"{}\n\n[1]\n", "march.jsonl, row 2: it must be an object. Nothing was sent"),
        ("march.jsonl", b"\xff\xfe", "march.jsonl cannot be read: "),
        ("march.jsonl", None, "march.jsonl cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_sent(told: Told, tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    answer = run("send", "card-fraud", str(path), "--version", "3")
    assert answer.exit_code == 2 and said in answer.output
    assert told.asked == []


def test_ids_that_cannot_be_written_are_told_after_all_is_sent(told: Told, tmp_path: Path) -> None:
    answer = run("send", "card-fraud", file(tmp_path, 0), "--version", "3", "--ids", str(tmp_path / "no" / "ids"))
    assert "cannot be written: No such file or directory. All rows are sent" in answer.output
    assert len(told.asked) == 1


def test_parts_are_what_the_api_takes() -> None:
    assert sent_rows.MOST_ROWS == 5_000 and row_parts.PART_BYTES < sent_rows.MOST_BYTES


def test_the_page_shows_how_to_send_from_python(told: Told) -> None:
    page = (Path(__file__).parents[3] / "docs" / "records.md").read_text()
    found = re.search(r"<!-- test: records -->\n```python\n(.*?)```", page, re.DOTALL)
    assert found
    made: dict[str, Any] = {}
    exec(found[1], made)  # noqa: S102 - ours
    assert [record(row).id for row in told.asked[0]["records"]] == ["order-1", "order-2"]
    assert made["ids"]["order-2"] == "3-20260301T100000Z-records-1-1"
    team = re.search(r"```yaml\n(models:.*?)```", page, re.DOTALL)
    assert team
    (model,) = yaml.safe_load(team[1])["models"]
    assert Model.model_validate(model, strict=False).external
