"""Dashboard, saved queries and what is published of a model: they name what is really there."""

from __future__ import annotations

import ast
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from labcycle import _http_api
from labcycle.config import names
from labcycle.monitoring.saved_queries import QUERIES, Log
from labcycle.serving import _rest_api
from labcycle_lambdas.model_server.journal import Journal
from labcycle_lambdas.monitoring.evaluation_line import evaluation_line
from tests.synth.platform.conftest import SynthesizedStack
from tests.synth.platform.dashboard_picture import PICTURE, body, example, picture
from tests.synth.platform.test_variants import lab, lab_assembly  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[3]
SERVER = ROOT / "lambdas" / "labcycle_lambdas" / "model_server"
PAGE = ROOT / "docs" / "monitoring-views.md"
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
OF_THE_LANGUAGE = {
    *("fields", "filter", "stats", "sort", "limit", "by", "as", "and", "or", "not", "like", "desc", "asc", "bin"),
    *("count", "max", "min", "latest", "ispresent", "pct"),
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return example(tmp_path_factory.mktemp("watched"))


def of_type(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one["Properties"] for one in template["Resources"].values() if one["Type"] == kind]


def fields_of(query: str) -> set[str]:
    """The fields that a query names, without those that it makes."""
    bare = re.sub(r'"[^"]*"|/[^/\s]*/|\b\d+[hmd]?\b', " ", query)
    made = set(re.findall(r"\bas (\w+)", bare))
    found = set(re.findall(r"@?[A-Za-z_][\w.]*", bare))
    return {one for one in found if not one.startswith("@")} - OF_THE_LANGUAGE - made


def logged_by_servers() -> set[str]:
    """Fields of the lines that a model server writes: those of every line, and those that are given where it writes one."""
    lines: list[str] = []
    Journal("team", "model", lines.append, lambda: 0).error("said")
    fields = set(json.loads(lines[0]))
    for module in SERVER.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and re.search(r"journal\.(error|count)$", ast.unparse(node.func)):
                fields |= {keyword.arg for keyword in node.keywords if keyword.arg}
    return fields


def logged_by_evaluators() -> set[str]:
    judged = [
        {"subject": subject, "verdict": "good", "reason": "so", "figures": {"value": 1.0, "limit": 0.5}}
        for subject in ("performance", "business", "freshness")
    ]
    evaluation = {"model": "m", "version": 1, "rows": 5, "evaluated_at": "2026", "verdict": "stable", "reason": "so"}
    line = json.loads(evaluation_line({**evaluation, "features": {"a": 0.1}, "threshold": 0.2, "judgements": judged}))
    return {f"{key}.{part}" for key, value in line.items() if isinstance(value, dict) for part in value} | set(line)


FIELDS: dict[Log, set[str]] = {
    "access": set(_http_api._ACCESS_LOG) & set(_rest_api._ACCESS_LOG),
    "server": logged_by_servers(),
    "evaluator": logged_by_evaluators(),
}


@pytest.mark.parametrize("query", QUERIES, ids=[query.name for query in QUERIES])
def test_a_query_names_fields_that_its_log_has(query: Any) -> None:
    named = fields_of(query.text)
    assert named, "no field is read out of it: the test is blind"
    assert named <= FIELDS[query.log], f"{query.name}: {named - FIELDS[query.log]}"
    assert (
        len(query.text) <= 10_000
    )  # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html


def test_the_evaluator_says_what_the_queries_filter_by() -> None:
    line = json.loads(
        evaluation_line(
            {
                "model": "m",
                "version": None,
                "rows": 0,
                "evaluated_at": "2026",
                "verdict": "stable",
                "reason": "",
                "features": {},
                "threshold": 1,
            }
        )
    )
    assert line["message"] == "evaluated" and "value" not in line["drift"]
    assert sum('message = "evaluated"' in query.text for query in QUERIES) == 1


def test_each_query_is_of_its_models_logs(lab: dict[str, SynthesizedStack]) -> None:  # noqa: F811
    for model, logs in (
        ("plain", {"access", "server"}),
        ("watched", {"access", "server", "evaluator"}),
        ("only-batched", set()),
    ):
        template = lab[f"labcycle-lab-model-{model}"].template
        found = {one["Name"]: one for one in of_type(template, "AWS::Logs::QueryDefinition")}
        assert set(found) == {names.saved_query("lab", model, query.name) for query in QUERIES if query.log in logs}
        groups = {key for key, one in template["Resources"].items() if one["Type"] == "AWS::Logs::LogGroup"}
        for one in found.values():
            assert one["LogGroupNames"] and {group["Ref"] for group in one["LogGroupNames"]} <= groups


def test_the_page_lists_the_queries() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for query in QUERIES:
        assert f"| `{query.name}` | {query.log} | {query.shows} |" in page


def test_a_model_has_a_dashboard_where_its_file_says_so(lab: dict[str, SynthesizedStack]) -> None:  # noqa: F811
    for stack in lab.values():
        assert not of_type(stack.template, "AWS::CloudWatch::Dashboard")


def test_the_dashboard_shows_operation_and_what_is_judged(watched: dict[str, Any]) -> None:
    (dashboard,) = of_type(watched, "AWS::CloudWatch::Dashboard")
    assert dashboard["DashboardName"] == "labcycle-lab-card-fraud"
    widgets = body(watched)["widgets"]
    titles = [widget["properties"].get("title", "") for widget in widgets]
    assert titles[1:] == [
        "Alarms",
        "Requests, errors (5xx) and refusals (4xx)",
        "Time to answer",
        "At once",
        "Drift: the highest figure of all columns",
        "Performance",
        "Business value",
        "Live version: each step is a deployment",
    ]
    alarms = [one for one in watched["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert len(widgets[1]["properties"]["alarms"]) == len(alarms) > 1
    rows: dict[int, int] = {}
    for widget in widgets:
        rows[widget["y"]] = rows.get(widget["y"], 0) + widget["width"]
    assert set(rows.values()) == {24}


def test_the_dashboard_pays_for_no_metric_and_reads_real_fields(watched: dict[str, Any]) -> None:
    for widget in body(watched)["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            assert metric[0].startswith("AWS/"), metric
        if query := widget["properties"].get("query"):
            text = query.partition("|")[2]  # before it stands the source
            assert fields_of(text) <= FIELDS["evaluator"]


def test_the_picture_is_of_this_dashboard(watched: dict[str, Any]) -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(body(watched)), (
        "run: python -m tests.synth.platform.dashboard_picture"
    )


def test_a_model_publishes_what_its_file_says(lab: dict[str, SynthesizedStack]) -> None:  # noqa: F811
    template = lab["labcycle-lab-model-reacting"].template
    published = {one["Name"]: one["Value"] for one in of_type(template, "AWS::SSM::Parameter")}
    said = json.loads(published[names.declared_parameter("lab", "reacting")])
    assert said["business_owner"] == "owner@example.com"
    assert said["monitor"]["drift"] == {
        "method": "psi",
        "limit": 0.2,
        "minimum_rows": 500,
        "every_minutes": 60,
        "window_hours": 24,
    }
    assert [(one["on"], one["do"]) for one in said["react"]] == [(["drift"], "retrain")]
    plain = {
        one["Name"]: one["Value"] for one in of_type(lab["labcycle-lab-model-plain"].template, "AWS::SSM::Parameter")
    }
    assert json.loads(plain[names.declared_parameter("lab", "plain")])["monitor"] is None


def test_the_evaluator_prints_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from labcycle_lambdas.monitoring import handler

    evaluation = {
        "model": "m",
        "version": 1,
        "rows": 0,
        "evaluated_at": "2026",
        "verdict": "not_enough_data",
        "reason": "",
        "features": {},
        "threshold": 1,
        "judgements": [],
        "errors": {},
    }

    class Evaluator:
        def evaluate(self, at: object, who: object, has_time: object) -> dict[str, Any]:
            return evaluation

    class Context:
        function_name = aws_request_id = "x"

    for name in ("LEDGER_TABLE", "TEAM", "MODEL"):
        monkeypatch.setenv(name, "1")
    drift = {"method": "psi", "threshold": 0.2, "minimum_rows": 1, "persistence": 1, "window_hours": 1}
    monkeypatch.setenv("MONITOR", json.dumps({"drift": drift}))
    monkeypatch.setattr(handler, "evaluator", lambda environment: Evaluator())
    monkeypatch.setattr(handler, "_client", lambda service: None)
    with redirect_stdout(io.StringIO()) as printed:
        handler.handle({}, Context())
    assert printed.getvalue().strip() == evaluation_line(evaluation)
