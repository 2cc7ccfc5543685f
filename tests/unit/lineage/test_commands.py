"""`labcycle explain` and `labcycle runs`, over HTTP, on what the protocol left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client.uncommitted import find_checkout
from labcycle.lineage.cli import parse
from tests.unit.client.test_uncommitted import git, repository  # noqa: F401 - a fixture
from tests.unit.lineage.conftest import Team
from tests.unit.lineage.test_explanation import MODEL, register

Call = Callable[..., Result]
EVIL = "<script>alert(1)</script> | `größer/kleiner` [x](javascript:1)"


@pytest.fixture
def call(team: Team, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])


def document(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def log(team: Team, run_id: str, **what: dict[str, Any]) -> None:
    """`metrics` (a value or a list of them), `params`, `tags`."""
    body: dict[str, Any] = {"run_id": run_id}
    for kind, values in what.items():
        body[kind] = [{"key": key, "value": value} for key, value in values.items() if not isinstance(value, list)]
        body[kind] += [
            {"key": key, "value": one, "step": step}
            for key, value in values.items()
            if isinstance(value, list)
            for step, one in enumerate(value)
        ]
        if kind == "metrics":
            body[kind] = [{"timestamp": 1, "step": 0, **point} for point in body[kind]]
    team.api.ok("POST", "runs/log-batch", body)


def a_run(team: Team, name: str = "first", **what: dict[str, Any]) -> str:
    run_id = team.api.run(run_name=name)
    if what:
        log(team, run_id, **what)
    return run_id


class Page(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def count(self, tag: str) -> int:
        return sum(1 for name, _ in self.tags if name == tag)


def test_parts(team: Team, call: Call) -> None:
    run_id = a_run(team, params={"C": "1"}, metrics={"accuracy": 0.9})
    said = document(call("runs", "parts", run_id, "--json"), 1)
    assert (said["complete"], len(said["parts"]), said["inputs"]) == (False, 6, [])
    shown = call("runs", "parts", run_id)
    assert shown.exit_code == 1
    assert "not recorded: no data set was logged" in shown.output
    assert "libraries: call labcycle.client.record.snapshot() in the run" in shown.output


def test_a_run_that_is_not_there_or_not_ours(call: Call) -> None:
    for words in (("parts", "x"), ("ancestry", "x"), ("compare", "x", "y"), ("derive", "x"), ("reproduce", "x")):
        said = call("runs", *words)
        assert (said.exit_code, "Run with id=x not found" in said.output) == (2, True), said.output


def test_explain_text_json_and_pages(team: Team, call: Call, tmp_path: Path) -> None:
    old = a_run(team, EVIL, metrics={"loss": 0.5})
    run_id = team.api.run(run_name=EVIL, tags=[{"key": "lineage.derived_from", "value": old}])
    log(team, run_id, params={"note": EVIL}, metrics={"loss": [0.9, "NaN", 0.4, 0.3], "accuracy": 0.9})
    dataset = {"name": EVIL, "digest": "0a", "source_type": "s3", "source": '{"uri": "s3://b/k"}'}
    team.api.ok("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": []}]})
    register(team, old)
    register(team, run_id)
    team.promote(MODEL, 2)

    html, markdown = tmp_path / "card.html", tmp_path / "card.md"
    shown = call("explain", MODEL, "--html", html, "--markdown", markdown)
    assert shown.exit_code == 0, shown.output
    for words in (
        "version 2",
        "promoted by reviewer-1",
        run_id,
        "derived from",
        "s3://b/k",
        "the chain of hashes is whole",
    ):
        assert words in shown.output
    assert EVIL in shown.output

    page = Page(html.read_text())
    assert page.count("script") == 0
    assert "<script>alert(1)</script>" in page.words  # as text
    assert not [attrs for _, attrs in page.tags if {"src", "href", "onload"} & attrs.keys()]
    assert page.count("svg") == 2  # the history of loss, and loss over the versions
    polylines = [str(attrs["points"]) for tag, attrs in page.tags if tag == "polyline"]
    assert len(polylines[0].split()) == 2  # what comes after the gap; the first point stands alone
    assert "nan" not in " ".join(polylines)

    card = markdown.read_text()
    assert "<script>" not in card
    rows = [line for line in card.splitlines() if line.startswith("| note")]
    assert rows and rows[0].count(" | ") == 1
    assert "- derived from" in card

    assert document(call("explain", f"{MODEL}@champion", "--json"))["version"]["version"] == 2
    assert document(call("explain", f"{MODEL}/1", "--json"))["deployment"]["live"] is False
    for wrong in ("nobody", f"{MODEL}@nobody", f"{MODEL}/9", "a/b/1"):
        assert call("explain", wrong).exit_code == 2
    assert call("explain", MODEL, "--html", tmp_path / "no" / "x.html").exit_code == 2


def test_explain_of_a_model_without_a_run(team: Team, call: Call, tmp_path: Path) -> None:
    register(team)
    shown = call("explain", MODEL, "--html", tmp_path / "c.html", "--markdown", tmp_path / "c.md")
    assert shown.exit_code == 0, shown.output
    for said in (shown.output, (tmp_path / "c.html").read_text(), (tmp_path / "c.md").read_text()):
        assert "registered without a run" in said


def test_explain_where_a_run_is_gone_or_has_no_time(team: Team, call: Call, tmp_path: Path) -> None:
    nanoseconds = 1_791_000_000_000_000_000
    run_id = team.api.run(start_time=nanoseconds)
    log(team, run_id, metrics={"loss": 0.5})
    register(team, a_run(team, metrics={"loss": 0.7}))
    register(team, "f" * 32)
    register(team, run_id)
    shown = call("explain", MODEL, "--html", tmp_path / "c.html", "--markdown", tmp_path / "c.md")
    assert shown.exit_code == 0, shown.output
    for said in (shown.output, (tmp_path / "c.html").read_text(), (tmp_path / "c.md").read_text()):
        assert str(nanoseconds) in said
    dots = [tag for tag, _ in Page((tmp_path / "c.html").read_text()).tags if tag == "circle"]
    assert len(dots) == 2  # a gap between them
    assert str(nanoseconds) in call("runs", "compare", run_id, run_id).output


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("m", ("m", "", "")),
        ("m@champion", ("m", "", "champion")),
        ("models:/m/3", ("m", "3", "")),
        ("a@b@c", ("a@b", "", "c")),
        ("@a", ("@a", "", "")),
    ],
)
def test_how_a_version_is_named(text: str, parsed: tuple[str, str, str]) -> None:
    assert parse(text) == parsed


def test_compare(
    team: Team,
    call: Call,
    repository: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = find_checkout(repository)
    (repository / "größer.py").write_text("x\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "second")
    second = find_checkout(repository)
    assert first and second
    lock_a, lock_b = (
        b"numpy==2.1\npandas==2.2\n# mine==1 was installed from a folder\n",
        b"numpy==2.2\nscipy==1.1\n# mine==1\n",
    )
    a = a_run(
        team,
        "a",
        params={"C": "1", "seed": "7"},
        metrics={"loss": [3, 2, 1], "odd": "NaN"},
        tags={"mlflow.source.git.commit": first.commit, "lineage.python": "3.11.7", "kind": "x"},
    )
    b = a_run(
        team,
        "b",
        params={"C": "2", "seed": "7", "new": "ü/ß"},
        metrics={"loss": [4, 3, 2], "odd": "NaN"},
        tags={"mlflow.source.git.commit": second.commit, "lineage.python": "3.12.1", "kind": "x"},
    )
    for run_id, lock in ((a, lock_a), (b, lock_b)):
        team.artifact(run_id, "lineage/requirements.txt", lock)
        log(team, run_id, tags={"lineage.requirements": hashlib.sha256(lock).hexdigest()})
    monkeypatch.chdir(repository)
    said = document(call("runs", "compare", a, b, "--json"))
    assert {p["key"]: (p["a"], p["b"]) for p in said["params"]["different"]} == {"C": ("1", "2"), "new": (None, "ü/ß")}
    assert said["params"]["same"] == 1
    assert {m["key"]: m["difference"] for m in said["metrics"]} == {"loss": 1.0, "odd": "NaN"}
    assert said["code"]["files"] == ["A\tgrößer.py"]
    assert said["code"]["same"] is False
    assert {p["key"]: (p["a"], p["b"]) for p in said["libraries"]["different"]} == {
        "numpy": ("2.1", "2.2"),
        "pandas": ("2.2", None),
        "scipy": (None, "1.1"),
    }
    assert (said["libraries"]["same"], said["tags"]) == (1, {"different": [], "same": 1})
    assert said["environment"]["different"] == [{"key": "python", "a": "3.11.7", "b": "3.12.1"}]

    shown = call("runs", "compare", a, b, "--html", tmp_path / "c.html")
    assert shown.exit_code == 0, shown.output
    assert "parameters: 2 differ, 1 the same" in shown.output
    page = Page((tmp_path / "c.html").read_text())
    assert [attrs["class"] for tag, attrs in page.tags if tag == "polyline"] == ["s0", "s1"]


def test_compare_says_what_it_cannot_tell(team: Team, call: Call) -> None:
    a, b = a_run(team, "a"), a_run(team, "b", tags={"mlflow.source.git.commit": "--output=/tmp/x"})
    team.artifact(b, "lineage/requirements.txt", b"numpy==1\n")
    log(team, b, tags={"lineage.requirements": "0" * 64})
    team.api.ok("POST", "runs/delete", {"run_id": a})
    said = document(call("runs", "compare", a, b, "--json"))
    assert said["a"]["lifecycle_stage"] == "deleted"
    assert said["libraries"]["unknown"] == [
        f"run {a} recorded no libraries",
        f"the artifact lineage/requirements.txt of run {b} was changed: its SHA-256 is not {'0' * 64}.",
    ]
    assert "deleted" in call("runs", "compare", a, b).output
    assert document(call("runs", "compare", b, b, "--json"))["params"] == {"different": [], "same": 0}


def test_compare_where_code_was_left_out_and_data_has_one_name(team: Team, call: Call, tmp_path: Path) -> None:
    tags = {"mlflow.source.git.commit": "0" * 40, "lineage.uncommitted": "none"}
    a, b = a_run(team, "a", tags=tags), a_run(team, "b", tags=tags)
    for run_id, digests in ((a, ("0a", "0c")), (b, ("0b", "0c"))):
        sets = [{"name": "dataset", "digest": digest, "source_type": "s3", "source": "{}"} for digest in digests]
        body = {"run_id": run_id, "datasets": [{"dataset": one, "tags": []} for one in sets]}
        team.api.ok("POST", "runs/log-inputs", body)
    said = document(call("runs", "compare", a, b, "--json"))
    assert said["data"]["different"] == [{"key": "dataset (no context)", "a": "0a, 0c", "b": "0b, 0c"}]
    assert (said["code"]["same"], said["code"]["unknown"]) == (True, [])
    log(team, b, tags={"lineage.left_out": "größer.csv (2.0 MB, more than 1 MB)"})
    lacks = f"what run {b} left out is not known: größer.csv (2.0 MB, more than 1 MB)"
    said = document(call("runs", "compare", a, b, "--json"))
    assert (said["code"]["same"], said["code"]["unknown"]) == (False, [lacks])
    shown = call("runs", "compare", a, b, "--html", tmp_path / "c.html")
    assert lacks in " ".join(shown.output.split())
    assert lacks in Page((tmp_path / "c.html").read_text()).words


def test_derive_and_ancestry(team: Team, call: Call) -> None:
    source = a_run(team, "größer/kleiner", params={"C": "1", "seed": "7"})
    made = document(call("runs", "derive", source, "--set", "C=0.1", "--set", "note=a=b", "--name", "next", "--json"))
    run = team.api.ledgers.runs.get(made["run_id"])
    assert run.params == {"C": "0.1", "seed": "7", "note": "a=b"}
    assert (run.name, run.status) == ("next", "SCHEDULED")
    shown = call("runs", "ancestry", made["run_id"])
    assert (shown.exit_code, f"derived from {source} (größer/kleiner" in shown.output) == (0, True), shown.output
    assert document(call("runs", "ancestry", source, "--json"))["ancestry"] == []
    assert call("runs", "derive", source).stdout.strip() in [r.run_id for r in team.api.ledgers.runs.of_experiment("0")]
    for wrong in ("C", "=1", "C=1 --set C=2"):
        assert call("runs", "derive", source, "--set", *wrong.split()).exit_code == 2
