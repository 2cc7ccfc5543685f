"""Begin a sweep, go on with it, stop it, see how it goes: with the rights of the member's own role.

A sweep's group in the ledger is a parent run and a child for each try of each point. What is wanted lies in the bucket
(`labcycle.sweeps.store`), what was done in the ledger, what runs is for AWS Batch to say; nothing else is kept.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from labcycle.client.api import TeamApi
from labcycle.client.own_rights import OwnRights
from labcycle.client.record import taken
from labcycle.client.signing import region_of
from labcycle.config import names
from labcycle.errors import LabcycleError
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.runs_client import Run, RunsClient
from labcycle.sweeps import tags
from labcycle.sweeps.jobs import Jobs, JobView, queue_of
from labcycle.sweeps.plan import Machine, SweepFile, as_document
from labcycle.sweeps.prices import usd_hour
from labcycle.sweeps.progress import Progress, finished, progress_of, spent_usd
from labcycle.sweeps.store import Manifest, Store, Submission

SWEEP_ID = re.compile(r"[0-9a-f]{32}")
_ROLE = re.compile(r":assumed-role/labcycle-(?P<rest>.+)/[^/]+$")
_AT_ONCE = 100  # jobs that Batch describes
_NEW_MS = 3_600_000


class Sweeps:
    """Those of the team whose tracking API is set. All methods raise `LabcycleError`."""

    def __init__(self) -> None:
        api = TeamApi()
        self._team, region = api.team(), region_of(api.address)
        self._runs, self._artifacts = RunsClient(), Artifacts(api)
        self._aws = OwnRights(region, "Members with the role data_scientist may")
        name = names.compute_parameter(self._team)
        found = json.loads(
            self._aws.parameter(
                name,
                "the queues of the team",
                f"the team {self._team} has no machines for jobs: the parameter {name} is not there. Add compute: to the team file, and deploy",
            )
        )
        self._queues: dict[str, Any] = found["queues"]
        self._store = Store(self._aws.client("s3"), found["bucket"])
        self._member = self._who()
        self._jobs = Jobs(self._aws, self._team, self._member)

    def begin(self, sweep: SweepFile, name: str, script: Path) -> str:
        """Id of the sweep, which is submitted."""
        self._check(sweep.machine)
        content, points = script.read_bytes(), sweep.all_points()
        recorded = taken(script.resolve().parent)
        experiment = self._runs.experiment(sweep.experiment)
        of_parent = {tags.SWEEP: name, **{key: value for key, value in recorded.tags.items() if value}}
        parent = self._runs.create(experiment, of_parent, name=name)
        root = self._runs.run(parent).artifact_uri
        for path, written in recorded.files.items():
            self._artifacts.write(root, path, written)
        self._artifacts.write(root, "sweep.json", json.dumps(as_document(sweep), indent=2).encode())
        manifest = Manifest(
            sweep=parent,
            name=name,
            experiment_id=experiment,
            member=self._member,
            file=as_document(sweep),
            script_sha256=self._ask(lambda: self._store.put_script(content)),
            script_name=script.name,
            points=points,
            usd_hour=usd_hour(sweep.machine),
            code=recorded.code_tags,
        )
        self._ask(lambda: self._store.put_manifest(manifest))
        self._submit(manifest, 1, range(len(points)), sweep.budget_usd)
        return parent

    def look(self, sweep: str) -> Progress:
        """How it stands. Where it has ended, runs without an end get one, and the parent says what came out."""
        return self._look(self._manifest(sweep))[0]

    def resume(self, sweep: str, budget_usd: float | None = None) -> Progress:
        """Submit again what has no finished run, in the same group; `budget_usd` in place of the sweep's own."""
        manifest = self._manifest(sweep)
        file = manifest.plan
        last = self._ask(lambda: self._store.last_submission(sweep))
        if last is not None and self._job(manifest, last) is None:
            # Cut off before it was handed over: the same once more. Were it there after all, one of the two does nothing.
            self._hand_over(manifest, last)
            return self._look(manifest)[0]
        found, runs = self._look(manifest)
        if not found.ended:
            raise LabcycleError(f"the sweep {sweep} is under way; follow it: labcycle sweep status {sweep} --watch")
        done = finished(runs)
        left = [point for point in range(len(manifest.points)) if point not in done]
        if not left:
            raise LabcycleError(
                f"the sweep {sweep} is complete: each of its {len(manifest.points):,} points has a finished run"
            )
        budget = file.budget_usd if budget_usd is None else budget_usd
        rest = None if budget is None else budget - spent_usd(runs, manifest.usd_hour)
        if rest is not None and rest <= 0:
            raise LabcycleError(
                f"the sweep {sweep} has cost about {spent_usd(runs, manifest.usd_hour):.2f} USD of a budget of {budget:.2f}. "
                "Give it more: --budget-usd"
            )
        self._check(file.machine)
        self._submit(manifest, last.number + 1 if last else 1, left, rest)
        if found.stopped:
            self._runs.log(sweep, tags={tags.STOPPED: ""})
        self._runs.set_status(sweep, "RUNNING")
        return self._look(manifest)[0]

    def stop(self, sweep: str) -> Progress:
        """No point is begun any more, and those that run are ended."""
        manifest = self._manifest(sweep)
        found, _ = self._look(manifest)
        if found.ended:
            raise LabcycleError(f"the sweep {sweep} has ended already; go on with it: labcycle sweep resume {sweep}")
        self._jobs.stop(found.job)
        self._runs.log(sweep, tags={tags.STOPPED: self._member})
        return self._look(manifest)[0]

    def _look(self, manifest: Manifest) -> tuple[Progress, list[Run]]:
        last = self._ask(lambda: self._store.last_submission(manifest.sweep))
        job = self._job(manifest, last) if last else None
        view = self._jobs.look(job)[job] if job else JobView("", "NOT SUBMITTED")
        if last and job and not view.status and _now_ms() - last.submitted_ms < _NEW_MS:
            view = JobView(job, "SUBMITTED")  # not seen yet; one that Batch has forgotten is a week old
        ended = view.ended or job is None
        children = self._children(manifest)
        if ended and self._close(children, job, last):
            children = self._children(manifest)
        out = self._ask(lambda: self._store.lanes_out_of_budget(manifest.sweep, last.number)) if last and ended else 0
        parent = self._runs.run(manifest.sweep)
        found = progress_of(
            manifest,
            parent,
            children,
            job=view,
            ended=ended,
            lanes=last.lanes if last else 0,
            out_of_budget=out > 0,
            now_ms=_now_ms(),
            spot=bool(self._queues.get(queue_of(manifest.plan.machine), {}).get("spot")),
        )
        if ended and job is not None:
            self._settle(parent, found)
        return found, children

    def _close(self, children: Iterable[Run], job: str | None, last: Submission | None) -> int:
        """How many runs had no end, though no process of theirs can be any more."""
        dead = [run for run in children if run.status in ("RUNNING", "SCHEDULED")]
        lanes = {
            run.tags.get(tags.LANE, "0") for run in dead if last and run.tags.get(tags.SUBMISSION) == str(last.number)
        }
        ids = {lane: (f"{job}:{lane}" if last and last.lanes > 1 else str(job)) for lane in sorted(lanes)}
        views: dict[str, JobView] = {}
        wanted = list(ids.values())
        for start in range(0, len(wanted), _AT_ONCE):
            views |= self._jobs.look(*wanted[start : start + _AT_ONCE])
        for run in dead:
            view = views.get(ids.get(run.tags.get(tags.LANE, "0"), ""))
            why = (view.reason if view else "") or "its job ended before it"
            self._runs.log(run.run_id, tags={tags.REASON: why})
            self._runs.set_status(run.run_id, "KILLED")
        return len(dead)

    def _settle(self, parent: Run, found: Progress) -> None:
        status = "FINISHED" if found.done == found.points else "KILLED" if found.stopped else "FAILED"
        told = {tags.BEST_RUN: found.best.run_id, tags.BEST: str(found.best.value)} if found.best else {}
        if {key: parent.tags.get(key) for key in told} != told:
            self._runs.log(parent.run_id, tags=told)
        if parent.status != status:
            self._runs.set_status(parent.run_id, status)

    def _children(self, manifest: Manifest) -> list[Run]:
        query = f"tags.`{tags.PARENT}` = '{manifest.sweep}'"
        found = self._runs.search([manifest.experiment_id], query)
        return [run for run in found if tags.POINT in run.tags]

    def _submit(self, manifest: Manifest, number: int, points: Sequence[int], budget_usd: float | None) -> None:
        file = manifest.plan
        # In any order but that of the points: those of a grid that take long would come to one lane.
        order = list(points)
        Random(f"{manifest.sweep}/{number}").shuffle(order)
        submission = Submission(
            number=number,
            points=order,
            lanes=min(file.concurrency, len(order)),
            budget_usd=budget_usd,
            job_name=f"labcycle-{manifest.sweep}-{number}",
            submitted_ms=_now_ms(),
        )
        if not self._ask(lambda: self._store.put_submission(manifest.sweep, submission)):
            raise LabcycleError(
                f"somebody else goes on with the sweep {manifest.sweep} just now; see labcycle sweep status {manifest.sweep}"
            )
        self._hand_over(manifest, submission)

    def _hand_over(self, manifest: Manifest, submission: Submission) -> None:
        environment = {"LABCYCLE_SWEEP": manifest.sweep, "LABCYCLE_SUBMISSION": str(submission.number)}
        machine = manifest.plan.machine
        job = self._jobs.submit(submission.job_name, lanes=submission.lanes, machine=machine, environment=environment)
        self._ask(lambda: self._store.claim(manifest.sweep, submission.number, job))

    def _job(self, manifest: Manifest, submission: Submission) -> str | None:
        """The job of a submission; one that is there and was not noted yet is noted."""
        noted = self._ask(lambda: self._store.job(manifest.sweep, submission.number))
        if noted is not None:
            return str(noted)
        found = self._jobs.named(submission.job_name, manifest.plan.machine)
        return str(self._ask(lambda: self._store.claim(manifest.sweep, submission.number, found))) if found else None

    def _manifest(self, sweep: str) -> Manifest:
        if not SWEEP_ID.fullmatch(sweep):
            raise LabcycleError(
                f"got {sweep}; allowed is the id of a sweep's parent run: 32 digits and letters from a to f"
            )
        found: Manifest | None = self._ask(lambda: self._store.manifest(sweep))
        if found is None:
            raise LabcycleError(
                f"there is no sweep {sweep}, or it was cut off before it began: then nothing was submitted. Begin it anew: labcycle sweep run FILE"
            )
        return found

    def _check(self, machine: Machine) -> None:
        queue = self._queues.get(queue_of(machine))
        if queue is None:
            raise LabcycleError(
                f"machine.gpus: got {machine.gpus}; the team {self._team} has no machines with GPUs. Add gpu: {{}} below compute: in the team "
                "file, and deploy, or write gpus: 0"
            )
        if machine.vcpus > queue["largest_vcpus"]:
            raise LabcycleError(
                f"machine.vcpus: got {machine.vcpus}; no more than {queue['largest_vcpus']} can be had at once, by compute.max_vcpus of the team "
                "file (on spot, three quarters of it). Use fewer"
            )

    def _who(self) -> str:
        arn = str(self._aws.ask("who you are", lambda: self._aws.client("sts").get_caller_identity()["Arn"]))
        found = _ROLE.search(arn)
        rest = found["rest"] if found else ""
        if not rest.startswith(f"{self._team}-"):
            raise LabcycleError(
                f"you are {arn}, which is no member of the team {self._team}; jobs run as their member. Sign in with the role "
                f"labcycle-{self._team}-MEMBER, or use a workspace"
            )
        return rest.removeprefix(f"{self._team}-").removesuffix("-workspace")

    def _ask(self, call: Any) -> Any:
        return self._aws.ask("the sweep's files", call)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
