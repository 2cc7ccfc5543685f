"""One whole life cycle of a model on the embedded local cloud: from an empty account to a rolled-back challenger.

Every step shows what it saw. A step that did not happen ends the demo, and the exit code says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labcycle.config import names
from labcycle.demo import data
from labcycle.demo.checklist import Checklist, Step, StepFailed
from labcycle.demo.consumer import Answer, call
from labcycle.demo.team import DemoTeam, run, wait
from labcycle.local.cloud import LocalCloud

if TYPE_CHECKING:
    import pandas as pd

TEAM, OTHER_TEAM, MODEL = "fraud", "growth", "card-fraud"
SCIENTIST, REVIEWER = "scientist-1", "reviewer-1"
STEPS = 18
BATCH_ROWS = 285  # over the 200 rows after which a server writes its profile, so that every row is in one
REACTION_SECONDS = 240
RECIPE = Path(__file__).parent / "recipe"


class LifeCycle:
    """The steps of the demo, in order. `run` does them all."""

    def __init__(self, cloud: LocalCloud, assembly: Path, checklist: Checklist) -> None:
        self._cloud = cloud
        self._assembly = assembly
        self._list = checklist
        self._team = DemoTeam(cloud, TEAM, MODEL)
        self._frame = data.baseline()
        self._shifted = data.recalibrated(self._frame)

    def run(self) -> None:
        """Raises `StepFailed`, or what the step itself raised."""
        self._deploy()
        self._who_may_call()
        first = self._train_and_log()
        self._promote(first)
        before = self._score(self._frame, "score real rows over HTTP", version=first)
        self._expect_stable()
        self._new_labels_arrive()
        drifted = self._score(self._shifted, "the world shifts: the same service, other inputs", version=first)
        self._list.steps[-1].require(drifted < before, f"accuracy did not fall under the shift: {before} -> {drifted}")
        self._drift_raises_the_alarm()
        challenger = self._reaction()
        after = self._score(self._shifted, "score the shifted rows again", version=challenger, previous=drifted)
        self._list.steps[-1].require(after > drifted, f"accuracy did not recover: {drifted} -> {after}")
        self._roll_back(challenger, first)
        self._history()
        self._explain(first)
        self._who_did_what_verified()

    # ---- the platform -------------------------------------------------------------------------------------------

    def _deploy(self) -> None:
        with self._list.step("bootstrap the account with the CDK CLI") as step:
            self._cloud.bootstrap()
            step.saw(f"account {self._cloud.account}, region {self._cloud.region}, at {self._cloud.endpoint}")
        with self._list.step("synthesize two targets and two teams") as step:
            run([sys.executable, "-m", "labcycle.cli", "validate"], os.environ)
            self._cloud.synth(self._assembly)
            templates = sorted(self._assembly.rglob("*.template.json"))
            resources = sum(len(json.loads(path.read_text()).get("Resources", {})) for path in templates)
            step.saw(f"{len(templates)} stacks, {resources} resources")
            step.require(len(templates) >= 8, f"expected two teams' stacks, got {[p.name for p in templates]}")
        with self._list.step("deploy both targets and both teams with the CDK CLI") as step:
            report = self._cloud.deploy(self._assembly, ["*/*"])
            self._team.outputs = report.outputs
            for line in report.lines():
                step.saw(line)

    def _who_may_call(self) -> None:
        url = f"{self._team.output('tracking', 'TrackingUrl')}/api/2.0/mlflow/experiments/search?max_results=5"
        with self._list.step("the tracking API lets members in, and nobody else") as step:
            self._expect(step, 200, "a member of the team", call("GET", url, self._team.member(SCIENTIST)))
            self._expect(step, 403, "unsigned", call("GET", url, None))
            self._expect(step, 403, "a wrong signature", call("GET", url, self._team.member(SCIENTIST), tamper=True))
            outsider = self._cloud.environment(self._cloud.assume(*self._outsider()))
            self._expect(step, 403, f"a member of team {OTHER_TEAM}", call("GET", url, outsider))

    def _expect(self, step: Step, status: int, who: str, answer: Answer) -> None:
        step.saw(
            f"{who}: {answer.status}" + (f" {answer.headers.get('x-amzn-errortype', '')}" if status >= 400 else "")
        )
        step.require(answer.status == status, f"{who} got {answer.status} instead of {status}: {answer.text[:300]}")

    # ---- the data scientist -------------------------------------------------------------------------------------

    def _train_and_log(self) -> str:
        with self._list.step("train, log and register with the stock MLflow client") as step:
            with tempfile.TemporaryDirectory(prefix="labcycle-demo-") as folder:
                path = Path(folder) / "data.csv"
                self._frame.to_csv(path, index=False)
                said = self._team.log_and_register(SCIENTIST, RECIPE, path, "0.05")
            step.saw(f"run {said['run_id']}, logged model {said['model_id']}")
            step.saw("metrics " + figures(said["metrics"]))
            step.saw(f"registered {MODEL} version {said['version']}")
            step.require(said["runs_found"] == [said["run_id"]], f"search_runs found {said['runs_found']}")
            return str(said["version"])

    def _promote(self, version: str) -> None:
        with self._list.step("a reviewer promotes the version") as step:
            step.saw(f"live before: {self._live() or 'nothing'}")
            self._team.labcycle(REVIEWER, "models", "promote", MODEL, version)
            step.saw(f"live after: version {self._live()}")
            step.require(self._live() == version, f"version {version} is not live")

    def _score(self, frame: pd.DataFrame, title: str, *, version: str, previous: float | None = None) -> float:
        """Accuracy of the live version on `frame`, scored through the API in batches."""
        url = f"{self._team.output(f'model-{MODEL}', 'ModelUrl')}/invocations"
        with self._list.step(title) as step:
            right, seen = 0, set()
            features = frame.drop(columns=[data.TARGET])
            for start in range(0, len(frame), BATCH_ROWS):
                rows = features.iloc[start : start + BATCH_ROWS]
                body = {"dataframe_split": {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}}
                answer = call("POST", url, self._team.member(SCIENTIST), json.dumps(body).encode())
                step.require(answer.status == 200, f"scoring answered {answer.status}: {answer.text[:300]}")
                predictions = json.loads(answer.text)["predictions"]
                truth = frame[data.TARGET].iloc[start : start + BATCH_ROWS]
                right += sum(int(p) == int(t) for p, t in zip(predictions, truth, strict=True))
                seen.add(answer.headers.get("x-labcycle-model-version", "?"))
            accuracy = right / len(frame)
            was = f" (before: {previous:.3f})" if previous is not None else ""
            step.saw(f"{len(frame)} rows scored by version {', '.join(sorted(seen))}: accuracy {accuracy:.3f}{was}")
            step.require(seen == {version}, f"expected version {version} to answer, got {sorted(seen)}")
            return accuracy

    def _new_labels_arrive(self) -> None:
        with self._list.step("newly labelled rows arrive in the team's bucket") as step:
            at = self._team.put(SCIENTIST, f"data/{MODEL}/new.csv", self._shifted.to_csv(index=False).encode())
            step.saw(f"{at}: {len(self._shifted)} rows")

    # ---- monitoring ---------------------------------------------------------------------------------------------

    def _expect_stable(self) -> None:
        with self._list.step("compare live traffic with the training reference") as step:
            verdict = self._evaluate()
            step.saw(verdict_line(verdict))
            step.require(verdict["verdict"] == "stable", f"expected a stable verdict, got {verdict['verdict']}")

    def _drift_raises_the_alarm(self) -> None:
        alarm = self._team.of_model("DriftAlarm")
        with self._list.step("drift is measured, the alarm fires") as step:
            verdict = self._evaluate()
            step.saw(verdict_line(verdict))
            step.require(verdict["verdict"] == "drifted", f"expected drift, got {verdict['verdict']}")
            state = wait(lambda: self._team.alarm_state(alarm), lambda s: s == "ALARM", 60, f"alarm {alarm}")
            step.saw(f"alarm {alarm}: {state}")

    def _reaction(self) -> str:
        machine = self._team.of_model("ReactionStateMachine")
        states = self._cloud.client("stepfunctions")
        with self._list.step("the reaction retrains on the new data and promotes the challenger") as step:
            execution = wait(
                lambda: states.list_executions(stateMachineArn=machine)["executions"], bool, 30, "an execution"
            )[0]["executionArn"]
            final = wait(
                lambda: states.describe_execution(executionArn=execution),
                lambda e: e["status"] != "RUNNING",
                REACTION_SECONDS,
                "the end of the reaction",
            )
            entered = [
                event["stateEnteredEventDetails"]["name"]
                for event in states.get_execution_history(executionArn=execution, maxResults=200)["events"]
                if "stateEnteredEventDetails" in event
            ]
            step.saw("states: " + " -> ".join(entered))
            step.require(
                final["status"] == "SUCCEEDED", f"{final['status']}: {final.get('cause') or final.get('error')}"
            )
            events = {event["action"]: event["detail"] for event in self._team.events(REVIEWER)}
            step.require("retrained" in events, f"no retrained event among {sorted(events)}")
            for key, value in events["retrained"].items():
                step.saw(f"{key}: {value}")
            version = self._live()
            step.saw(f"live after: version {version}")
            step.require(
                bool(version) and version != "1", f"the challenger was not promoted: version {version} is live"
            )
            notice = wait(lambda: self._team.notice(f"version {version} is better"), bool, 30, "the reaction's notice")
            step.saw(f"notice to {notice['address']}: {notice['subject']}")
            return str(version)

    def _roll_back(self, challenger: str, first: str) -> None:
        with self._list.step("a reviewer rolls back by hand") as step:
            step.saw(f"live before: version {challenger}")
            self._team.labcycle(REVIEWER, "models", "rollback", MODEL)
            step.saw(f"live after: version {self._live()}")
            step.require(self._live() == first, f"version {first} is not live")

    def _history(self) -> None:
        with self._list.step("what happened, in order, from the ledger") as step:
            said = self._team.said(REVIEWER, "models", "history", MODEL)
            for event in said["events"]:
                who = event["who"]
                step.saw(f"{event['seq']:2} {event['at']} {event['action']:19} {who['member'] or who['role']}")
            step.saw("the chain of hashes is whole" if said["verified"] else f"broken: {said['problems']}")
            step.require(said["verified"], "the chain of custody does not verify")
            actions = [event["action"] for event in said["events"]]
            wanted = ["registered", "promoted", "drift_detected", "retraining_started", "retrained", "promoted"]
            wanted.append("rolled_back")
            step.require(in_order(wanted, actions), f"expected {wanted} in this order, got {actions}")

    def _explain(self, live: str) -> None:
        with self._list.step("how the live version was built") as step:
            said = self._team.said(REVIEWER, "explain", MODEL)
            deployment, run = said["deployment"], said["run"]
            step.saw(f"version {said['version']['version']}, live since {deployment['since']} by {deployment['by']}")
            step.saw(f"run {run['run_id']} of {run['user_id']}: {figures(run['metrics'])}")
            for part in run["parts"]:
                step.saw(f"{part['name']}: {part['state']}")
            step.require(str(said["version"]["version"]) == live and deployment["live"], f"version {live} is not told")
            step.require(deployment["by"] == REVIEWER, f"{REVIEWER} rolled back, and {deployment['by']} is named")

    def _who_did_what_verified(self) -> None:
        """As a member: what was recorded is whole, and one changed character of it, by whoever may write the table, is found."""
        with self._list.step("who did what, verified against locked anchors") as step:
            for anchor in self._team.invoke(self._team.output("tracking", "AnchoringFunction"))["anchors"]:
                step.saw(f"anchor {anchor['number']}: the heads of {anchor['subjects']} chains")
            whole = self._verify()
            step.saw(f"whole: {whole['events']} events of {whole['subjects']} subjects, {whole['anchors']} anchors")
            step.require(whole["whole"] and bool(whole["anchors"]), f"not whole, or not anchored: {whole}")
            table, item = self._promotion()
            dynamodb = self._cloud.client("dynamodb")
            text = item["doc"]["S"]
            dynamodb.put_item(TableName=table, Item={**item, "doc": {"S": text.replace(REVIEWER, "reviewer-2", 1)}})
            broken = self._verify()
            dynamodb.put_item(TableName=table, Item=item)
            for finding in broken["findings"]:
                step.saw(f"{REVIEWER} made reviewer-2 in the table: {finding['subject']}, event {finding['event']}")
            event = json.loads(text)
            found = [(finding["subject"], finding["event"]) for finding in broken["findings"]]
            step.require((event["subject"], event["seq"]) in found, f"the changed event is not among {found}")
            step.require(self._verify()["whole"], "it is not whole after the event was put back")

    def _verify(self) -> dict[str, Any]:
        """What `labcycle verify` says to a member, who may write nothing but through the API."""
        environment = {
            **self._team.member(SCIENTIST),
            "MLFLOW_TRACKING_URI": self._team.output("tracking", "TrackingUrl"),
        }
        command = [sys.executable, "-m", "labcycle.cli", "verify", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            raise StepFailed(f"labcycle verify failed: {done.stderr.strip()[-1500:]}")
        verdict = dict(json.loads(done.stdout))
        if verdict["whole"] != (done.returncode == 0):
            raise StepFailed(f"labcycle verify exits {done.returncode}, and says whole: {verdict['whole']}")
        return verdict

    def _promotion(self) -> tuple[str, dict[str, Any]]:
        """The team's table, and the first item in it that tells of the reviewer's promotion."""
        table, dynamodb = names.ledger_table(TEAM), self._cloud.client("dynamodb")
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                text = item.get("doc", {}).get("S", "")
                if '"action":"promoted"' in text and REVIEWER in text:
                    return table, item
        raise StepFailed(f"the table {table} holds no promotion by {REVIEWER}")

    def _outsider(self) -> tuple[str, str]:
        roles = self._cloud.client("iam").list_roles()["Roles"]
        prefix = f"labcycle-{OTHER_TEAM}-"
        name = next(r["RoleName"].removeprefix(prefix) for r in roles if r["RoleName"].startswith(prefix + "scientist"))
        return DemoTeam(self._cloud, OTHER_TEAM, MODEL).role(name)

    def _evaluate(self) -> dict[str, Any]:
        """What the schedule does every hour, now."""
        return self._team.invoke(self._team.of_model("EvaluatorFunction"))

    def _live(self) -> str | None:
        return self._team.live(REVIEWER)


def in_order(wanted: list[str], seen: list[str]) -> bool:
    """Whether `wanted` is a subsequence of `seen`."""
    left = iter(seen)
    return all(word in left for word in wanted)


def figures(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


def verdict_line(verdict: Mapping[str, Any]) -> str:
    """The verdict with the rows and the features that moved most."""
    features = sorted(verdict["features"].items(), key=lambda item: -item[1])[:3]
    return f"{verdict['verdict']}: {verdict['rows']} rows; {verdict['method'].replace('_', ' ')} " + figures(
        dict(features)
    )
