"""A fault at every state of the reaction's machine, of each kind of policy: the lock is freed, nothing stays half promoted, and a redrive
goes on to the end that it would have had. The states are those of the definition, so that a new one cannot be forgotten."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cloud.alone import deployed
from tests.cloud.harness.machines import When, finish, history
from tests.cloud.harness.place import Place
from tests.cloud.team import Rows, Team, csv
from tests.one_team import synthesized

PLACE = Place("123456789012", "eu-west-1")
MODEL, STACK = "card-fraud", "model-card-fraud"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/labcycle-training:1"
BEFORE: Rows = [(amount / 10, hour, int(amount > 0)) for amount in range(-30, 31) if amount for hour in range(0, 24, 3)]
AFTER: Rows = [(amount + 20, hour, 1 - target) for amount, hour, target in BEFORE]
_TARGET: dict[str, Any] = {
    "target": "reacting",
    "account": PLACE.account,
    "region": PLACE.region,
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "reacting", "egress": "none"},
}
REVIEWED, AUTOMATIC, ROLLED_BACK, PAUSED, TOLD = range(5)
_TEAM: dict[str, Any] = {
    "team": "quasar",
    "owner": "quasar@example.com",
    "cost_centre": "cc-1",
    "target": "reacting",
    "stage": "sandbox",
    "members": [
        {"name": "scientist-1", "principal": {"iam_user": "scientist-1"}, "roles": ["data_scientist"]},
        {"name": "reviewer-1", "principal": {"iam_user": "reviewer-1"}, "roles": ["reviewer"]},
        {"name": "operator-1", "principal": {"iam_user": "operator-1"}, "roles": ["operator"]},
    ],
    "models": [
        {
            "name": MODEL,
            "business_owner": "head@example.com",
            "deliver": [{"form": "api", "runtime": "lambda"}],
            "monitor": {},
            "retrain": {"image": IMAGE},
            "react": [
                {"on": ["drift"], "do": "retrain", "review_hours": 10, "monthly_budget_usd": 50},
                {"on": ["manual"], "do": "retrain", "promote": "automatic", "otherwise": "pause"},
                {"on": ["schedule"], "do": "roll_back", "schedule": "rate(7 days)"},
                {"on": ["performance"], "do": "pause"},
                {"on": ["business"], "do": "tell"},
            ],
        }
    ],
}
_TEAM["models"][0]["monitor"] = {
    "performance": {"limit": 0.9},
    "outcome": {"metric": "money-saved", "minimum": 1000},
}


@pytest.fixture(scope="module")
def quasar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    assembly = synthesized(tmp_path_factory.mktemp("quasar"), _TEAM, _TARGET)
    with deployed(assembly, PLACE, "quasar") as team:
        yield team


@dataclass(frozen=True)
class Kind:
    """A way through the machine. `reviewed` is what the reviewer does: at the first wait, at the second, or never."""

    policy: int
    outcome: str
    live: int
    good: bool = True  # whether the challenger is better
    decision: str = ""
    at_wait: int = 1
    before: Rows = field(default_factory=lambda: BEFORE)


KINDS = {
    "automatic": Kind(AUTOMATIC, "promoted", 3),
    "approved": Kind(REVIEWED, "promoted", 3, decision="approve"),
    "approved late": Kind(REVIEWED, "promoted", 3, decision="approve", at_wait=2),
    "rejected": Kind(REVIEWED, "kept", 2, decision="reject"),
    "unreviewed": Kind(REVIEWED, "unreviewed", 2),
    "nothing better": Kind(AUTOMATIC, "paused", 2, good=False),
    "better before": Kind(AUTOMATIC, "rolled_back", 1, good=False),
    "roll back": Kind(ROLLED_BACK, "rolled_back", 1),
    "pause": Kind(PAUSED, "paused", 2),
    "tell": Kind(TOLD, "told", 2),
}
_NUMBERS = itertools.count(1)
# What cannot fail by itself: it only chooses, or ends.
_NO_WORK = ("Choice", "Succeed")
_WAITS = ("WaitForReview", "WaitOnForReview")


class Story:
    """The team with two versions of a model that was live, and data for a third."""

    def __init__(self, team: Team) -> None:
        self.team, self.cloud = team, team.cloud
        self.reviewer, self.scientist = team.member("reviewer-1"), team.member("scientist-1")
        self.machine = team.output(STACK, "ReactionStateMachine")
        self.hear: Callable[[], list[str]] = self.cloud.listen(team.notices)
        self.waits, self.name = 0, ""

    def anew(self) -> None:
        """As on the first day."""
        self.team.wipe()
        self.cloud.training.reset()
        self.cloud.steering.clear()
        self.waits = 0
        self.hear()  # what came until now; moto delivers to the first hundred who listen

    def begins(self, kind: Kind) -> None:
        """Version 1, then version 2 is live."""
        first, second = (BEFORE, BEFORE) if kind.good else (AFTER, BEFORE)
        outcome = "good" if kind.good else "bad"
        if kind.outcome == "rolled_back" and not kind.good:
            first, second = BEFORE, AFTER
        for rows in (first, second):
            version = self.scientist.log_model(MODEL, rows, parameters={"outcome": outcome})
            self.reviewer.promote(MODEL, version)
        data = AFTER if kind.good else BEFORE
        self.scientist.put(f"s3://{self.team.bucket}/data/{MODEL}", "labelled.csv", csv(data).encode())

        def reviews(seconds: float) -> None:
            assert seconds == 5 * 3600, "half of the time for the review"
            self.waits += 1
            if kind.decision and self.waits >= kind.at_wait:
                self.review(kind.decision)

        self.cloud.steering.token_awaited = reviews

    def review(self, decision: str) -> None:
        with self.cloud.functions.suspended():
            body = {"decision": decision, "reason": "looked at it"}
            answer = self.reviewer.call("POST", f"/labcycle/1.0/models/{MODEL}/review", body=body)
            assert answer.status == 200, str(answer)

    def start(self, kind: Kind) -> str:
        states = self.cloud.client("stepfunctions", PLACE, self.team.member("operator-1").caller.role)
        given = json.dumps({"policy": kind.policy, "cause": "manual", "ignore_cool_down": True})
        arn: str = states.start_execution(stateMachineArn=self.machine, name=self.new_name(), input=given)[
            "executionArn"
        ]
        return arn

    def new_name(self) -> str:
        """Step Functions takes a name once."""
        self.name = f"e{next(_NUMBERS)}"
        return self.name

    def ended(self, execution: str) -> tuple[str, dict[str, Any]]:
        described = finish(execution)
        return described["status"], json.loads(described.get("output") or "{}")

    def lock(self) -> dict[str, Any]:
        answer = self.reviewer.call("GET", f"/labcycle/1.0/models/{MODEL}/reactions")
        found: dict[str, Any] = answer.json()
        return found

    def deployment(self) -> dict[str, Any]:
        found: dict[str, Any] = self.reviewer.deployment(MODEL)
        return found


@pytest.fixture
def story(quasar: Team) -> Iterator[Story]:
    quasar.wipe()
    quasar.cloud.guard.refused.clear()
    quasar.cloud.training.reset()
    quasar.cloud.steering.clear()
    yield Story(quasar)
    quasar.cloud.steering.clear()
    quasar.cloud.functions.failures.clear()
    assert quasar.cloud.guard.refused == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_each_kind_comes_to_its_end(story: Story, kind: Kind) -> None:
    story.begins(kind)
    execution = story.start(kind)
    assert story.ended(execution) == ("SUCCEEDED", {"outcome": kind.outcome}), "\n".join(history(execution))
    assert story.deployment()["live"]["version"] == kind.live
    assert (story.deployment()["pause"] is not None) == (kind.outcome == "paused")
    lock = story.lock()
    assert (lock["lock"]["execution"], lock["lock"]["waiting"], lock["waiting"]) == ("", "", None)
    (done,) = lock["reactions"]
    assert done["outcome"] == kind.outcome and done["stages"][-1]["stage"] == "ended"
    reminded = kind.policy == REVIEWED and (not kind.decision or kind.at_wait > 1)
    asked = kind.policy == REVIEWED
    assert len(story.hear()) == 1 + asked + reminded


def passed(execution: str) -> list[str]:
    """The states that an execution entered."""
    return [line.split(" ")[1] for line in history(execution) if "StateEntered" in line]


def every_state(story: Story) -> dict[str, Any]:
    states = PLACE.client("stepfunctions")
    definition = states.describe_state_machine(stateMachineArn=story.machine)["definition"]
    found: dict[str, Any] = json.loads(definition)["States"]
    return found


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_fault_at_every_state_frees_the_lock_and_can_be_redriven(story: Story, kind: Kind, when: When) -> None:
    story.begins(kind)
    execution = story.start(kind)
    story.ended(execution)
    states = every_state(story)
    way = [name for name in dict.fromkeys(passed(execution)) if states[name]["Type"] not in _NO_WORK]
    for name in way:
        story.anew()
        story.begins(kind)
        _breaks(story, kind, name, when)


def _breaks(story: Story, kind: Kind, name: str, when: When) -> None:
    before = story.deployment()
    story.cloud.steering.broken = {name: when}
    execution = story.start(kind)
    status, output = story.ended(execution)
    if name in _WAITS and when == "after" and not story.cloud.steering.struck:
        # Its time is over in this kind: it ends by an error of its own, and has no end that could be broken.
        assert (status, output) == ("SUCCEEDED", {"outcome": kind.outcome}), f"{name}: {history(execution)}"
        return
    assert story.cloud.steering.struck, f"{name} was not entered"
    if name == "RemindReviewer":  # nobody misses anything
        assert (status, output) == ("SUCCEEDED", {"outcome": kind.outcome})
        return
    assert status == "FAILED", f"{name}: {history(execution)}"
    lock = story.lock()["lock"]
    assert (lock["execution"], lock["waiting"]) == ("", ""), f"{name} leaves the lock"
    now = story.deployment()
    assert now["canary"] is None, f"{name} leaves a version half promoted"
    assert now["live"]["version"] in (before["live"]["version"], kind.live)
    notices = story.hear()
    if name != "Notify":
        assert any("Mend the cause" in notice for notice in notices), f"{name}: nobody is told"
    story.cloud.steering.broken = {}
    story.cloud.redrive(execution)
    again = story.ended(execution)
    assert again == ("SUCCEEDED", {"outcome": kind.outcome}), f"{name}: {history(execution)}"
    assert story.deployment()["live"]["version"] == kind.live
    lock = story.lock()["lock"]
    assert (lock["execution"], lock["waiting"]) == ("", "")
    actions = [event["action"] for event in story.reviewer.history(MODEL)["events"]]
    for once in ("retrained", "challenger_rejected", "rolled_back", "paused", "review_approved", "review_rejected"):
        assert actions.count(once) <= 1, f"{name}: {once} twice"


@pytest.mark.parametrize("broken", ["MarkFailed", "NotifyFailed", "NotifyUnmarked", "Resume"])
def test_a_fault_on_the_way_of_a_failure_can_be_redriven(story: Story, broken: str) -> None:
    kind = KINDS["automatic"]
    story.begins(kind)
    story.cloud.steering.broken = {"Compare": "before", broken: "before"}
    if broken == "NotifyUnmarked":
        story.cloud.steering.broken["MarkFailed"] = "before"
    execution = story.start(kind)
    assert story.ended(execution)[0] == "FAILED"
    if broken == "Resume":
        story.cloud.redrive(execution)
        assert story.ended(execution)[0] == "FAILED"
    assert broken in story.cloud.steering.struck
    holds = story.lock()["lock"]["execution"]
    assert holds == (story.name if broken in ("MarkFailed", "NotifyUnmarked") else "")
    story.cloud.steering.broken = {}
    story.cloud.redrive(execution)
    assert story.ended(execution) == ("SUCCEEDED", {"outcome": "promoted"}), history(execution)
    assert story.lock()["lock"]["execution"] == ""


def test_no_state_is_forgotten(story: Story) -> None:
    """Each state that does work is broken in one of the kinds, or on the way of a failure."""
    states = every_state(story)
    work = {name for name, state in states.items() if state["Type"] not in _NO_WORK}
    reached: set[str] = {"MarkFailed", "NotifyFailed", "NotifyUnmarked", "Resume"}
    for kind in KINDS.values():
        story.anew()
        story.begins(kind)
        execution = story.start(kind)
        story.ended(execution)
        reached |= set(passed(execution))
    assert work <= reached


def test_a_redriven_reaction_leaves_another_alone(story: Story) -> None:
    kind = KINDS["automatic"]
    story.begins(kind)
    story.cloud.steering.broken = {"Register": "before"}
    execution = story.start(kind)
    assert story.ended(execution)[0] == "FAILED"
    states = PLACE.client("stepfunctions")
    story.cloud.steering.broken = {}
    redriven: list[tuple[str, dict[str, Any]]] = []

    def meanwhile(job: str) -> None:
        story.cloud.training.before_run = lambda job: None
        with story.cloud.functions.suspended():
            story.cloud.redrive(execution)
            redriven.append(story.ended(execution))

    story.cloud.training.before_run = meanwhile
    given = json.dumps({"policy": AUTOMATIC, "cause": "manual", "ignore_cool_down": True})
    second = states.start_execution(stateMachineArn=story.machine, name=story.new_name(), input=given)["executionArn"]
    assert story.ended(second)[0] == "SUCCEEDED"
    assert redriven[0][0] == "FAILED"
    assert any(f"the reaction {story.name} is under way" in notice for notice in story.hear())
    story.cloud.redrive(execution)
    # Nothing it has is better than what went live in between; the policy says what happens then.
    assert story.ended(execution) == ("SUCCEEDED", {"outcome": "paused"})
    assert story.deployment()["live"]["version"] == 3
