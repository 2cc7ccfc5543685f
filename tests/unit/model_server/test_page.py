"""The page on which people try a model."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pytest

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.ledger.deployments import Deployments, Pause
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.model_server.live import CACHE_SECONDS
from labcycle_lambdas.model_server.page import page, policy, usual
from labcycle_lambdas.model_server.schema import COLUMN_TYPES, Column, Schema
from labcycle_lambdas.profiles import Reference
from tests.unit.model_server.bench import SPLIT, Bench
from tests.unit.serving.workshop import (
    MODEL,
    REVIEWER,
    Trained,
    classifier,
    mixed,
    reference_table,
    regressor,
    request,
    without_signature,
)

EVIL = "</script><script>alert(1)</script><!--\u2028\u2029&amp;__MODEL__\ud800"
FILE = DeployedFile("model.onnx", "k", "v", "0" * 64, 1)


class Elements(HTMLParser):
    """The elements of a page, with their attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found:
            self.texts[len(self.found) - 1] = self.texts.get(len(self.found) - 1, "") + data

    def told(self) -> Any:
        (text,) = [self.texts[at] for at, (_, attributes) in enumerate(self.found) if attributes.get("id") == "model"]
        return json.loads(text)


def deployed(signature: Any = None, reference: Any = None) -> Deployed:
    return Deployed(3, "run", FILE, (FILE,), signature, reference, "2026-03-01T00:00:00Z", "reviewer-1")


def asked(bench: Bench) -> tuple[int, Any]:
    answer = bench.server.answer(request("GET", "/app"))
    event = answer.to_event()
    assert event["headers"]["content-type"] == "text/html; charset=utf-8"
    assert event["headers"]["content-security-policy"] == policy()
    return answer.status, Elements(event["body"]).told()


def pause(bench: Bench, answer: object, reason: str = "") -> None:
    Deployments(bench.world.table).pause(MODEL, answer, REVIEWER, reason=reason)
    bench.clock.pass_seconds(CACHE_SECONDS)


def test_data_stay_data() -> None:
    schema = Schema(columns=(Column(EVIL, "string"),))
    table = Reference.from_table([EVIL, "prediction"], [[EVIL, EVIL]]).to_doc()
    doc = deployed({"inputs": [], "outputs": []}, table)
    html = page(EVIL, doc, schema, pause=Pause(None, EVIL, EVIL, EVIL), problem=EVIL)
    plain = page(MODEL)
    assert [tag for tag, _ in Elements(html).found] == [tag for tag, _ in Elements(plain).found]
    assert html.count("<") == plain.count("<")
    assert html.count("<!--") == 0
    assert not set(html) & {"\u2028", "\u2029"}
    told = Elements(html).told()
    assert told["model"] == told["problem"] == told["columns"][0]["name"] == told["columns"][0]["usual"] == EVIL
    html.encode()


def test_the_page_asks_for_nothing_elsewhere_and_runs_its_own_script_alone() -> None:
    html = page(MODEL)
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy()
    assert policy().startswith("default-src 'none'; ") and "unsafe" not in policy()
    for _, attributes in Elements(html).found:
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes)
        assert attributes.get("href", "data:,") == "data:,"
    assert set(re.findall(r"https?://[^\"' ]+", html)) == {"http://www.w3.org/2000/svg"}  # a name space


