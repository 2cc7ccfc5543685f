"""The loop that closes by itself, on the embedded local cloud: a model is watched each minute, and nobody presses a button.

Three things happen to it. Its inputs drift, and a retrained version takes over. It drifts again, but what it would be trained on is poisoned, and
the version before comes back. Then its inputs stay as they are, but its decisions are worth less and less, and it is paused.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labcycle.demo import data
from labcycle.demo.checklist import Checklist, Step
from labcycle.demo.consumer import call
from labcycle.demo.team import DemoTeam, wait
from labcycle.local.cloud import LocalCloud

if TYPE_CHECKING:
    import pandas as pd

TEAM, MODEL = "clinic", "tumour"
SCIENTIST, REVIEWER = "scientist-1", "reviewer-1"
STEPS = 11
CONFIG = Path(__file__).parent / "clinic"
RECIPE = Path(__file__).parent / "recipe"
ROWS_AT_ONCE = 57
EVERY_SECONDS = 1.5
EVALUATION_SECONDS = 240.0  # a minute until the schedule, as many as persistence asks for, and the alarm
REACTION_SECONDS = 420.0
_DAY = 24 * 3600


class Patients(threading.Thread):
    """Asks for predictions all the time. `share` of the rows come from the instrument that was calibrated anew."""

    def __init__(self, ask: Callable[[bytes], Any], before: pd.DataFrame, after: pd.DataFrame) -> None:
        super().__init__(daemon=True)
        self.share = 0.0
        self.answered: list[tuple[str, bool]] = []  # prediction id, whether it was right
        self.problem = ""
        self._ask, self._before, self._after = ask, before, after
        self._random = np.random.default_rng(3)
        self._ends = threading.Event()

    def run(self) -> None:
        while not self._ends.wait(EVERY_SECONDS):
            self._send()

    def stop(self) -> None:
        self._ends.set()
        self.join()

    def _send(self) -> None:
        chosen = self._random.integers(0, len(self._before), ROWS_AT_ONCE)
        new = self._random.random(ROWS_AT_ONCE) < self.share
        features = self._before.columns.drop(data.TARGET)
        rows = np.where(
            new[:, None], self._after[features].to_numpy()[chosen], self._before[features].to_numpy()[chosen]
        )
        truth = self._before[data.TARGET].to_numpy()[chosen]
        body = {"dataframe_split": {"columns": list(features), "data": rows.tolist()}}
        answer = self._ask(json.dumps(body).encode())
        if answer.status != 200:
            self.problem = f"{answer.status}: {answer.text[:300]}"
            return
        first = answer.headers.get("x-labcycle-prediction-id")
        if first is None:
            return  # paused: nothing was predicted
        place, _, row = first.rpartition("-")
        predictions = json.loads(answer.text)["predictions"]
        self.answered += [
            (f"{place}-{int(row) + k}", int(said) == int(true))
            for k, (said, true) in enumerate(zip(predictions, truth, strict=True))
        ]


class ClosedLoop:
    """The steps, in order. `run` does them all."""

    def __init__(self, cloud: LocalCloud, assembly: Path, checklist: Checklist) -> None:
        self._cloud = cloud
        self._assembly = assembly
        self._list = checklist
        self._team = DemoTeam(cloud, TEAM, MODEL)
        self._frame = data.baseline()
        self._shifted = data.recalibrated(self._frame)
        self._signed_in: dict[str, str] = {}

    def run(self) -> None:
        """Raises `StepFailed`, or what the step itself raised."""
        self._deploy()
        self._go_live()
        patients = Patients(self._ask, self._frame, self._shifted)
        patients.start()
        try:
            self._expect_stable(patients)
            self._drift(patients)
            self._challenger_wins()
            self._poison(patients)
            self._comes_back()
            self._expect_value(patients)
            self._value_falls(patients)
        finally:
            patients.stop()
        self._ledger()

    def _deploy(self) -> None:
        with self._list.step("deploy the team with the CDK CLI") as step:
            self._cloud.bootstrap()
            self._cloud.synth(self._assembly, context={"config": str(CONFIG)})
            report = self._cloud.deploy(self._assembly, ["*/*"])
            self._team.outputs = report.outputs
            for line in report.lines():
                step.saw(line)

    def _go_live(self) -> None:
        with self._list.step("train on real data, log with MLflow, promote") as step:
            with tempfile.TemporaryDirectory(prefix="labcycle-demo-") as folder:
                path = Path(folder) / "data.csv"
                self._frame.to_csv(path, index=False)
                said = self._team.log_and_register(SCIENTIST, RECIPE, path, "0.05")
            self._team.labcycle(REVIEWER, "models", "promote", MODEL, str(said["version"]), "--now")
            self._signed_in = self._team.member(SCIENTIST)
            step.saw(f"version {self._team.live(REVIEWER)} is live: accuracy {said['metrics']['accuracy']:.3f}")

    def _ask(self, body: bytes) -> Any:
        return call("POST", f"{self._team.of_model('ModelUrl')}/invocations", self._signed_in, body)

    # ---- drift ---------------------------------------------------------------------------------------------------

    def _expect_stable(self, patients: Patients) -> None:
        with self._list.step("real rows come in; each minute they are compared with the training data") as step:
            found = self._judged("drift", patients, lambda verdict: verdict == "stable")
            step.saw(f"{found['verdict']}: {found['reason']} ({found['rows']} rows)")

    def _drift(self, patients: Patients) -> None:
        with self._list.step("an instrument is calibrated anew, ward by ward: the inputs drift slowly") as step:
            self._put(step, f"data/{MODEL}/new.csv", self._shifted)
            before = len(self._events())
            for share in (0.2, 0.4, 0.6, 0.8, 1.0):
                patients.share = share
                found = self._judged("drift", patients, lambda verdict: True)
                step.saw(f"{share:.0%} of the rows: {found['verdict']}, {found['reason']}")
                if found["verdict"] == "drifted":
                    break
            found = self._happens("drift_detected", before, EVALUATION_SECONDS, patients)
            patients.share = 1.0
            step.saw(f"{found['at']} drift_detected: {_most(found['detail']['features'])}")
            moved = next(iter(found["detail"]["features"]))
            step.require(
                any(word in moved for word in ("radius", "perimeter", "area", "texture", "prediction")),
                f"the feature that is named, {moved}, is none of those that were calibrated anew",
            )

    def _challenger_wins(self) -> None:
        with self._list.step("the reaction retrains; the challenger wins, is tried as a canary, and goes live") as step:
            self._until_live("2", step)

    # ---- poisoned data -------------------------------------------------------------------------------------------

    def _poison(self, patients: Patients) -> None:
        with self._list.step("the old instrument is back; what is there to train with is poisoned") as step:
            poisoned = self._frame.copy()
            flipped = np.random.default_rng(5).random(len(poisoned)) < 0.6
            poisoned[data.TARGET] = np.where(flipped, 1 - poisoned[data.TARGET], poisoned[data.TARGET])
            self._put(step, f"data/{MODEL}/new.csv", poisoned)
            self._put(step, f"data/_holdout/{MODEL}/checked.csv", self._frame)
            before = len(self._events())
            patients.share = 0.0
            found = self._happens("drift_detected", before, EVALUATION_SECONDS, patients)
            step.saw(f"{found['at']} drift_detected: {_most(found['detail']['features'])}")

    def _comes_back(self) -> None:
        with self._list.step("the challenger loses; the version before is better than both, and comes back") as step:
            self._until_live("1", step)
            rejected = next(e for e in reversed(self._events()) if e["action"] == "challenger_rejected")["detail"]
            for side in ("challenger", "champion", "previous"):
                step.saw(f"{side}: {rejected['metric']} {rejected[side]:.3f}")
            notice = wait(lambda: self._team.notice(f"version 1 of {MODEL} is live again"), bool, 60, "the notice")
            step.saw(f"notice to {notice['address']}: {notice['subject']}")

    # ---- value ---------------------------------------------------------------------------------------------------

    def _expect_value(self, patients: Patients) -> None:
        with self._list.step("what the decisions were worth comes in, by the ids of the predictions") as step:
            step.saw(self._send_outcomes(patients, lambda right: 0.5 if right else -0.5))
            self._cloud.advance(_DAY)  # whole days are judged
            found = wait(
                self._business,
                lambda said: said.get("verdict") == "good",
                EVALUATION_SECONDS,
                "a judgement of business",
            )
            step.saw(f"{found['verdict']}: {found['reason']}")

    def _value_falls(self, patients: Patients) -> None:
        with self._list.step(
            "the inputs stay as they are, but the decisions are worth less: the model is paused"
        ) as step:
            before = len(self._events())
            wait(lambda: len(patients.answered), lambda count: count >= 20 * ROWS_AT_ONCE, 120, "predictions")
            step.saw(self._send_outcomes(patients, lambda right: -20.0))
            for action in ("value_fell", "paused"):
                event = self._happens(action, before, REACTION_SECONDS, patients)
                step.saw(f"{event['at']} {event['action']}: {json.dumps(event['detail'])[:200]}")
            notice = wait(lambda: self._team.notice(f"{MODEL} was paused"), bool, 60, "the notice")
            step.saw(f"notice to {notice['address']}: {notice['subject']}")
            checked = self._team.said(REVIEWER, "monitor", "check", MODEL)
            step.saw(f"the inputs, judged now: {checked['verdict']}, {checked['reason']} ({checked['rows']} rows)")
            step.require(checked["verdict"] == "stable", "the inputs did not stay as they were")

    def _send_outcomes(self, patients: Patients, worth: Callable[[bool], float]) -> str:
        """Of all predictions that were answered since the last time."""
        answered, patients.answered = patients.answered, []
        lines = [json.dumps({"prediction_id": one, "value": worth(right)}) for one, right in answered]
        with tempfile.TemporaryDirectory(prefix="labcycle-demo-") as folder:
            path = Path(folder) / "outcomes.jsonl"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            self._team.labcycle(SCIENTIST, "outcomes", "send", MODEL, str(path))
        return f"{len(answered)} outcomes, {sum(worth(right) for _, right in answered):.0f} hours in all"

    # ---- what is seen --------------------------------------------------------------------------------------------

    def _ledger(self) -> None:
        with self._list.step("what the ledger tells, with its times") as step:
            said = self._team.said(REVIEWER, "models", "history", MODEL)
            for event in said["events"]:
                step.saw(f"{event['at'][11:19]} {event['action']}")
            step.require(said["verified"], "the chain of custody does not verify")

    def _events(self) -> list[dict[str, Any]]:
        return self._team.events(REVIEWER)

    def _happens(self, action: str, before: int, seconds: float, patients: Patients) -> dict[str, Any]:
        """The first event of this kind after the first `before` ones."""

        def look() -> dict[str, Any] | None:
            return next((event for event in self._events()[before:] if event["action"] == action), None)

        found = wait(look, bool, seconds, f"the event {action} (requests: {patients.problem or 'all were answered'})")
        return dict(found)

    def _until_live(self, version: str, step: Step) -> None:
        before = len(self._events())
        wait(lambda: self._team.live(REVIEWER), lambda live: live == version, REACTION_SECONDS, f"version {version}")
        for event in self._events()[max(0, before - 2) :]:
            step.saw(f"{event['at'][11:19]} {event['action']}")

    def _judged(self, subject: str, patients: Patients, wanted: Callable[[str], bool]) -> dict[str, Any]:
        """The next evaluation's judgement of this subject whose verdict is as wanted, with the rows that it saw."""
        last = (self._status()["evaluation"] or {}).get("evaluated_at", "")

        def look() -> dict[str, Any] | None:
            status = self._status()
            evaluation = status["evaluation"]
            if not evaluation or evaluation["evaluated_at"] <= last:
                return None
            found = (one for one in status["subjects"] if one["subject"] == subject and wanted(one["verdict"]))
            return next(({**one, "rows": evaluation["rows"]} for one in found), None)

        requests = patients.problem or "all were answered"
        return dict(wait(look, bool, EVALUATION_SECONDS, f"a judgement of {subject} (requests: {requests})"))

    def _business(self) -> dict[str, Any]:
        """As the evaluator printed it last: for all but the schedules, its time is a day ahead."""
        function = self._cloud.client("lambda").get_function_configuration(
            FunctionName=self._team.of_model("EvaluatorFunction")
        )
        lines = self._cloud.logs(function["LoggingConfig"]["LogGroup"], containing='"evaluated"')
        return dict(json.loads(lines[-1])["business"]) if lines else {}

    def _status(self) -> dict[str, Any]:
        return dict(self._team.said(REVIEWER, "monitor", "status", MODEL))

    def _put(self, step: Step, key: str, frame: pd.DataFrame) -> None:
        step.saw(f"{self._team.put(SCIENTIST, key, frame.to_csv(index=False).encode())}: {len(frame)} rows")


def _most(features: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in list(features.items())[:3])
