"""The steps of a reaction on real models: what each leaves in the ledger, repeated and interrupted ones included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.lineage.parts import parts
from labcycle_lambdas.lineage.run_reader import RunReader
from labcycle_lambdas.reaction.cannot_react import CannotReact
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.step_failure import explain
from tests.unit.reaction.workbench import METRICS, VARIABLES, Workbench, archive, holdout, middling, policies, turned
from tests.unit.serving.workshop import (
    BUCKET,
    MODEL,
    REVIEWER,
    Trained,
    World,
    classifier,
    mixed,
    with_external_weights,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SIDES = ("challenger", "champion", "previous")


def figure(value: float) -> str:
    """As notices and reasons write it."""
    return f"{value:.6g}"


def test_a_better_challenger_goes_live(world: World) -> None:
    bench = Workbench(world)
    champion = bench.champion()
    begun = bench.do("begin")
    run = bench.run(begun["run_id"])
    assert begun["do"] == "retrain"
    assert begun["hyper_parameters"] == {"C": "0.5", "seed": "7"}
    assert begun["training_uri"] == f"s3://{BUCKET}/data/{MODEL}/"
    assert begun["recipe_uri"].endswith("/artifacts/recipe/")
    assert begun["job_name"].startswith("labcycle-fraud-card-fraud-") and len(begun["job_name"]) <= 63
    assert (run.status, run.tags["mlflow.parentRunId"]) == ("RUNNING", champion.source_run)

    bench.trained(begun, turned(), flipped=True)
    registered = bench.do("register", begun=begun)
    assert registered == {"version": 2, "metrics": METRICS}
    run = bench.run(begun["run_id"])
    assert run.status == "FINISHED" and run.end_time
    assert run.params == begun["hyper_parameters"] and METRICS.items() <= run.metrics.items()
    found = bench.registry.version(MODEL, 2)
    assert found.run_id == run.run_id
    assert {file.path for file in found.files} >= {"MLmodel", "model.onnx"}
    root = run.artifact_uri.removeprefix(f"s3://{BUCKET}/")
    held = {o["Key"].removeprefix(f"{root}/") for o in world.s3.list_objects_v2(Bucket=BUCKET, Prefix=root)["Contents"]}
    assert held >= {"model/model.onnx", "reference.json", "holdout.json", "recipe/train.py", "recipe/lib/x.py"}

    compared = bench.do("compare", begun=begun, version=2)
    assert compared["decision"] == "promote"
    assert compared["challenger"] > 0.9 and compared["champion"] < 0.1
    assert compared["champion_version"] == 1 and compared["holdout_rows"] == 60

    concluded = bench.do("promote", compared=compared)
    assert bench.live() == 2
    live = world.deployments.current(MODEL).live
    assert live and live.reference and live.source_run == run.run_id
    assert concluded["outcome"] == "promoted"
    message = concluded["notice"]["message"]
    assert figure(compared["champion"]) in message and figure(compared["challenger"]) in message
    assert f"labcycle models rollback {MODEL}" in message
    expected = ["created", "registered", "promoted", "retraining_started", "registered", "retrained", "promoted"]
    assert bench.actions() == expected
    assert bench.events()[-2].detail == compared
    assert bench.events()[-1].who == {"member": None, "role": "reaction", "session": "e1"}
    assert bench.reactions.lock(MODEL).execution == ""

    bench.later(hours=25)
    again = bench.do("begin", "e2")  # the new version can be retrained from its own run
    assert (
        again["do"] == "retrain"
        and again["champion_version"] == 2
        and again["hyper_parameters"] == {"C": "0.5", "seed": "7"}
    )


def test_every_step_may_be_repeated(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    assert bench.do("begin") == begun
    bench.trained(begun, turned(), flipped=True)
    registered = bench.do("register", begun=begun)
    assert bench.do("register", begun=begun) == registered
    compared = bench.do("compare", begun=begun, version=registered["version"])
    assert bench.do("compare", begun=begun, version=registered["version"]) == compared
    concluded = bench.do("promote", compared=compared)
    assert bench.do("promote", compared=compared) == concluded
    expected = ["created", "registered", "promoted", "retraining_started", "registered", "retrained", "promoted"]
    assert bench.actions() == expected
    assert len(bench.registry.versions(MODEL)) == 2
    assert len(list(bench.runs.history(begun["run_id"], "accuracy"))) == 1
    (ended,) = bench.events(f"run/{begun['run_id']}")
    assert (ended.action, ended.who) == ("finished", bench.events()[-1].who)


def test_the_version_before_comes_back_where_it_is_better(world: World) -> None:
    bench = Workbench(world)
    bench.champion(classifier())
    bench.champion(middling())
    compared = bench.through_compare(turned(), flipped=False)
    assert compared["decision"] == "roll_back"
    assert (compared["version"], compared["champion_version"], compared["previous_version"]) == (3, 2, 1)
    assert compared["challenger"] < compared["champion"] < compared["previous"]
    measured = bench.run(compared["run_id"]).metrics
    assert measured["previous_accuracy"] == compared["previous"]
    concluded = bench.do("roll_back", compared=compared)
    assert bench.do("roll_back", compared=compared) == concluded
    assert concluded["outcome"] == "rolled_back"
    assert bench.live() == 1
    assert concluded["notice"]["subject"] == f"labcycle fraud: version 1 of {MODEL} is live again"
    message = concluded["notice"]["message"]
    assert f"labcycle models promote {MODEL} 2" in message
    assert all(figure(compared[side]) in message for side in SIDES)
    assert bench.actions()[-3:] == ["retrained", "challenger_rejected", "rolled_back"]
    retrained, rejected, rolled_back = bench.events()[-3:]
    assert retrained.detail == rejected.detail == compared
    assert all(figure(compared[side]) in rolled_back.detail["reason"] for side in SIDES)
    assert bench.reactions.lock(MODEL).execution == ""


def test_a_good_champion_stays_where_the_version_before_is_worse(world: World) -> None:
    bench = Workbench(world)
    bench.champion(middling())
    bench.champion(classifier())
    compared = bench.through_compare(turned(), flipped=False)
    assert compared["decision"] == "keep"
    concluded = bench.do("keep", compared=compared)
    assert bench.do("keep", compared=compared) == concluded
    assert concluded["outcome"] == "kept"
    assert bench.live() == 2
    message = concluded["notice"]["message"]
    assert "Version 3 is not better than version 2, and neither is version 1" in message
    assert "The drift persists" in message and "Live: version 2." in message
    assert f"s3://{BUCKET}/data/{MODEL}/" in message and f"labcycle models promote {MODEL} 3" in message
    assert all(figure(compared[side]) in message for side in SIDES)
    assert bench.actions()[-2:] == ["retrained", "challenger_rejected"]
    assert bench.events()[-1].detail == compared
    assert bench.reactions.lock(MODEL).execution == ""
    assert "cools down" in bench.do("begin", "e2")["reason"]


def test_a_challenger_must_not_be_worse_than_the_version_before(world: World) -> None:
    bench = Workbench(world)
    bench.champion(classifier())
    bench.champion(turned())
    compared = bench.through_compare(middling(), flipped=False)
    assert compared["champion"] < compared["challenger"] < compared["previous"]
    assert compared["decision"] == "roll_back"


def test_a_challenger_as_good_as_the_version_before_goes_live(world: World) -> None:
    bench = Workbench(world)
    bench.champion(classifier())
    bench.champion(turned())
    compared = bench.through_compare(classifier(), flipped=False)
    assert compared["challenger"] == compared["previous"] and compared["decision"] == "promote"
    concluded = bench.do("promote", compared=compared)
    assert bench.live() == 3
    assert all(figure(compared[side]) in concluded["notice"]["message"] for side in SIDES)
    assert all(figure(compared[side]) in bench.events()[-1].detail["reason"] for side in SIDES)


def test_the_version_before_must_reach_the_minimum_gain_as_well(world: World) -> None:
    bench = Workbench(world, minimum_gain=0.9)
    bench.champion(classifier())
    bench.champion(middling())
    compared = bench.through_compare(turned(), flipped=False)
    assert compared["previous"] > compared["champion"] and compared["decision"] == "keep"
    message = bench.do("keep", compared=compared)["notice"]["message"]
    assert "not better than version 2 by 0.9 or more" in message and "Minimum gain: 0.9" in message


def test_a_roll_back_waits_for_nobody(world: World) -> None:
    bench = Workbench(world, promote="after_review")
    bench.champion(classifier())
    bench.champion(middling())
    assert bench.through_compare(turned(), flipped=False)["decision"] == "roll_back"


@pytest.mark.parametrize("lost", ["files gone", "other inputs", "deleted"])
@pytest.mark.parametrize(("challenger", "decision"), [(turned(), "keep"), (classifier(), "promote")])
def test_a_version_before_that_cannot_be_measured_is_left_out(
    world: World, lost: str, challenger: Trained, decision: str
) -> None:
    bench = Workbench(world)
    before = bench.champion(mixed() if lost == "other inputs" else classifier())
    bench.champion(middling())
    if lost == "files gone":
        file = before.model_file
        world.s3.delete_object(Bucket=BUCKET, Key=file.key, VersionId=file.version_id)
    if lost == "deleted":
        bench.registry.delete_version(MODEL, 1, REVIEWER)
    compared = bench.through_compare(challenger, flipped=False)
    why = {
        "files gone": "the file model.onnx cannot be read from the bucket",
        "other inputs": "missing: 'amount', 'kind'",
        "deleted": "version 1 was deleted from the registry",
    }[lost]
    assert compared["decision"] == decision and compared["previous_version"] == 1
    assert "previous" not in compared and why in compared["previous_left_out"]
    message = bench.do(decision, compared=compared)["notice"]["message"]
    assert "version 1 (live before that): left out, since version 1" in message and why in message
    assert bench.live() == {"keep": 2, "promote": 3}[decision]
    assert bench.events()[-1 if decision == "keep" else -2].detail == compared


def test_a_roll_back_does_not_undo_what_people_did_meanwhile(world: World) -> None:
    bench = Workbench(world)
    bench.champion(classifier())
    bench.champion(middling())
    compared = bench.through_compare(turned(), flipped=False)
    other = world.register(classifier(regularisation=0.1), run_id=world.run())
    world.promote(other)
    concluded = bench.do("roll_back", compared=compared)
    assert (bench.live(), concluded["outcome"]) == (other, "kept")
    assert f"Version 1 is better, but: Version {other} of {MODEL} is live" in concluded["notice"]["message"]
    world.promote(2)  # now another version than the one that was measured would come back
    assert bench.do("roll_back", compared=compared)["outcome"] == "kept"
    assert bench.live() == 2


def test_a_better_challenger_is_promoted_in_steps_where_the_model_has_some(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    machine = bench.with_steps()
    compared = bench.through_compare()
    concluded = bench.do("promote", compared=compared)
    again = bench.do("promote", compared=compared)  # its answer was lost
    assert bench.live() == 1 and concluded == again
    assert concluded["outcome"] == "promoted" and "how that ends will be told" in concluded["notice"]["message"]
    promotion = bench.promotions.current(MODEL)
    assert promotion and promotion.under_way and promotion.version == compared["version"]
    assert promotion.reason.startswith("better after drift") and promotion.requested_by == "reaction/e1"
    executions = bench.states.list_executions(stateMachineArn=machine)["executions"]
    assert [one["name"] for one in executions] == [promotion.execution]


def test_a_reaction_waits_where_another_version_is_promoted_in_steps(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    machine = bench.with_steps()
    compared = bench.through_compare()
    other = world.register(classifier(regularisation=0.1), run_id=world.run())
    bench.promotions.begin(MODEL, other, REVIEWER)
    concluded = bench.do("promote", compared=compared)
    assert concluded["outcome"] == "left_to_people" and bench.live() == 1
    assert f"Version {other} of {MODEL} is being promoted" in concluded["notice"]["message"]
    assert bench.states.list_executions(stateMachineArn=machine)["executions"] == []


@pytest.mark.parametrize("decision", ["promote", "roll_back"])
def test_a_reaction_does_not_cut_a_trial_short(world: World, decision: str) -> None:
    bench = Workbench(world)
    bench.champion(classifier())
    bench.champion(middling())
    compared = bench.through_compare(turned(), flipped=False)
    other = world.register(classifier(regularisation=0.1), run_id=world.run())
    world.deployments.try_out(MODEL, world.preflight.prepare(MODEL, other), 10, REVIEWER)
    concluded = bench.do(decision, compared=compared)
    assert concluded["outcome"] == {"promote": "left_to_people", "roll_back": "kept"}[decision]
    message = concluded["notice"]["message"]
    assert f"ersion {other}" in message and "is the canary, with 10 % of the requests" in message
    canary = world.deployments.current(MODEL).canary
    assert canary and (bench.live(), canary.deployed.version) == (2, other)


def test_the_first_version_stays_where_there_is_none_to_go_back_to(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    compared = bench.through_compare(classifier(), flipped=False)
    assert compared["gain"] == 0 and compared["decision"] == "keep"  # as good is no better
    assert not {"previous", "previous_version", "previous_left_out"} & compared.keys()
    concluded = bench.do("keep", compared=compared)
    assert bench.live() == 1
    assert "Version 2 is not better than version 1." in concluded["notice"]["message"]
    assert bench.actions()[-1] == "challenger_rejected"


@pytest.mark.parametrize(("minimum_gain", "decision"), [("0.5", "promote"), ("1.5", "keep")])
def test_the_gain_must_reach_the_minimum(world: World, minimum_gain: str, decision: str) -> None:
    bench = Workbench(world, minimum_gain=float(minimum_gain))
    bench.champion()
    assert bench.through_compare()["decision"] == decision


def test_lower_can_be_better(world: World) -> None:
    bench = Workbench(world, metric="log_loss")
    bench.champion()
    compared = bench.through_compare()
    assert compared["challenger"] < compared["champion"] and compared["decision"] == "promote"
    assert compared["gain"] > 0
    assert "(lower is better)" in bench.do("promote", compared=compared)["notice"]["message"]


def test_who_promotes_something_else_meanwhile_is_not_overruled(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    compared = bench.through_compare()
    other = world.register(classifier(regularisation=0.1), run_id=world.run())
    world.promote(other)
    concluded = bench.do("promote", compared=compared)
    assert bench.live() == other
    assert concluded["outcome"] == "left_to_people"
    assert f"version {other} went live" in concluded["notice"]["message"]


def test_one_reaction_at_a_time(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    bench.do("begin", "e1")
    second = bench.do("begin", "e2")
    assert second["do"] == "refuse" and "e1 is under way" in second["reason"]
    bench.later(hours=3)
    assert bench.do("begin", "e2") == second  # what was skipped stays skipped
    assert bench.actions().count("retraining_started") == 1
    assert bench.reactions.skipped(MODEL, "e2") == {"reason": second["reason"], "refused": False}


@pytest.mark.parametrize("cause", ["drift", "manual"])
def test_what_an_alarm_found_is_heard_of_also_where_nothing_is_done(world: World, cause: str) -> None:
    bench = Workbench(world)
    bench.champion()
    bench.do("begin", "e1")
    second = bench.do("begin", "e2", input={"cause": cause})
    if cause == "manual":
        assert second["do"] == "skip" and "notice" not in second
        return
    assert (second["do"], second["outcome"]) == ("refuse", "skipped")
    assert "Nothing was done about it: the reaction e1 is under way" in second["notice"]["message"]
    assert bench.do("begin", "e2", input={"cause": cause}) == second


def test_a_lock_whose_time_is_over_is_taken_and_its_run_is_failed(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    lost = bench.do("begin", "e1")
    bench.later(seconds=7201)
    taken = bench.do("begin", "e3")
    assert taken["do"] == "retrain"
    assert bench.run(lost["run_id"]).status == "FAILED"
    (ended,) = bench.events(f"run/{lost['run_id']}")
    assert (ended.action, ended.who["session"]) == ("finished", "e3"), "who ended it is another reaction"
    assert bench.run(taken["run_id"]).status == "RUNNING"
    bench.do("fail", "e1", error="States.Timeout", cause="")
    assert bench.reactions.lock(MODEL).execution == "e3"  # a late end releases nobody else's lock


def test_a_model_cools_down_unless_a_person_insists(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    bench.do("promote", compared=bench.through_compare())
    bench.later(hours=23)
    assert "cools down" in bench.do("begin", "e2")["reason"]
    assert bench.do("begin", "e3", input={"cause": "drift", "ignore_cool_down": True})["do"] == "retrain"


def test_two_that_begin_at_once_are_one(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    other: list[dict[str, Any]] = []
    original = Custody.append

    def append(self: Custody, *arguments: Any) -> Any:
        if not other:
            other.append({})
            other[0] = bench.do("begin", "e2")
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Custody, "append", append)
        first = bench.do("begin", "e1")
    assert other[0]["do"] == "retrain" and first["do"] == "refuse"
    assert bench.actions().count("retraining_started") == 1


@pytest.mark.parametrize(
    ("recipe", "data", "why"),
    [(False, True, "has no artifact recipe/train.py"), (True, False, f"below s3://{BUCKET}/data/{MODEL}/")],
)
def test_what_is_missing_to_train_is_said(world: World, recipe: bool, data: bool, why: str) -> None:
    bench = Workbench(world)
    bench.champion(recipe=recipe, data=data)
    with pytest.raises(CannotReact, match=why):
        bench.do("begin")
    cause = json.dumps({"errorMessage": f"it {why}", "errorType": "CannotReact"})
    failed = bench.do("fail", error="CannotReact", cause=cause)
    assert f"it {why}" in failed["notice"]["message"]
    assert bench.actions()[-1] == "retraining_failed"
    bench.later(minutes=1)
    world.s3.put_object(Bucket=BUCKET, Key=f"data/{MODEL}/new.csv", Body=b"1")
    if recipe:
        assert bench.do("begin", "e2")["do"] == "retrain"  # nothing was spent: no cool-down


def test_without_a_live_version_there_is_nothing_to_retrain(world: World) -> None:
    with pytest.raises(CannotReact, match="no version of card-fraud is live"):
        Workbench(world).do("begin")


def test_parameters_that_a_training_job_does_not_take_are_named(world: World) -> None:
    bench = Workbench(world)
    live = bench.champion()
    bench.runs.log_batch(str(live.source_run), params={"essay": "x" * 2501})
    with pytest.raises(CannotReact, match="too long: essay"):
        bench.do("begin")


def test_a_failure_marks_the_run_releases_the_lock_and_tells(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    cause = json.dumps({"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: there is no CSV file"})
    failed = bench.do("fail", error="States.TaskFailed", cause=cause)
    assert bench.do("fail", error="States.TaskFailed", cause=cause) == failed
    assert bench.run(begun["run_id"]).status == "FAILED"
    (ended,) = bench.events(f"run/{begun['run_id']}")
    assert (ended.action, ended.who) == ("finished", bench.events()[-1].who)
    assert bench.live() == 1
    assert bench.actions()[-2:] == ["retraining_started", "retraining_failed"]
    assert bench.events()[-1].detail["cause"] == "AlgorithmError: there is no CSV file"
    assert "AlgorithmError: there is no CSV file" in failed["notice"]["message"]
    assert "cools down" in bench.do("begin", "e2")["reason"]


@pytest.mark.parametrize("lock", [b"numpy==2.3.0\n", None])
def test_the_record_of_a_retrained_run_is_whole_where_the_recipe_tells_its_packages(
    world: World, lock: bytes | None
) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    bench.trained(begun, files={"requirements.txt": lock})
    bench.do("register", begun=begun)
    run = bench.runs.get(begun["run_id"])
    reader = RunReader(world.table, world.s3, BUCKET)
    found = {part.name: part for part in parts(reader.record(run))}
    lacking = [name for name, part in found.items() if part.state != "found"]
    assert lacking == ([] if lock else ["libraries"])
    assert found["data"].evidence[0].endswith(f"s3://{BUCKET}/data/{MODEL}/")
    assert found["environment"].evidence[0] == "image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1"
    again = bench.do("register", begun=begun)
    assert again["version"] == 2 and len(reader.inputs(bench.runs.get(begun["run_id"]))) == 1


def test_a_failure_after_registration_leaves_the_run_finished(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    compared = bench.through_compare()
    bench.do("fail", error="States.Timeout", cause="")
    assert bench.run(compared["run_id"]).status == "FINISHED"
    assert bench.reactions.lock(MODEL).execution == ""


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"metrics": None}, "did not write metrics.json"),
        ({"holdout": None, "reference": None}, "did not write reference.json, holdout.json"),
        ({"metrics": b"[1]"}, "holds no numbers"),
        ({"metrics": b'{"accuracy": NaN}'}, "no finite value for accuracy"),
    ],
)
def test_a_recipe_that_wrote_too_little_is_refused(world: World, files: dict[str, bytes | None], why: str) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    bench.trained(begun, files=files)
    with pytest.raises(CannotReact, match=why):
        bench.do("register", begun=begun)
    assert len(bench.registry.versions(MODEL)) == 1


def test_archives_that_are_missing_broken_or_reach_out_are_refused(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    with pytest.raises(CannotReact, match=r"left no s3://artifacts/training/.*/model.tar.gz"):
        bench.do("register", begun=begun)
    bench.trained(begun)
    for body in (b"no archive", archive({"../../outside": b"x"})):
        bench.put(f"training/{MODEL}/{begun['job_name']}/output/model.tar.gz", body)
        with pytest.raises(CannotReact, match="cannot be unpacked"):
            bench.do("register", begun=begun)


@pytest.mark.parametrize("code", ["AccessDenied", "403"])
def test_a_refused_archive_is_told_like_a_missing_one(world: World, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """S3 answers so where nothing is there and the caller may not list the bucket."""
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")

    def refused(self: S3Client, **_: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "Access Denied"}}, "GetObject")

    monkeypatch.setattr(world.s3, "get_object", refused.__get__(world.s3))
    with pytest.raises(CannotReact, match=r"left no s3://artifacts/training/.*/model.tar.gz that may be read"):
        bench.do("register", begun=begun)


def test_results_may_lie_in_a_folder_of_the_archive(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    bench.trained(begun)
    results = {
        "data/metrics.json": json.dumps(METRICS).encode(),
        "data/reference.json": b'{"columns": ["x"], "data": [[1]]}',
        "data/holdout.json": holdout(False),
        "failure": b"",
    }
    bench.put(f"training/{MODEL}/{begun['job_name']}/output/output.tar.gz", archive(results))
    assert bench.do("register", begun=begun)["metrics"] == METRICS


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (b'{"columns": ["a"], "data": [[1]]}', "no table with a column target"),
        (
            b'{"columns": ["other", "target"], "data": [[1, 1]]}',
            "cannot be measured on the holdout: The columns do not",
        ),
        (b'{"columns": ["target"], "data": []}', "cannot be measured"),
    ],
)
def test_a_holdout_that_does_not_fit_is_said(world: World, table: bytes, why: str) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    bench.trained(begun, files={"holdout": table})
    version = bench.do("register", begun=begun)["version"]
    with pytest.raises(CannotReact, match=why):
        bench.do("compare", begun=begun, version=version)


def test_a_champion_whose_bytes_changed_is_not_measured(world: World) -> None:
    bench = Workbench(world)
    live = bench.champion()
    begun = bench.do("begin")
    bench.trained(begun, turned(), flipped=True)
    version = bench.do("register", begun=begun)["version"]
    world.s3.delete_object(Bucket=BUCKET, Key=live.model_file.key, VersionId=live.model_file.version_id)
    with pytest.raises(CannotReact, match="version 1 cannot be measured"):
        bench.do("compare", begun=begun, version=version)


def test_a_challenger_that_cannot_be_served_is_refused_by_the_preflight(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    bench.trained(begun)
    files = classifier().files() | {"MLmodel": b"flavors: {python_function: {}}"}
    bench.put(f"training/{MODEL}/{begun['job_name']}/output/model.tar.gz", archive(files))
    version = bench.do("register", begun=begun)["version"]
    with pytest.raises(Refused, match="no ONNX flavor"):
        bench.do("compare", begun=begun, version=version)


def test_weights_in_files_of_their_own_are_kept(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    bench.trained(begun, with_external_weights())
    version = bench.do("register", begun=begun)["version"]
    paths = {file.path for file in bench.registry.version(MODEL, version).files}
    assert paths == set(with_external_weights().files())


def test_an_unknown_action_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="unknown action 'dance'"):
        Workbench(world).do("dance")


def test_settings_are_checked() -> None:
    with pytest.raises(RuntimeError, match="POLICIES"):
        Environment.read(VARIABLES)
    with pytest.raises(ValueError, match="the metric is 'f7'; allowed: accuracy, "):
        Environment.read(VARIABLES | {"POLICIES": policies(metric="f7")})


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        ("X", '{"errorMessage": "no data", "errorType": "X"}', "no data"),
        ("States.TaskFailed", '{"FailureReason": "AlgorithmError: no"}', "AlgorithmError: no"),
        ("States.Timeout", "", "a step took too long."),
        ("X", "plain words", "plain words"),
        ("X", "", "X"),
        ("X", "[1]", "[1]"),
    ],
)
def test_a_cause_becomes_a_sentence(error: str, cause: str, said: str) -> None:
    assert explain(error, cause) == said


def test_a_failure_before_anything_was_deployed_can_be_told(world: World) -> None:
    failed = Workbench(world).do("fail", error="CannotReact", cause="no version is live")
    assert failed["outcome"] == "failed" and "Live: nothing." in failed["notice"]["message"]
