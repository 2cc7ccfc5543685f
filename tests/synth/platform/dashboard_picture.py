"""docs/dashboard.svg: what a model's dashboard holds and where, drawn from the definition that is deployed.

To draw it anew: `python -m tests.synth.platform.dashboard_picture`.
"""

from __future__ import annotations

import json
import re
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from aws_cdk import App

from infra.app import build, settings
from tests.synth.platform.conftest import read
from tests.synth.platform.test_variants import TEAM, model
from tests.synth.platform.test_variants import folder as configured

WATCHED = {"dashboard": True, "performance": {"limit": 0.9}, "outcome": {"metric": "money-saved", "minimum": 1000}}
PICTURE = Path(__file__).parents[3] / "docs" / "dashboard.svg"
_UNIT, _GAP, _ROW = 40, 8, 34  # of the dashboard's grid
_KINDS = {"metric": "metrics of AWS:", "log": "of the evaluator's log:", "alarm": "state of each, and the way to it:"}
_STYLE = (
    "svg{font:12px system-ui,Arial,sans-serif}.w{fill:#fff;stroke:#d1d9e0}.t{fill:#1b1f24;font-weight:600}.s{fill:#59636e;font-size:11px}"
    "@media(prefers-color-scheme:dark){.p{fill:#0d1117}.w{fill:#161b22;stroke:#3a424b}.t{fill:#e6edf3}.s{fill:#9aa5b1}}"
)


def body(template: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of the one dashboard of a template; what CloudFormation fills in has the name of its resource."""
    (found,) = [one for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Dashboard"]
    made: dict[str, Any] = json.loads(_text(found["Properties"]["DashboardBody"]))
    return made


def picture(made: Mapping[str, Any]) -> str:
    """All widgets in their places, with what they show."""
    widgets = made["widgets"]
    height = max(widget["y"] + widget["height"] for widget in widgets) * _ROW + _GAP
    width = 24 * _UNIT + _GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="The dashboard of a model">',
        f"<style>{_STYLE}</style>",
        f'<rect class="p" width="{width}" height="{height}" fill="#f6f8fa"/>',
    ]
    for widget in widgets:
        left, top = widget["x"] * _UNIT + _GAP, widget["y"] * _ROW + _GAP
        wide, high = widget["width"] * _UNIT - _GAP, widget["height"] * _ROW - _GAP
        lines.append(f'<rect class="w" x="{left}" y="{top}" width="{wide}" height="{high}" rx="4"/>')
        first, *rest = _texts(widget)
        shown = [("t", first), *(("s", line) for text in rest for line in textwrap.wrap(text, (wide - 20) // 6))]
        for number, (style, text) in enumerate(shown):
            lines.append(f'<text class="{style}" x="{left + 10}" y="{top + 20 + 18 * number}">{escape(text)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _texts(widget: Mapping[str, Any]) -> Iterator[str]:
    properties = widget["properties"]
    if widget["type"] == "text":
        yield from (re.sub(r"[*`]", "", line).strip() for line in properties["markdown"].split("\n"))
        return
    yield properties["title"]
    yield _KINDS[widget["type"]]
    for metric in properties.get("metrics", []):
        more = metric[-1] if isinstance(metric[-1], dict) else {}
        yield f"{metric[0]} {metric[1]} {more.get('stat', '')}".strip()
    if "query" in properties:
        yield from (line.strip() for line in properties["query"].split("|")[1:])
    yield from (re.sub("[0-9A-F]{8}$", "", alarm) for alarm in properties.get("alarms", []))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    (function, argument), *_ = value.items()
    if function == "Fn::Join":
        return str(argument[0]).join(_text(part) for part in argument[1])
    if function == "Ref":
        return str(argument)
    return str(argument[0])  # Fn::GetAtt


def example(folder: Path) -> dict[str, Any]:
    """The team file whose model has every kind of panel, below `folder`; and its model's stack, synthesized."""
    team = {**TEAM, "models": [model("card-fraud", monitor=WATCHED)]}
    app = App(
        outdir=str(folder / "out"), context=settings() | {"config": configured(folder, team)}, analytics_reporting=False
    )
    build(app)
    app.synth()
    return dict(read(folder / "out")["labcycle-lab-model-card-fraud"].template)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PICTURE.write_text(picture(body(example(Path(name)))), encoding="utf-8")
