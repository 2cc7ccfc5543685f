"""A model that is served elsewhere, and sends what it predicted: it drifts, is retrained, and its predictions stop coming true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.alone import deployed
from tests.cloud.harness.place import Place
from tests.cloud.monitoring.test_reaction import AFTER, BEFORE, MODEL
from tests.cloud.team import COLUMNS, Rows, Team
from tests.cloud.watching.test_watching import HALF_AN_HOUR, Watched
from tests.one_team import synthesized

PLACE = Place("123456789012", "eu-west-1")
_TARGET: dict[str, Any] = {
    "target": "distant",
    "account": PLACE.account,
    "region": PLACE.region,
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "afar", "cidr": "10.8.0.0/16", "egress": "nat"},
}
_TEAM: dict[str, Any] = {
    "team": "afar",
    "owner": "afar@example.com",
    "cost_centre": "cc-1",
    "target": "distant",
    "stage": "production",
    "members": [
        {"name": name, "principal": {"iam_user": name}, "roles": [role]}
        for name, role in (("scientist-1", "data_scientist"), ("reviewer-1", "reviewer"), ("operator-1", "operator"))
    ],
    "models": [
        {
            "name": MODEL,
            "business_owner": "head@example.com",
            "deliver": [{"form": "external"}],
            "monitor": {
                "drift": {"minimum_rows": 300, "persistence": 1},
                "capture": {"percent": 100, "redact": [COLUMNS[1]], "days": 30},
                "performance": {"metric": "accuracy", "limit": 0.9, "minimum_rows": 100, "persistence": 1},
            },
            "retrain": {
                "image": f"{PLACE.account}.dkr.ecr.{PLACE.region}.amazonaws.com/training:1",
                "metric": "accuracy",
            },
            "react": [{"on": ["drift"], "do": "retrain", "promote": "automatic", "cool_down_hours": 0}],
        }
    ],
}


@pytest.fixture(scope="module")
def afar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with deployed(synthesized(tmp_path_factory.mktemp("afar"), _TEAM, _TARGET), PLACE, "afar") as team:
        yield team


class Elsewhere(Watched):
    """What serves the model answers all rows with their targets, as it was trained to."""

    def send(self, rows: Rows) -> None:
        self.sent(rows)

    def sent(self, rows: Rows, version: int | None = None) -> list[str]:
        """The ids of the predictions."""
        records = [
            {"prediction": row[2], "features": dict(zip(COLUMNS, row[:2], strict=True)), "id": f"request-{number}"}
            for number, row in enumerate(rows)
        ]
        body = {"version": version or self.live(), "records": records}
        answer = self.scientist.call("POST", f"/labcycle/1.0/models/{MODEL}/records", body=body)
        assert answer.status == 200, str(answer)
        ids: list[str] = answer.json()["prediction_ids"]
        return ids


def test_what_is_served_elsewhere_is_watched_and_retrained(afar: Team) -> None:
    story = Elsewhere(afar)
    first = story.goes_live()
    story.new_data(AFTER)
    ids = story.sent([*BEFORE, *BEFORE])
    assert story.sent([*BEFORE, *BEFORE]) == ids
    last = story.judged(HALF_AN_HOUR)
    assert (last["verdict"], last["rows"], last["coverage"]) == ("stable", 2 * len(BEFORE), None)
    assert (story.hear(), story.started()) == ([], [])
    wrong = [{"prediction_id": one, "truth": 1 - row[2]} for one, row in zip(ids, BEFORE, strict=False)]
    answer = story.scientist.call("POST", f"/labcycle/1.0/models/{MODEL}/outcomes", body={"outcomes": wrong})
    assert answer.status == 200, str(answer)
    story.send([*AFTER, *AFTER, *AFTER])
    last = story.judged(2 * HALF_AN_HOUR)
    assert last["outcomes"]["new"] == len(BEFORE)
    assert {one["subject"]: one["verdict"] for one in last["judgements"]} == {
        "drift": "failed",
        "performance": "failed",
    }
    (execution,) = story.started()
    assert story.finish(execution) == {"outcome": "promoted"}
    assert story.live() == first + 1
    assert {"drift_detected", "performance_fell", "retrained"} <= set(story.actions())
    assert len(story.sent(BEFORE, first)) == len(BEFORE), "what serves it may follow later"