def test_each_type_has_its_field() -> None:
    schema = Schema(columns=tuple(Column(kind, kind, required=kind != "double") for kind in COLUMN_TYPES))
    rows = [[place % 3 > 0, place, 2**40 + place, 0.5, float(place), "ab"[place % 2]] for place in range(11)]
    told = Elements(page(MODEL, deployed(None, Reference.from_table(COLUMN_TYPES, rows).to_doc()), schema)).told()
    assert [(field["name"], field["type"], field["needed"]) for field in told["columns"]] == [
        (kind, kind, kind != "double") for kind in COLUMN_TYPES
    ]
    values = {field["name"]: field["usual"] for field in told["columns"]}
    assert values["boolean"] is True and values["string"] == "a" and values["float"] == 0.5
    assert isinstance(values["integer"], int) and values["integer"] == pytest.approx(5, abs=1)
    assert isinstance(values["long"], int)
    assert values["double"] == pytest.approx(5, abs=1)
    assert next(field["choices"] for field in told["columns"] if field["name"] == "string") == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([7.25] * 50, "double", 7.25),
        ([0.0] * 60 + [float(n) for n in range(1, 41)], "double", 0.0),
        ([123456.0] * 50 + [1.0], "double", 123456.0),
        ([float(n) for n in range(1001)], "double", 500),
        ([2.0**40] * 9, "integer", 2**31 - 1),
        ([None] * 9, "double", None),
        ([True, False, True], "boolean", True),
        (["a", "b", "b"], "string", "b"),
        ([1.0, 2.0], "string", None),
        (["a"], "double", None),
        (["perhaps"], "boolean", None),
    ],
)
def test_what_is_usual(values: list[Any], kind: str, expected: Any) -> None:
    (counted,) = Reference.from_table(["x"], [[value] for value in values]).columns
    found = usual(Column("x", kind), counted)
    assert found == (pytest.approx(expected, rel=0.01) if isinstance(expected, float | int) else expected)
    assert isinstance(found, type(expected)) or kind == "double"


def test_the_form_is_filled_from_the_reference_of_the_live_version(bench: Bench) -> None:
    bench.serve(classifier(), run_id=bench.world.run({"reference.json": reference_table()}))
    status, told = asked(bench)
    assert (status, told["version"], told["inputs"], told["labels"]) == (200, 1, "columns", True)
    assert all(-0.5 < field["usual"] < 0.5 for field in told["columns"])
    bench.serve(mixed())
    _, told = asked(bench)
    assert (told["version"], told["labels"]) == (2, True), "by the signature's outputs"
    assert [(field["usual"], field["choices"]) for field in told["columns"]] == [(None, []), (None, [])]


@pytest.mark.parametrize(("model", "inputs"), [(without_signature(), "unknown"), (regressor(), "tensors")])
def test_a_model_without_columns_gets_no_form(bench: Bench, model: Trained, inputs: str) -> None:
    bench.serve(model)
    status, told = asked(bench)
    assert (status, told["inputs"], told["columns"]) == (200, inputs, [])


def test_nothing_live_is_said(bench: Bench) -> None:
    status, told = asked(bench)
    assert (status, told["version"]) == (404, None)
    assert "labcycle models promote card-fraud VERSION" in told["problem"]


def test_a_pause_is_said(bench: Bench) -> None:
    bench.serve(classifier())
    asked(bench)
    pause(bench, None, EVIL.replace("\ud800", ""))
    _, told = asked(bench)
    assert (told["paused"]["by"], told["paused"]["answers"]) == ("reviewer-1", False)
    assert told["paused"]["reason"].startswith("</script>")
    pause(bench, 0)
    assert asked(bench)[1]["paused"]["answers"] is True


def test_rows_that_are_tried_are_answered_and_not_counted(bench: Bench) -> None:
    bench.serve(classifier(), run_id=bench.world.run({"reference.json": reference_table()}))
    asking = request("POST", "/invocations", SPLIT)
    tried = type(asking)(**{**vars(asking), "headers": {**asking.headers, "x-labcycle-what-if": "true"}})

    def rows() -> int:
        return sum(stored.doc["rows"] for stored in Profiles(bench.world.table).read(MODEL, 1, bench.clock.start))

    assert bench.server.answer(tried).body == bench.server.answer(tried).body
    assert rows() == 0
    bench.server.answer(asking)
    assert rows() == len(SPLIT["dataframe_split"]["data"])


def test_a_cold_start_loads_neither_page_nor_document() -> None:
    code = (
        "import sys, labcycle_lambdas.model_server.handler;"
        "print([m for m in sys.modules if m in ('labcycle_lambdas.model_server.page', "
        "'labcycle_lambdas.model_server.openapi', 'jinja2')])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
